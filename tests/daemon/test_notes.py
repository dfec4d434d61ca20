"""What one shift writes down for the next: kept as it was said, the newest first, whatever else stands in the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import handover_notes
from bench.daemon.desk import DeskRefused
from bench.daemon.front_desk import FrontDesk
from bench.daemon.house import BenchHouse
from bench.daemon.views import EventView
from bench.handover_notes import FILE, LONGEST, add, read
from drivers.errors import ConfigError, RecordError
from tests.daemon.houses import in_house


def test_notes_come_back_newest_first_and_as_they_were_said(tmp_path: Path) -> None:
    said = ["channel 3: clamp loose\nlook again", "夹具已更换", 'quotes " and \u2028 a line']
    for at, text in enumerate(said):
        add(tmp_path, f"  {text} ", by="wang", utc_s=100.0 + at)
    found = read(tmp_path)
    assert [note.text for note in found.notes] == said[::-1]
    assert [note.utc_s for note in found.notes] == [102.0, 101.0, 100.0]
    assert {note.by for note in found.notes} == {"wang"}
    assert len((tmp_path / FILE).read_bytes().splitlines()) == 3
    assert [note.text for note in read(tmp_path, limit=1).notes] == said[:1:-1]
    assert [note.text for note in read(tmp_path, since_utc_s=101.0).notes] == said[:0:-1]


def test_a_folder_without_notes_has_none(tmp_path: Path) -> None:
    assert read(tmp_path) == handover_notes.Notes(())


def test_a_line_that_a_power_cut_broke_off_costs_no_other_note(tmp_path: Path) -> None:
    add(tmp_path, "first", by="wang", utc_s=1.0)
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"utc_s": 2.0, "by": "wa')
    add(tmp_path, "third", by="li", utc_s=3.0)
    found = read(tmp_path)
    assert [note.text for note in found.notes] == ["third", "first"]
    assert found.unreadable == 1


def test_of_a_file_of_many_years_the_end_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for at in range(100):
        add(tmp_path, f"note {at}", by="wang", utc_s=float(at))
    monkeypatch.setattr(handover_notes, "MOST_BYTES", 1000)
    found = read(tmp_path)
    texts = [note.text for note in found.notes]
    assert texts == [f"note {at}" for at in range(99, 99 - len(texts), -1)]
    assert 10 < len(texts) < 100
    assert found.unreadable == 0


@pytest.mark.parametrize(("text", "by"), [("", "wang"), (" \n", "wang"), ("x" * (LONGEST + 1), "wang"), ("x", " ")])
def test_an_empty_an_endless_and_a_nameless_note_are_refused(tmp_path: Path, text: str, by: str) -> None:
    with pytest.raises(ConfigError):
        add(tmp_path, text, by=by, utc_s=1.0)
    assert not (tmp_path / FILE).exists()


def test_a_note_that_cannot_be_kept_is_not_said_to_be(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(RecordError):
        add(tmp_path, "x", by="wang", utc_s=1.0)
    with pytest.raises(RecordError):
        read(tmp_path)


def test_the_desk_keeps_notes_in_the_data_folder_and_tells_of_them(tmp_path: Path) -> None:
    async def visit(house: BenchHouse, desk: FrontDesk) -> None:
        heard = list[EventView]()
        desk.listen(heard.append)
        first = await desk.add_note("clamp of 3 is loose", by="wang")
        assert (first.by, first.text) == ("wang", "clamp of 3 is loose")
        await desk.add_note("mended", by="li")
        assert [note.text for note in await desk.notes()] == ["mended", "clamp of 3 is loose"]
        assert [note.text for note in await desk.notes(limit=1)] == ["mended"]
        assert [(event.kind, event.data["by"]) for event in heard] == [("note", "wang"), ("note", "li")]
        with pytest.raises(DeskRefused) as refused:
            await desk.add_note(" ", by="li")
        assert refused.value.code == "out-of-limits"
        assert [note.text for note in read(house.settings.data).notes] == ["mended", "clamp of 3 is loose"]

    in_house(tmp_path, visit)
