"""The data folder: run numbers that are given once, locks that end with their process, and room on the disk."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.config import load_bench, wire_keys
from bench.data_folder import DataFolder, check_space, free_bytes, lock_name
from drivers import BenchHeld, RecordError
from tests.bench.stand_ins import DEMO
from tests.bench.together import together


@pytest.fixture(autouse=True)
def _wires_of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wires are held in the whole machine, and others may test on it at the same time."""
    monkeypatch.setattr("bench.wire_hold.PREFIX", f"cellbench-test-{os.getpid()}-")


ROOM = "gbt31486-2024/room-capacity"
KEYS = ("192.168.10.20:5025", "/dev/ttyUSB0")


def test_the_folder_is_chosen_by_option_then_environment_then_here() -> None:
    assert DataFolder.choose("/a", {"CELLBENCH_DATA": "/b"}).path == Path("/a")
    assert DataFolder.choose(None, {"CELLBENCH_DATA": "/b"}).path == Path("/b")
    assert DataFolder.choose(None, {"CELLBENCH_DATA": ""}).path == Path("cellbench-data")
    assert DataFolder.choose(None, {}).path == Path("cellbench-data")


def test_choosing_a_folder_makes_nothing(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    assert folder.samples.list() == ()
    assert not (tmp_path / "data").exists()


def test_runs_are_counted_and_named_after_their_sequence(tmp_path: Path) -> None:
    data = DataFolder(tmp_path / "data")
    first, folder = data.new_run(None, ROOM)
    assert first == "0001-gbt31486-2024-room-capacity"
    assert folder == tmp_path / "data" / "runs" / first
    assert folder.is_dir()
    second, folder = data.new_run(tmp_path / "out", ROOM)
    assert second == "0002-gbt31486-2024-room-capacity"
    assert folder == tmp_path / "out" / second
    assert not list(folder.iterdir())


def test_a_folder_that_holds_that_run_already_gets_the_next_number(tmp_path: Path) -> None:
    DataFolder(tmp_path / "one").new_run(tmp_path / "out", ROOM)
    run_id, _ = DataFolder(tmp_path / "two").new_run(tmp_path / "out", ROOM)
    assert run_id.startswith("0002-")


@given(st.text(max_size=80))
def test_no_sequence_id_makes_a_folder_elsewhere(tmp_path_factory: pytest.TempPathFactory, sequence_id: str) -> None:
    out = tmp_path_factory.mktemp("out")
    run_id, folder = DataFolder(out / "data").new_run(out / "runs", sequence_id)
    assert folder.parent == (out / "runs").resolve()
    assert re.fullmatch(r"[0-9]{4,}-[a-z0-9-]*[a-z0-9]", run_id)


@pytest.mark.fault("F76")
def test_a_spoiled_counter_is_not_guessed(tmp_path: Path) -> None:
    data = DataFolder(tmp_path)
    data.new_run(None, ROOM)
    (tmp_path / "run-counter").write_text("seven\n")
    with pytest.raises(RecordError, match="run-counter"):
        data.new_run(None, ROOM)


def test_an_out_folder_that_is_a_file_is_a_record_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(RecordError):
        DataFolder(tmp_path).new_run(tmp_path / "out", ROOM)


@pytest.mark.fault("F51", "F70")
def test_two_processes_never_get_one_number(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\nfrom bench.data_folder import DataFolder\n"
        "def work():\n"
        "    for _ in range(100): print(DataFolder(sys.argv[1]).new_run(Path(sys.argv[2]), 'x/y')[0])"
    )
    # Each has an --out of its own, so that only the counter keeps them apart.
    lines = together(code, [(str(tmp_path / "data"), str(tmp_path / f"out{who}")) for who in range(2)])
    assert sorted(lines) == sorted(f"{number:04d}-x-y" for number in range(1, 201))


@pytest.mark.fault("F51", "F59", "F78")
def test_a_held_bench_says_who_holds_it(tmp_path: Path) -> None:
    data = DataFolder(tmp_path)
    # 2026-11-22T08:00:00Z is 1795334400 s after the epoch.
    with data.lock(KEYS, run="0007-x", start_utc_s=1795334400.0):
        with pytest.raises(BenchHeld) as caught:
            data.lock(["/dev/ttyUSB0"])
        (fault,) = caught.value.faults
        for words in ("/dev/ttyUSB0", str(os.getpid()), "0007-x", "2026-11-22T08:00:00"):
            assert words in fault.error
    with data.lock(KEYS) as lock:
        assert set(lock.wires) == set(KEYS)


def test_all_wires_or_none(tmp_path: Path) -> None:
    data = DataFolder(tmp_path)
    with data.lock(["b:2"]):
        with pytest.raises(BenchHeld):
            data.lock(["a:1", "b:2", "c:3"])
        with data.lock(["a:1", "c:3"]):
            pass


def test_release_may_be_repeated(tmp_path: Path) -> None:
    lock = DataFolder(tmp_path).lock(KEYS)
    lock.release()
    lock.release()
    assert not (tmp_path / "locks" / lock_name(KEYS[0])).read_text()


@pytest.mark.fault("F60")
def test_a_lock_ends_with_its_process_however_it_ends(tmp_path: Path) -> None:
    code = (
        "import sys; from bench.data_folder import DataFolder\n"
        "lock = DataFolder(sys.argv[1]).lock(['a:1'], run='0001-x'); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BenchHeld, match=f"process {holder.pid}, run 0001-x"):
            DataFolder(tmp_path).lock(["a:1"])
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate(timeout=60)
    with DataFolder(tmp_path).lock(["a:1"]) as lock:
        assert lock.wires == ("a:1",)


def test_the_demonstration_bench_locks_its_six_wires(tmp_path: Path) -> None:
    """Of its seven devices two share a serial line."""
    with DataFolder(tmp_path).lock(wire_keys(load_bench(DEMO))) as lock:
        assert len(lock.wires) == 6
    assert len(list((tmp_path / "locks").glob("*.lock"))) == 6


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200))
def test_a_lock_is_a_plain_file_name_and_each_wire_has_its_own(one: str, other: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._]*-[0-9a-f]{12}\.lock", lock_name(one))
    assert (lock_name(one) == lock_name(other)) == (one == other)


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / lock_name("a:1")).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RecordError):
        DataFolder(tmp_path).lock(["a:1"])
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.fault("F67")
def test_a_start_wants_twice_the_room_that_the_run_may_take(tmp_path: Path) -> None:
    check_space(tmp_path, 1000, free=2000)
    with pytest.raises(RecordError, match="free"):
        check_space(tmp_path, 1000, free=1999)
    check_space(tmp_path / "not" / "there", 1)
    with pytest.raises(RecordError):
        check_space(tmp_path, free_bytes(tmp_path) + (1 << 40))


@pytest.mark.fault("F78")
def test_a_bench_file_is_held_whichever_data_folder_a_run_has(tmp_path: Path) -> None:
    bench = tmp_path / "bench.toml"
    bench.write_text("")
    one, two = DataFolder(tmp_path / "one"), DataFolder(tmp_path / "two")
    with one.lock(KEYS, bench=bench), pytest.raises(BenchHeld, match="the bench is held by another run"):
        two.lock(["c:3"], bench=bench)
    with DataFolder(tmp_path / "two").lock(KEYS, bench=bench):
        pass
    assert bench.read_text() == ""


@pytest.mark.fault("F78")
def test_a_bench_file_is_let_go_when_one_of_its_wires_is_taken(tmp_path: Path) -> None:
    bench = tmp_path / "bench.toml"
    bench.write_text("")
    with DataFolder(tmp_path).lock(KEYS), pytest.raises(BenchHeld, match="the wire"):
        DataFolder(tmp_path).lock(KEYS, bench=bench)
    with DataFolder(tmp_path / "two").lock(KEYS, bench=bench):
        pass


def test_a_bench_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be locked"):
        DataFolder(tmp_path).lock(KEYS, bench=tmp_path / "none.toml")
