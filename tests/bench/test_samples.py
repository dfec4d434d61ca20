"""Sample records: whole or not at all, and never outside their folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.samples import Sample, SampleState, SampleStore, check_sample_id, write_atomically
from drivers import ConfigError, RecordError
from tests.bench.together import together


def cell(sample_id: str = "C25-0007", **more: object) -> Sample:
    return Sample.model_validate({"id": sample_id, "type": "nmc-25ah", "mass_kg": 0.7213, **more})


def test_a_sample_comes_back_as_it_was_added(tmp_path: Path) -> None:
    store = SampleStore(tmp_path / "samples")
    added = store.add(cell(balance="B-12", ocv_v=3.652, dimensions={"thickness_mm": 26.9}))
    assert store.show("C25-0007") == added
    store.add(cell("C25-0003"))
    assert [sample.id for sample in store.list()] == ["C25-0003", "C25-0007"]
    written = json.loads((tmp_path / "samples" / "C25-0007.json").read_text())
    assert written["schema"] == "cellbench/sample/1"
    assert written["state"] == "received"


def test_an_empty_store_lists_nothing(tmp_path: Path) -> None:
    assert SampleStore(tmp_path / "samples").list() == ()


def test_an_id_is_given_once(tmp_path: Path) -> None:
    store = SampleStore(tmp_path)
    store.add(cell())
    with pytest.raises(ConfigError, match="already"):
        store.add(cell(mass_kg=1.0))
    assert store.show("C25-0007").mass_kg == 0.7213


def test_a_sample_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="C9"):
        SampleStore(tmp_path).show("C9")


def test_a_mass_that_was_weighed_later_takes_its_balance_along(tmp_path: Path) -> None:
    store = SampleStore(tmp_path)
    store.add(cell(mass_kg=None, nominal_mass_kg=0.72))
    weighed = store.weigh("C25-0007", 0.4821, "B-3")
    assert (weighed.mass_kg, weighed.balance, weighed.nominal_mass_kg) == (0.4821, "B-3", None)
    assert store.show("C25-0007") == weighed
    with pytest.raises(ConfigError):
        store.weigh("C25-0007", 0.0, "B-3")
    with pytest.raises(ConfigError, match="C25-0008"):
        store.weigh("C25-0008", 0.4821, "B-3")


def test_the_refusal_of_an_unknown_sample_names_options_that_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        SampleStore(tmp_path).show("C9")
    assert "cellbench sample add C9 --cell CELL --mass" in caught.value.faults[0].fix


@pytest.mark.fault("F53")
def test_a_destroyed_sample_never_comes_back(tmp_path: Path) -> None:
    store = SampleStore(tmp_path)
    store.add(cell())
    store.update("C25-0007", state="under_test")
    store.update("C25-0007", state="destroyed")
    with pytest.raises(ConfigError, match="destroyed"):
        store.update("C25-0007", state="received")
    assert store.add_run("C25-0007", "0007-nail").runs == ("0007-nail",)
    again = store.add_run("C25-0007", "0008-nail", actual_capacity_ah=25.1)
    assert (again.runs, again.actual_capacity_ah) == (("0007-nail", "0008-nail"), 25.1)
    assert store.show("C25-0007").state is SampleState.DESTROYED


@pytest.mark.parametrize("change", [{"mass_kg": -1.0}, {"mass_kg": float("nan")}, {"state": "fine"}, {"colour": "red"}])
def test_a_change_that_makes_no_sense_changes_nothing(tmp_path: Path, change: dict[str, object]) -> None:
    store = SampleStore(tmp_path)
    before = store.add(cell())
    with pytest.raises(ConfigError):
        store.update("C25-0007", **change)
    assert store.show("C25-0007") == before


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", "a\x00b", "a\nb", "%2e%2e/x", ".hidden", "-x", "CON",
     "nul.txt", "com1", "a" * 65, "x.", "é"],
)  # fmt: skip
def test_a_name_that_could_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    store = SampleStore(tmp_path / "samples")
    with pytest.raises(ConfigError):
        store.show(name)
    with pytest.raises(ConfigError):
        store.update(name, batch="x")


@given(st.text(max_size=80))
def test_every_accepted_name_stays_in_the_folder(name: str) -> None:
    folder = Path("/data/samples")
    try:
        check_sample_id(name)
    except ConfigError:
        return
    assert (folder / f"{name}.json").resolve().parent == folder
    assert not name.startswith((".", "-"))


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    store = SampleStore(tmp_path / "samples")
    store.add(cell())
    outside = tmp_path / "outside.json"
    (store.folder / "C25-0007.json").rename(outside)
    (store.folder / "C25-0007.json").symlink_to(outside)
    with pytest.raises(ConfigError):
        store.show("C25-0007")
    with pytest.raises(ConfigError):
        store.add(cell())


@pytest.mark.fault("F76")
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"schema": "cellbench/sample/2"}', b'{"schema": "cellbench/sample/1"}',
     b'{"schema": "cellbench/sample/1", "id": "other", "type": "nmc-25ah"}'],
)  # fmt: skip
def test_a_record_that_cannot_be_used_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "C25-0007.json").write_bytes(content)
    store = SampleStore(tmp_path)
    with pytest.raises(ConfigError, match=r"C25-0007\.json"):
        store.show("C25-0007")
    with pytest.raises(ConfigError):
        store.list()


@pytest.mark.fault("F76")
def test_a_write_that_fails_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_atomically(path, b"old")
    blocked = tmp_path / f".record.json.{os.getpid()}.new"
    blocked.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


def test_a_folder_that_is_a_file_is_a_record_error(tmp_path: Path) -> None:
    (tmp_path / "samples").write_text("")
    with pytest.raises(RecordError):
        SampleStore(tmp_path / "samples").add(cell())


def test_two_processes_that_note_runs_lose_none(tmp_path: Path) -> None:
    SampleStore(tmp_path).add(cell())
    code = (
        "from pathlib import Path\nfrom bench.samples import SampleStore\n"
        "def work():\n"
        "    for number in range(100): SampleStore(Path(sys.argv[1])).add_run('C25-0007', f'{sys.argv[2]}-{number}')"
    )
    together(code, [(str(tmp_path), str(who)) for who in range(2)])
    assert len(SampleStore(tmp_path).show("C25-0007").runs) == 200
