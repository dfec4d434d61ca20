"""What was added to a closed bundle: ``amendments/NNNN.json``, each carrying the hash of what it follows.

The first names the sha256 of ``manifest.json``, each later one that of the amendment before it; each vouches for its
own text with ``digest``, by the manifest's rule, and is signed in ``NNNN.json.sig``. Nothing that is sealed is touched.
What the chain alone cannot show is that its *last* amendments were taken away together with their signatures; the
register of the data folder that added them remembers how many there were (bench/seal_key.py).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import orjson

from bench import schemas, signature
from bench.bundle import AMENDMENTS, MANIFEST, digest_of, manifest_text, sha256_of, sync
from bench.results import Problem
from bench.seal_key import SealKey, remembered
from bench.signature import Sealed
from drivers.errors import ConfigError, Fault, RecordError

SCHEMA = schemas.newest("amendment")
#: Where attached files lie, each named by its own sha256.
FILES = f"{AMENDMENTS}/files"

Kind = Literal["judgement", "attachment"]

_NUMBERED = re.compile(rf"{AMENDMENTS}/([0-9]{{4}})\.json(?:\.sig)?")
#: What an interrupted addition leaves: nothing rests on it, and the next one clears it away.
_UNFINISHED = re.compile(r"\..*\.part")
_KEYS = frozenset({"schema", "n", "kind", "made_utc", "by", "note", "previous", "digest"})
_FILE_KEYS = frozenset({"path", "sha256", "size"})


@dataclass(frozen=True, slots=True)
class Amendment:
    """One addition, in the newest form; ``sha256`` is that of its file, ``key`` the one that signed it ("" if none)."""

    data: Mapping[str, Any]
    sha256: str
    key: str = ""

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
        data, key, why = _checked(folder / name, n, head)
        if data is None:
            problems.append(_problem(*why))
            break
        head = sha256_of(folder / name)
        found.append(Amendment(data, head, key))
    told = {amendment.path for amendment in found} | {problem.file for problem in problems}
    told |= {f"{amendment.path}{signature.SUFFIX}" for amendment in found if amendment.key}
    for amendment in found:
        if amendment.kind == "attachment":
            told.add(str(amendment.data["path"]))
            problems += _file_problem(folder, amendment.data, compare=files)
    after = "follows an amendment that does not hold" if problems else "belongs to no amendment"
    problems += [_problem(name, after) for name in sorted(here - told)]
    return Chain(tuple(found), head, tuple(problems))


@contextmanager
def adding(folder: Path, key: SealKey | None = None) -> Iterator[Adding]:
    """Hold the chain of a closed bundle, so that two people who add at once do so one after the other. ``key`` signs.

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
        yield Adding(folder, chain, key)
    finally:
        os.close(handle)


def clear_broken_off(folder: Path, key: SealKey | None) -> None:
    """Make a bundle whole again whose last addition was broken off, if ``key`` knows that it was. Never raises OSError:
    what cannot be cleared away is found by whoever verifies."""
    if key is None or not (folder / AMENDMENTS).is_dir():
        return
    with suppress(OSError):
        handle = os.open(folder / MANIFEST, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # else it may be under way
            _clear_broken_off(folder, key)
        finally:
            os.close(handle)


def _clear_broken_off(folder: Path, key: SealKey) -> None:
    """Take away the signature of an addition that was broken off before the amendment itself had its name.

    Only where the key's own register knows that it never came about: elsewhere the amendment may have been taken away.
    """
    known = remembered(key.folder).get(sha256_of(folder / MANIFEST))
    if known is None:
        return
    beside = folder / f"{path_of(known.amendments + 1)}{signature.SUFFIX}"
    if not (folder / path_of(known.amendments + 1)).exists():
        beside.unlink(missing_ok=True)


class Adding:
    """The end of a chain, held by this process."""

    def __init__(self, folder: Path, chain: Chain, key: SealKey | None = None) -> None:
        self.folder = folder
        self.chain = chain
        self._key = key

    def append(self, kind: Kind, *, by: str, note: str, utc_s: float, **fields: Any) -> Amendment:
        """Write the next amendment; it is on disk, whole and signed, when this returns. Raises RecordError."""
        n = len(self.chain.amendments) + 1
        key = self._key
        data: dict[str, Any] = {
            "schema": SCHEMA,
            "n": n,
            "kind": kind,
            "made_utc": datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="seconds"),
            "by": by,
            "note": note,
            **fields,
            "signer": None if key is None else key.public,
            "previous": self.chain.head,
            "digest": "",
        }
        data["digest"] = digest_of(data)
        content = manifest_text(data).encode()
        path = self.folder / path_of(n)
        beside = path.with_name(path.name + signature.SUFFIX)
        amendment = Amendment(data, hashlib.sha256(content).hexdigest(), "" if key is None else key.public)
        try:
            path.parent.mkdir(exist_ok=True)
            if key is not None:  # the signature first: the amendment's own name makes it count
                put_whole(beside, key.sign(content))
            put_whole(path, content)
            if key is not None:  # last: the register must never know of an amendment that was not made
                key.remember(sha256_of(self.folder / MANIFEST), Sealed(n, amendment.sha256))
        except OSError as error:
            if not path.exists():
                beside.unlink(missing_ok=True)
            raise unwritable(self.folder, error) from error
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


def _checked(path: Path, n: int, previous: str) -> tuple[dict[str, Any] | None, str, tuple[str, str]]:
    """An amendment's data in the newest form and the key that signed it; or None, and which file fails and why."""
    name = path_of(n)
    try:
        raw = b"" if path.is_symlink() else path.read_bytes()
        data = orjson.loads(raw)
        whole = isinstance(data, dict) and not _KEYS - data.keys()
        own = whole and manifest_text(data).encode() == raw and digest_of(data) == data["digest"]
    except (orjson.JSONDecodeError, OSError, UnicodeEncodeError):
        return None, "", (name, "is not a whole amendment, or a link")
    if not whole:
        return None, "", (name, "is not a whole amendment")
    if not own:
        return None, "", (name, "does not agree with its own digest")
    try:
        data = schemas.migrated(data, "amendment", name)
    except RecordError as error:
        return None, "", (name, error.faults[0].error)
    if data["n"] != n:
        return None, "", (name, f"says that it is number {data['n']}")
    if data["previous"] != previous:
        return None, "", (name, f"does not carry the hash of {MANIFEST if n == 1 else path_of(n - 1)}")
    if data["kind"] == "attachment" and _FILE_KEYS - data.keys():
        return None, "", (name, "does not say what was attached")
    return _signed(path, raw, data)


def _signed(path: Path, raw: bytes, data: dict[str, Any]) -> tuple[dict[str, Any] | None, str, tuple[str, str]]:
    signer = data["signer"]
    if signer is None:
        return data, "", ("", "")
    beside = path.with_name(path.name + signature.SUFFIX)
    name = f"{AMENDMENTS}/{beside.name}"
    if beside.is_symlink() or not beside.is_file():
        return None, "", (name, f"is missing: {AMENDMENTS}/{path.name} is signed")
    key, why = signature.check(raw, beside.read_bytes())
    if key and key != signer:
        why = f"is another key's than {AMENDMENTS}/{path.name} says"
    return (None, "", (name, why)) if why else (data, key, ("", ""))


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
