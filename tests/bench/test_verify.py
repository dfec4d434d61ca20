"""Every kind of damage to a closed bundle is found, and named."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench import bundle
from bench.results import VerifyStatus
from bench.row_files import RowPart, row_parts
from bench.verify import Verification, verify, verify_result
from tests.bench.synthetic_run import record_run, sealed_run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sealed_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def copy(sealed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sealed, tmp_path / "moved"))


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def flip(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(bytes(raw))


def named(found: Verification) -> set[str]:
    return {problem.file for problem in found.problems}


def test_an_untouched_copy_in_another_place_is_intact(copy: Path) -> None:
    found = verify(copy)
    assert found.status is VerifyStatus.INTACT
    assert found.problems == ()
    assert found.durable is False


def test_sha256sum_itself_accepts_the_bundle(copy: Path) -> None:
    subprocess.run(["sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS"], cwd=copy, check=True)


def test_every_file_altered_cut_and_removed_is_found_and_named(copy: Path) -> None:
    for victim in files_of(copy):
        whole = victim.read_bytes()
        name = victim.relative_to(copy).as_posix()
        for change in (whole[: len(whole) // 2], whole + b"\n", b"", None):
            if change is None:
                victim.unlink()
            else:
                victim.write_bytes(change)
            found = verify(copy)
            wanted = {VerifyStatus.NOT_CLOSED} if name == "manifest.json" and change is None else {VerifyStatus.ALTERED}
            assert found.status in wanted, (name, change and change[:20])
            assert name in named(found)
            victim.write_bytes(whole)
    assert verify(copy).status is VerifyStatus.INTACT


def test_a_flipped_bit_anywhere_is_found(copy: Path) -> None:
    """Bytes all along the manifest and SHA256SUMS, and a seeded choice from every other file."""
    rng = random.Random("flips")
    for victim in files_of(copy):
        size = victim.stat().st_size
        every = victim.name in ("manifest.json", "SHA256SUMS")
        for at in range(0, size, 61) if every else [0, size - 1, *(rng.randrange(size) for _ in range(4))]:
            flip(victim, at)
            found = verify(copy)
            assert found.status is VerifyStatus.ALTERED, (victim.name, at)
            assert victim.relative_to(copy).as_posix() in named(found)
            flip(victim, at)


def test_an_added_file_is_reported(copy: Path) -> None:
    (copy / "notes.txt").write_text("x")
    assert named(verify(copy)) == {"notes.txt"}


def test_the_altered_event_is_named_by_its_number(copy: Path) -> None:
    path = copy / "events.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[5] = lines[5].replace(b"humidity", b"humiditx")
    lines[5] = lines[5].replace(b"step_started", b"step_startet")
    path.write_bytes(b"\n".join(lines))
    problems = [problem for problem in verify(copy).problems if problem.record is not None]
    assert [(problem.file, problem.record) for problem in problems] == [("events.jsonl", 5)]
    assert "events.jsonl, record 5" in str(problems[0])


def test_the_altered_line_of_the_bdf_file_is_named(copy: Path) -> None:
    path = next(copy.glob("*.bdf.csv"))
    lines = path.read_text().splitlines(keepends=True)
    lines[17] = lines[17].replace(",", ",9", 1)
    path.write_text("".join(lines))
    assert [(it.file, it.record) for it in verify(copy).problems] == [(path.name, 17)]


def reseal(folder: Path) -> None:
    """What a forger without this program's chains would do: make sums and manifest fit the altered files."""
    manifest = json.loads((folder / "manifest.json").read_text())
    names = sorted(p.relative_to(folder).as_posix() for p in files_of(folder))
    sums = [it for it in names if it not in ("manifest.json", "SHA256SUMS")]

    def sha256(name: str) -> str:
        return hashlib.sha256((folder / name).read_bytes()).hexdigest()

    (folder / "SHA256SUMS").write_text("".join(f"{sha256(it)}  {it}\n" for it in sums))
    manifest["files"] = [
        {"path": it, "size": (folder / it).stat().st_size, "sha256": sha256(it)}
        for it in names
        if it != "manifest.json"
    ]
    manifest["digest"] = bundle.digest_of(manifest)
    (folder / "manifest.json").write_text(bundle.manifest_text(manifest))


def test_the_chain_finds_an_event_that_was_removed_and_covered_up(copy: Path) -> None:
    path = copy / "events.jsonl"
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join(lines[:4] + lines[5:]))
    reseal(copy)
    assert "events.jsonl" in named(verify(copy))


def test_the_heads_find_a_record_that_was_cut_at_its_end_and_covered_up(copy: Path) -> None:
    path = copy / "events.jsonl"
    path.write_bytes(b"\n".join(path.read_bytes().split(b"\n")[:-2]) + b"\n")
    reseal(copy)
    assert "events.jsonl" in named(verify(copy))


def test_the_segment_event_finds_a_segment_that_was_exchanged_and_covered_up(copy: Path) -> None:
    shutil.copy(copy / "readings" / "0002.parquet", copy / "readings" / "0001.parquet")
    reseal(copy)
    assert named(verify(copy)) >= {"readings/0001.parquet"}


def test_sums_that_say_something_else_than_the_files_are_found(copy: Path) -> None:
    path = copy / "SHA256SUMS"
    path.write_text(path.read_text().replace("0", "1", 1))
    manifest = json.loads((copy / "manifest.json").read_text())
    entry = next(it for it in manifest["files"] if it["path"] == "SHA256SUMS")
    entry["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest["digest"] = bundle.digest_of(manifest)
    (copy / "manifest.json").write_text(bundle.manifest_text(manifest))
    assert named(verify(copy)) == {"SHA256SUMS"}


@pytest.mark.parametrize("after", ["events", "parts"])
def test_a_window_that_turns_while_one_looks_is_no_alteration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    """Between the events and the windows, or between the windows' names and their lines, the run goes on."""
    log = record_run(tmp_path / "run")
    log.flush()
    turns = iter((True,))
    names = row_parts

    def parts(folder: Path, said: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[RowPart, ...]:
        known = list(said)
        before = names(folder, known)
        if next(turns, False):
            columns = next(len(data["columns"]) for kind, data in known if kind == "readings")
            log.row((1e6, 2e9, 1.0, *([1.0] * (columns - 3))))
            log.flush()
        return names(folder, known) if after == "events" else before

    monkeypatch.setattr("bench.verify.row_parts", parts)
    found = verify(tmp_path / "run")
    assert (found.status, found.owned, named(found)) == (VerifyStatus.NOT_CLOSED, True, {"manifest.json"})
    log.abandon()


@pytest.mark.parametrize("folder", [ROOT / "docs", ROOT / "no-such-folder"])
def test_what_is_no_bundle(folder: Path) -> None:
    found = verify(folder)
    assert found.status is VerifyStatus.NOT_A_BUNDLE
    assert verify_result(found).exit_code == 2


def test_an_open_and_an_interrupted_run_are_not_closed(tmp_path: Path) -> None:
    log = record_run(tmp_path / "run")
    found = verify(tmp_path / "run")
    assert (found.status, found.owned) == (VerifyStatus.NOT_CLOSED, True)
    log.flush()
    log.abandon()
    with (tmp_path / "run" / "events.jsonl").open("ab") as file:
        file.write(b'{"n":')
    found = verify(tmp_path / "run")
    assert (found.status, found.owned) == (VerifyStatus.NOT_CLOSED, False)
    assert verify_result(found).exit_code == 5
    assert [it.error for it in found.problems if it.file == "events.jsonl"] == ["ends in a torn record"]


def test_an_interrupted_run_whose_log_was_altered_says_so(tmp_path: Path) -> None:
    record_run(tmp_path / "run").abandon()
    window = next((tmp_path / "run" / "readings").glob("window-*.jsonl"))
    lines = window.read_bytes().split(b"\n")
    lines[3] = lines[3].replace(b",", b",1", 1)
    window.write_bytes(b"\n".join(lines))
    found = verify(tmp_path / "run")
    assert found.status is VerifyStatus.ALTERED
    assert ("readings/" + window.name, 3) in {(it.file, it.record) for it in found.problems}


@pytest.fixture(scope="module")
def stand_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The verifier of docs/bundle.md, as a file of its own."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "bundle.md").read_text(), re.DOTALL)
    assert len(blocks) == 1
    assert len(blocks[0].splitlines()) <= 90
    path = tmp_path_factory.mktemp("alone") / "verify_bundle.py"
    path.write_text(blocks[0])
    return path


def alone(program: Path, folder: Path, *keys: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", "-W", "error", str(program), str(folder), *keys]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_verifier_in_the_docs_accepts_a_good_bundle(stand_alone: Path, copy: Path) -> None:
    done = alone(stand_alone, copy)
    assert (done.returncode, done.stdout.strip()) == (3, "intact, signed by nobody"), done.stderr


@pytest.mark.parametrize(
    "name", ["manifest.json", "SHA256SUMS", "events.jsonl", "readings/0001.parquet", "result.json"]
)
def test_the_verifier_in_the_docs_names_a_damaged_file(stand_alone: Path, copy: Path, name: str) -> None:
    flip(copy / name, (copy / name).stat().st_size // 2)
    done = alone(stand_alone, copy)
    assert done.returncode == 1
    assert name in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_the_verifier_in_the_docs_finds_missing_and_added_files(stand_alone: Path, copy: Path) -> None:
    (copy / "events.jsonl").unlink()
    (copy / "notes.txt").write_text("x")
    done = alone(stand_alone, copy)
    assert done.returncode == 1
    assert "events.jsonl is missing" in done.stdout
    assert "notes.txt was added" in done.stdout
