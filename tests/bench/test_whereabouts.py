"""A latch or an open run in one data folder keeps the bench from a run with any other."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from bench import wire_hold
from bench.claim import claim, note_use
from bench.config import load_bench
from bench.data_folder import DataFolder
from bench.latch import Latch, Latches
from bench.log import EVENTS
from bench.open_runs import ORDER, OpenRuns
from bench.whereabouts import FOLDER, Whereabouts, latched_elsewhere, state_folder, used_by
from drivers import BenchHeld, ConfigError, Fault, RecordError
from tests.bench.stand_ins import DEMO
from tests.scenarios.runs import order, run

LATCH = Latch(
    bench="demo", run_id="0001-x", bundle="runs/0001-x", utc_s=1.7e9, kind="interlock", rule="door", safe=True
)


@pytest.fixture(autouse=True)
def _wires_of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_hold, "PREFIX", f"cellbench-test-{os.getpid()}-")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return copied(tmp_path, "bench.toml")


def copied(folder: Path, name: str, **changes: str) -> Path:
    """A copy of the demonstration bench's file, with other text in it."""
    text = DEMO.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (folder / name).write_text(text)
    return folder / name


def claimed(file: Path, data: Path, state: Path, *, resuming: Path | None = None) -> tuple[Fault, ...]:
    """What a person is warned of."""
    with claim(
        DataFolder(data),
        load_bench(file),
        file,
        run="t",
        start_utc_s=0.0,
        environment={"CELLBENCH_STATE": str(state)},
        resuming=resuming,
    ) as lock:
        return lock.warnings


def interrupted(data: Path, run_id: str = "0001-x", bench: str = "demo") -> Path:
    bundle = data / "runs" / run_id
    bundle.mkdir(parents=True)
    (bundle / EVENTS).write_text("{}\n")
    OpenRuns(data).begin(run_id, bench, bundle)
    return bundle


def test_where_the_register_lies() -> None:
    assert state_folder({"CELLBENCH_STATE": "/s", "XDG_STATE_HOME": "/x", "HOME": "/h"}) == Path("/s")
    assert state_folder({"CELLBENCH_STATE": "", "XDG_STATE_HOME": "/x", "HOME": "/h"}) == Path("/x/cellbench")
    assert state_folder({"XDG_STATE_HOME": "relative", "HOME": "/h"}) == Path("/h/.local/state/cellbench")
    with pytest.raises(ConfigError, match="no home"):
        state_folder({})
    with pytest.raises(ConfigError, match="absolute"):
        state_folder({"CELLBENCH_STATE": "here", "HOME": "/h"})


def test_a_bench_is_noted_once_however_often_it_is_used(tmp_path: Path, file: Path) -> None:
    for _ in range(3):
        claimed(file, tmp_path / "a", tmp_path / "state")
    (note,) = (tmp_path / "state" / FOLDER).iterdir()
    found = json.loads(note.read_text())
    assert (found["bench"], found["data"], found["file"]) == ("demo", str(tmp_path / "a"), str(file))
    assert set(found["urls"]) == {entry.url for entry in load_bench(file).devices.values()}


@pytest.mark.fault("F78", "F54")
def test_a_latch_in_one_data_folder_refuses_a_run_with_another(tmp_path: Path, file: Path) -> None:
    claimed(file, tmp_path / "a", tmp_path / "state")
    Latches(tmp_path / "a").put(LATCH)
    with pytest.raises(BenchHeld, match="door") as held:
        claimed(file, tmp_path / "b", tmp_path / "state")
    assert f"cellbench ack --bench {file} --data {tmp_path / 'a'}" in held.value.faults[0].fix
    Latches(tmp_path / "a").path("demo").unlink()
    claimed(file, tmp_path / "b", tmp_path / "state")


@pytest.mark.fault("F78", "F54")
def test_a_copy_of_the_bench_file_under_another_name_is_the_same_bench(tmp_path: Path, file: Path) -> None:
    claimed(file, tmp_path / "a", tmp_path / "state")
    Latches(tmp_path / "a").put(LATCH)
    other = copied(tmp_path, "other.toml", **{'name = "demo"': 'name = "second"'})
    for data in ("a", "b"):
        with pytest.raises(BenchHeld, match="bench demo, which shares a wire"):
            claimed(other, tmp_path / data, tmp_path / "state")


def test_a_bench_that_shares_no_wire_is_free(tmp_path: Path, file: Path) -> None:
    claimed(file, tmp_path / "a", tmp_path / "state")
    Latches(tmp_path / "a").put(LATCH)
    text = file.read_text()
    for number, url in enumerate({entry.url for entry in load_bench(file).devices.values()}):
        text = text.replace(
            f'"{url}"',
            f'"modbus-tcp://10.9.8.7:{1000 + number}"' if "modbus" in url else f'"tcp://10.9.8.7:{1000 + number}"',
        )
    (tmp_path / "far.toml").write_text(text)
    claimed(tmp_path / "far.toml", tmp_path / "b", tmp_path / "state")


@pytest.mark.fault("F78", "H13")
def test_an_interrupted_run_of_one_data_folder_refuses_a_run_with_another(tmp_path: Path, file: Path) -> None:
    claimed(file, tmp_path / "a", tmp_path / "state")
    bundle = interrupted(tmp_path / "a")
    with pytest.raises(BenchHeld, match="0001-x of bench demo") as held:
        claimed(file, tmp_path / "b", tmp_path / "state")
    assert f"cellbench resume {bundle} --data {tmp_path / 'a'}" in held.value.faults[0].fix
    assert f"cellbench close {bundle} --data {tmp_path / 'a'}" in held.value.faults[0].fix
    claimed(file, tmp_path / "b", tmp_path / "state", resuming=bundle)
    second = interrupted(tmp_path / "a", "0002-x")
    with pytest.raises(BenchHeld, match="0002-x"):
        claimed(file, tmp_path / "b", tmp_path / "state", resuming=bundle)
    for it in (bundle, second):
        (it / "manifest.json").write_text("{}")  # closed
    claimed(file, tmp_path / "b", tmp_path / "state")


@pytest.mark.fault("F78", "F54")
def test_a_data_folder_that_is_not_there_holds_nobody_up_but_is_named_at_every_start(
    tmp_path: Path, file: Path
) -> None:
    assert claimed(file, tmp_path / "a", tmp_path / "state") == ()
    (note,) = (tmp_path / "state" / FOLDER).iterdir()
    Latches(tmp_path / "a").put(LATCH)
    (tmp_path / "a").rename(tmp_path / "gone")
    for _ in range(2):
        (warning,) = claimed(file, tmp_path / "b", tmp_path / "state")
        assert f"{tmp_path / 'a'} of bench demo" in warning.error
        assert "a latch or an interrupted run that lies in it is not seen" in warning.error
        assert f"delete {note}" in warning.fix
    (tmp_path / "gone").rename(tmp_path / "a")  # as a disk that is mounted again
    with pytest.raises(BenchHeld):
        claimed(file, tmp_path / "b", tmp_path / "state")


@pytest.mark.fault("F76")
@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "\x00" * 300,
        '{"schema": "cellbench/bench-used/9"}',
        '{"schema": "cellbench/bench-used/1", "bench": "b", "file": "f", "data": "d", "urls": ["nothing"]}',
    ],
)
def test_a_note_that_cannot_be_read_refuses_instead_of_being_passed_over(
    tmp_path: Path, file: Path, content: str
) -> None:
    claimed(file, tmp_path / "a", tmp_path / "state")
    (tmp_path / "state" / FOLDER / "spoilt.json").write_text(content)
    with pytest.raises(RecordError, match="cannot be told") as refused:
        claimed(file, tmp_path / "b", tmp_path / "state")
    assert "spoilt.json" in refused.value.faults[0].where


@pytest.mark.fault("F76")
def test_a_spoilt_note_of_this_very_bench_is_not_written_over(tmp_path: Path, file: Path) -> None:
    claimed(file, tmp_path / "a", tmp_path / "state")
    (note,) = (tmp_path / "state" / FOLDER).iterdir()
    note.write_text(note.read_text()[:-20])
    with pytest.raises(RecordError, match="cannot be told"):
        claimed(file, tmp_path / "a", tmp_path / "state")


@pytest.mark.fault("F67")
def test_a_register_that_cannot_be_written_refuses_before_anything_is_held(tmp_path: Path, file: Path) -> None:
    (tmp_path / "state").write_text("")
    for _ in range(2):
        with pytest.raises(RecordError):
            claimed(file, tmp_path / "a", tmp_path / "state")
    claimed(file, tmp_path / "a", tmp_path / "elsewhere")


def test_which_other_folder_has_the_latch(tmp_path: Path, file: Path) -> None:
    register, bench = Whereabouts(tmp_path / "state"), load_bench(file)
    used = {name: used_by(bench, file, tmp_path / name) for name in "ab"}
    for it in used.values():
        register.note(it)
    Latches(tmp_path / "a").put(LATCH)
    assert latched_elsewhere(register, used["b"]) == (used["a"],)
    assert latched_elsewhere(register, used["a"]) == ()


def test_two_urls_of_one_port_are_one_wire(tmp_path: Path) -> None:
    """A link to a port that was plugged in again: what is behind it is asked when it is compared."""
    port = tmp_path / "ttyUSB7"
    port.write_text("")
    (tmp_path / "by-id").symlink_to(port)
    text = DEMO.read_text()
    url = next(it.url for it in load_bench(DEMO).devices.values() if it.url.startswith("modbus-rtu:"))
    path = url.removeprefix("modbus-rtu://").partition("?")[0]
    linked, plain = tmp_path / "linked.toml", tmp_path / "plain.toml"
    linked.write_text(text.replace(path, str(tmp_path / "by-id")))
    plain.write_text(text.replace(path, str(port)).replace("192.168.", "10.168."))
    register = Whereabouts(tmp_path / "state")
    (tmp_path / "a").mkdir()
    used = used_by(load_bench(linked), linked, tmp_path / "a")
    register.note(used)
    assert register.sharing(used_by(load_bench(plain), plain, tmp_path / "b")) == (used,)


@pytest.mark.fault("F78", "F54")
def test_the_folder_that_takes_the_latch_of_a_dead_run_is_noted_too(tmp_path: Path, file: Path) -> None:
    """`close` and `resume` with another --data than the run had put what is owed into that folder."""
    bundle = interrupted(tmp_path / "a")
    environment = {"CELLBENCH_STATE": str(tmp_path / "state")}
    note_use(bundle, DataFolder(tmp_path / "b"), environment)  # it has no inputs: nothing to note
    assert not (tmp_path / "state").exists()
    (bundle / "bench.toml").write_text(file.read_text())
    (bundle / ORDER).write_text(json.dumps({"schema": "cellbench/order/1", "bench": str(file)}))
    note_use(bundle, DataFolder(tmp_path / "b"), environment)
    Latches(tmp_path / "b").put(LATCH)
    with pytest.raises(BenchHeld, match="door"):
        claimed(file, tmp_path / "a", tmp_path / "state")


def test_a_run_in_virtual_time_notes_nothing(tmp_path: Path, register_folder: Path) -> None:
    result, _ = run(order(tmp_path))
    assert result.verdict == "pass"
    assert state_folder(os.environ) == register_folder
    assert not register_folder.exists()


@pytest.mark.parametrize("below", ["", "latches", "open-runs"])
def test_a_data_folder_that_may_not_be_looked_into_refuses(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    """Another account's: pathlib's glob would pass over it in silence. Rights bind no root: stood in."""
    claimed(file, tmp_path / "a", tmp_path / "state")
    closed, listed = tmp_path / "a" / below, os.listdir

    def denied(path: str) -> list[str]:
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr("bench.whereabouts.os.listdir", denied)
    with pytest.raises(RecordError, match="cannot be read: Permission denied"):
        claimed(file, tmp_path / "b", tmp_path / "state")
