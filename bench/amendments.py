"""What was added to a closed bundle: ``amendments/NNNN.json``, each carrying the hash of what it follows.

The first names the sha256 of ``manifest.json``, each later one that of the amendment before it; each vouches for its
own text with ``digest``, by the manifest's rule. Nothing that is sealed is touched. What the chain cannot show is
that its *last* amendments were taken away: docs/bundle.md says so, and what helps.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import orjson

from bench.bundle import AMENDMENTS, MANIFEST, digest_of, manifest_text, sha256_of, sync
from bench.results import Problem
from drivers.errors import ConfigError, Fault, RecordError

SCHEMA = "cellbench/amendment/1"
#: Where attached files lie, each named by its own sha256.
FILES = f"{AMENDMENTS}/files"

Kind = Literal["judgement", "attachment"]

_NUMBERED = re.compile(rf"{AMENDMENTS}/([0-9]{{4}})\.json")
#: What an interrupted addition leaves: nothing rests on it, and the next one clears it away.
_UNFINISHED = re.compile(r"\..*\.part")
_KEYS = frozenset({"schema", "n", "kind", "made_utc", "by", "note", "previous", "digest"})
_FILE_KEYS = frozenset({"path", "sha256", "size"})


@dataclass(frozen=True, slots=True)
class Amendment:
    """One addition, as it was written; ``sha256`` is that of its file."""

    data: Mapping[str, Any]
    sha256: str

    @property
    def n(self) -> int:
        return int(self.data["n"])

    @property
    def kind(self) -> str:
        return str(self.data["kind"])

    @property
    def path(self) -> str:
        return path_of(self.n)


@dataclass(frozen=True, slots=True)
class Chain:
    """The amendments of a bundle as far as they hold, and what does not fit. ``head`` is what the next one carries."""

    amendments: tuple[Amendment, ...]
    head: str
    problems: tuple[Problem, ...] = ()

    def of(self, kind: Kind) -> tuple[Amendment, ...]:
        return tuple(amendment for amendment in self.amendments if amendment.kind == kind)


def path_of(n: int) -> str:
    """Where the n-th amendment stands in the bundle; the first is 1."""
    return f"{AMENDMENTS}/{n:04d}.json"


def read(folder: Path, *, files: bool = False) -> Chain:
    """Follow the chain from the seal. With ``files`` what was attached is read and compared too.

    Never raises for what the folder holds. A bundle that is not closed has no chain.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return Chain((), "")
    found: list[Amendment] = []
    problems: list[Problem] = []
    head = sha256_of(manifest)
    if (folder / AMENDMENTS).is_symlink():
        return Chain((), head, (_problem(AMENDMENTS, "is a link, not a folder of the bundle"),))
    here = {path.relative_to(folder).as_posix() for path in _files(folder) if not _UNFINISHED.fullmatch(path.name)}
    numbers = sorted(int(match[1]) for match in map(_NUMBERED.fullmatch, here) if match is not None)
    for n in range(1, max(numbers, default=0) + 1):
        name = path_of(n)
        if name not in here:
            problems.append(_problem(name, f"is missing: {path_of(numbers[-1])} comes after it"))
            break
        data, why = _checked(folder / name, n, head)
        if data is None:
            problems.append(_problem(name, why))
            break
        head = sha256_of(folder / name)
        found.append(Amendment(data, head))
    told = {amendment.path for amendment in found} | {problem.file for problem in problems}
    for amendment in found:
        if amendment.kind == "attachment":
            told.add(str(amendment.data["path"]))
            problems += _file_problem(folder, amendment.data, compare=files)
    after = "follows an amendment that does not hold" if problems else "belongs to no amendment"
    problems += [_problem(name, after) for name in sorted(here - told)]
    return Chain(tuple(found), head, tuple(problems))


@contextmanager
def adding(folder: Path) -> Iterator[Adding]:
    """Hold the chain of a closed bundle, so that two people who add at once do so one after the other.

    Raises RecordError if the bundle is not closed or what was added before does not hold.
    """
    try:
        handle = os.open(folder / MANIFEST, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        fix = "only a closed run is amended; what belongs to an interrupted one stays beside it"
        raise RecordError("the bundle is not closed", str(folder), fix) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for path in _files(folder):
            if _UNFINISHED.fullmatch(path.name):
                path.unlink()
        chain = read(folder, files=True)
        if chain.problems:
            said = "; ".join(map(str, chain.problems))
            raise RecordError(f"what was added before does not hold: {said}", str(folder), "restore it, then add to it")
        yield Adding(folder, chain)
    finally:
        os.close(handle)


class Adding:
    """The end of a chain, held by this process."""

    def __init__(self, folder: Path, chain: Chain) -> None:
        self.folder = folder
        self.chain = chain

    def append(self, kind: Kind, *, by: str, note: str, utc_s: float, **fields: Any) -> Amendment:
        """Write the next amendment; it is on disk, whole, when this returns. Raises RecordError."""
        n = len(self.chain.amendments) + 1
        data: dict[str, Any] = {
            "schema": SCHEMA,
            "n": n,
            "kind": kind,
            "made_utc": datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="seconds"),
            "by": by,
            "note": note,
            **fields,
            "previous": self.chain.head,
            "digest": "",
        }
        data["digest"] = digest_of(data)
        path = self.folder / path_of(n)
        try:
            path.parent.mkdir(exist_ok=True)
            put_whole(path, manifest_text(data).encode())
        except OSError as error:
            raise unwritable(self.folder, error) from error
        amendment = Amendment(data, sha256_of(path))
        self.chain = Chain((*self.chain.amendments, amendment), amendment.sha256)
        return amendment


def put_whole(path: Path, content: bytes) -> None:
    """Write a file that is not there yet: afterwards it is whole and on disk, or not there. Raises OSError."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        sync(part)
        part.rename(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    sync(path.parent)
    sync(path.parent.parent)


def unwritable(folder: Path, error: OSError) -> RecordError:
    return RecordError(
        f"the bundle cannot be amended: {error.strerror or error}",
        str(folder),
        "free space, or give this account the right to add to the folder; nothing that is sealed was touched",
    )


def named(by: str, note: str = "", *, note_wanted: bool = False) -> tuple[str, str]:
    """Who adds something, and the note, without outer blanks. Raises ConfigError with every one that is missing."""
    faults: list[Fault] = []
    if not by.strip():
        faults.append(Fault("nobody's name stands behind it", "--by", "write who adds it"))
    if note_wanted and not note.strip():
        faults.append(Fault("it is not said what was looked at", "--note", 'write for example --note "video 3"'))
    if faults:
        raise ConfigError(faults)
    return by.strip(), note.strip()


def _files(folder: Path) -> list[Path]:
    return [path for path in (folder / AMENDMENTS).rglob("*") if not path.is_dir()]


def _checked(path: Path, n: int, previous: str) -> tuple[dict[str, Any] | None, str]:
    """An amendment's data, or None and why it does not hold."""
    if path.is_symlink():
        return None, "is a link, not the file that was written"
    raw = path.read_bytes()
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None, "is not a whole amendment"
    if not isinstance(data, dict) or _KEYS - data.keys():
        return None, "is not a whole amendment"
    if data["schema"] != SCHEMA:
        return None, f"has schema {data['schema']!r}; this program knows {SCHEMA}"
    if manifest_text(data).encode() != raw or digest_of(data) != data["digest"]:
        return None, "does not agree with its own digest"
    if data["n"] != n:
        return None, f"says that it is number {data['n']}"
    if data["previous"] != previous:
        return None, f"does not carry the hash of {MANIFEST if n == 1 else path_of(n - 1)}"
    if data["kind"] == "attachment" and _FILE_KEYS - data.keys():
        return None, "does not say what was attached"
    return data, ""


def _file_problem(folder: Path, data: Mapping[str, Any], *, compare: bool) -> list[Problem]:
    name = str(data["path"])
    path = folder / name
    if Path(name).parent.as_posix() != FILES or path.is_symlink():
        return [_problem(name, "is not a file among the amendments")]
    if not path.is_file():
        return [_problem(name, f"is missing; {path_of(int(data['n']))} attached it")]
    if path.stat().st_size != data["size"]:
        return [_problem(name, f"has {path.stat().st_size} bytes, {path_of(int(data['n']))} says {data['size']}")]
    if compare and sha256_of(path) != data["sha256"]:
        return [_problem(name, f"was altered: its sha256 is not that of {path_of(int(data['n']))}")]
    return []


def _problem(name: str, error: str) -> Problem:
    return Problem(file=name, record=None, error=error)
