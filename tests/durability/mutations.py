"""Single mutations of a folder of files, drawn by a seed: each changes what is there, and can be undone."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mutation:
    """What was done to which file: printed when nobody noticed."""

    kind: str
    file: str
    at: int = 0

    def __str__(self) -> str:
        return f"{self.kind} {self.file} at {self.at}"


def _bit(raw: bytes, at: int, rng: random.Random) -> bytes:
    return raw[:at] + bytes([raw[at] ^ (1 << rng.randrange(8))]) + raw[at + 1 :]


def _byte(raw: bytes, at: int, rng: random.Random) -> bytes:
    return raw[:at] + bytes([(raw[at] + rng.randrange(1, 256)) % 256]) + raw[at + 1 :]


def _drop_byte(raw: bytes, at: int, _: random.Random) -> bytes:
    return raw[:at] + raw[at + 1 :]


def _put_byte(raw: bytes, at: int, rng: random.Random) -> bytes:
    return raw[:at] + bytes([rng.choice(b' \n\t0a"')]) + raw[at:]


def _cut_tail(raw: bytes, at: int, _: random.Random) -> bytes:
    return raw[:at]


def _zeroed(raw: bytes, at: int, rng: random.Random) -> bytes:
    size = rng.choice((1, 16, 512))
    return raw[:at] + bytes(len(raw[at : at + size])) + raw[at + size :]


def _drop_line(raw: bytes, at: int, _: random.Random) -> bytes:
    lines = raw.splitlines(keepends=True)
    del lines[raw[:at].count(b"\n") % len(lines)]
    return b"".join(lines)


def _double_line(raw: bytes, at: int, _: random.Random) -> bytes:
    lines = raw.splitlines(keepends=True)
    number = raw[:at].count(b"\n") % len(lines)
    return b"".join([*lines[: number + 1], *lines[number:]])


def _swap_lines(raw: bytes, at: int, rng: random.Random) -> bytes:
    lines = raw.splitlines(keepends=True)
    one, other = raw[:at].count(b"\n") % len(lines), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


CONTENT: dict[str, Callable[[bytes, int, random.Random], bytes]] = {
    "flip a bit of": _bit,
    "change a byte of": _byte,
    "take a byte out of": _drop_byte,
    "put a byte into": _put_byte,
    "cut the tail of": _cut_tail,
    "zero a range of": _zeroed,
    "drop a line of": _drop_line,
    "double a line of": _double_line,
    "swap lines of": _swap_lines,
}
WHOLE = ("remove", "swap with another", "replace by another", "add beside", "rename")


def files_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def drawn(folder: Path, rng: random.Random) -> Iterator[Mutation]:
    """Mutations without end: every file as often as every other, however small."""
    names = files_of(folder)
    while True:
        name = rng.choice(names)
        kind = rng.choice((*CONTENT, *WHOLE)) if rng.random() < 0.5 else rng.choice(tuple(CONTENT))
        yield Mutation(kind, name, rng.randrange(max((folder / name).stat().st_size, 1)))


@contextmanager
def done(folder: Path, mutation: Mutation, rng: random.Random) -> Iterator[bool]:
    """Carry the mutation out, say whether it changed anything, and undo it."""
    names = files_of(folder)
    path = folder / mutation.file
    kept = path.read_bytes()
    if mutation.kind in CONTENT:
        changed = CONTENT[mutation.kind](kept, mutation.at, rng) if kept else b"x"
        path.write_bytes(changed)
        try:
            yield changed != kept
        finally:
            path.write_bytes(kept)
        return
    other = folder / rng.choice([name for name in names if name != mutation.file])
    others = other.read_bytes()
    beside = path.with_name(f"{rng.randrange(10**6)}{path.name}")
    match mutation.kind:
        case "remove":
            path.unlink()
        case "swap with another":
            path.write_bytes(others)
            other.write_bytes(kept)
        case "replace by another":
            path.write_bytes(others)
        case "add beside":
            shutil.copy(path, beside)
        case "rename":
            path.rename(beside)
    try:
        yield mutation.kind in {"remove", "add beside", "rename"} or others != kept
    finally:
        beside.unlink(missing_ok=True)
        path.write_bytes(kept)
        other.write_bytes(others)
