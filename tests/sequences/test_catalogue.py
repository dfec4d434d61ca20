"""Finding sequences: ours, files, and libraries of distributions that were named - no others."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sequences
from drivers import ConfigError
from sequences.catalogue import _registered
from tests.sequences.texts import SMALL

OWN = (
    "gb38031-2025/crush",
    "gb38031-2025/external-short",
    "gb38031-2025/heating",
    "gb38031-2025/needle-trigger",
    "gb38031-2025/overcharge",
    "gbt31485-2015/nail-penetration",
    "gbt31486-2015/room-capacity",
    "gbt31486-2024/room-capacity",
)


def fault_of(wanted: str | Path, distributions: tuple[str, ...] = ()) -> tuple[str, str, str]:
    with pytest.raises(ConfigError) as refused:
        sequences.load(wanted, distributions=distributions)
    fault = refused.value.faults[0]
    return fault.where, fault.error, fault.fix


def test_the_library_lists_itself() -> None:
    assert sequences.ids() == OWN
    entries = sequences.catalogue()
    assert tuple(entry.id for entry in entries) == OWN
    assert all(
        entry.standard is not None and entry.standard.source in ("GB/T 31486", "GB/T 31485", "GB 38031")
        for entry in entries
    )


@pytest.mark.parametrize("wanted", OWN)
def test_the_source_is_the_text_as_written(wanted: str) -> None:
    found = sequences.source(wanted)
    assert found.where == wanted.replace("/", ".") + ".yaml"
    assert found.text == sequences.source_text(wanted)
    assert sequences.parse(found.text, found.where) == sequences.load(wanted)


def test_an_unknown_id_is_refused_by_name() -> None:
    where, error, fix = fault_of("no-such/sequence")
    assert where == "no-such/sequence"
    assert "'no-such/sequence'" in error
    assert OWN[0] in fix
    assert fault_of("gbt31486-2024/room-capacty")[2] == "did you mean gbt31486-2024/room-capacity?"


def test_a_file_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    assert sequences.load(path).id == "lab/small"
    assert sequences.load(str(path)).id == "lab/small"
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.encode())  # some editors begin a file so
    assert sequences.load(path).id == "lab/small"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert "No such file" in fault_of(tmp_path / "none.yaml")[1]
    assert "directory" in fault_of(tmp_path)[1]
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"schema: cellbench/sequence/1\nid: caf\xe9\n")
    where, error, _ = fault_of(path)
    assert where == f"{path}:2:1"
    assert error == "not UTF-8 text"
    path.write_bytes(b"# " + "电".encode() * 200_000)
    assert "at most 262144" in fault_of(path)[1]


def test_the_file_is_read_as_it_was_asked(tmp_path: Path) -> None:
    sequence = sequences.load(tmp_path / "not-there.yaml", read=lambda _: SMALL.encode())
    assert sequence.id == "lab/small"


@pytest.fixture
def other_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed distribution ``other-lab`` with a library of its own."""
    package = tmp_path / "other_lab_sequences"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "lab.small.yaml").write_text(SMALL)
    (package / "lab.calls.yaml").write_text(
        SMALL[: SMALL.index("parameters:")].replace("lab/small", "lab/calls")
        + "log: {every: 1 s}\nsteps:\n  - call: {id: one, sequence: lab/small}\n"
    )
    (package / "elsewhere.small.yaml").write_text("not ours to read")
    info = tmp_path / "other_lab-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-lab\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cellbench.sequences]\nlab = other_lab_sequences\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    _registered.cache_clear()
    yield package
    _registered.cache_clear()
    sys.modules.pop("other_lab_sequences", None)


def test_a_library_that_was_not_named_is_not_even_imported(other_lab: Path) -> None:
    assert sequences.ids() == OWN
    assert "there is no sequence 'lab/small'" in fault_of("lab/small")[1]
    assert "other_lab_sequences" not in sys.modules


def test_a_library_that_was_named_is_used(other_lab: Path) -> None:
    named = ("other-lab",)
    assert sequences.ids(named) == (*OWN, "lab/calls", "lab/small")
    assert sequences.load("lab/small", distributions=named).id == "lab/small"
    calling = sequences.load("lab/calls", distributions=named)
    assert [step.kind for step in sequences.expand(calling, distributions=named).steps] == ["repeat"]


def test_a_file_must_hold_what_its_name_says(other_lab: Path) -> None:
    (other_lab / "lab.small.yaml").write_text(SMALL.replace("lab/small", "lab/large"))
    assert "holds 'lab/large', not 'lab/small'" in fault_of("lab/small", ("other-lab",))[1]
