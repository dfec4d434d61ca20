"""The form of a record on disk: one JSON line, each carrying the sha256 of the line before it.

Both logs of a run use it. A line is bytes without its newline; ``prev`` of the first record is :data:`GENESIS`.
docs/bundle.md gives the same rule in words, and a verifier that needs nothing of ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel

#: ``prev`` of the first record of a chain.
GENESIS = "0" * 64


def digest(line: bytes) -> str:
    """sha256 of one record as it stands in the file, without its newline, in hex."""
    return hashlib.sha256(line).hexdigest()


def encode(record: Any) -> bytes:
    """One record as bytes without a newline. NaN and infinity become null; a set is refused: it has no order."""
    return orjson.dumps(record, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError(f"{type(value).__name__} cannot stand in a record")


@dataclass(frozen=True, slots=True)
class Lines:
    """The whole lines of a log, and what followed the last newline: a torn tail if it is not empty."""

    lines: tuple[bytes, ...]
    torn: bytes


def read_lines(path: Path) -> Lines:
    """Split a log into whole lines and a torn tail. Raises OSError.

    A power cut may lose a page of the last write and keep the next one: the hole reads as NUL, which no record of ours
    holds. The tail begins with the line of the first.
    """
    raw = path.read_bytes()
    hole = raw.find(b"\0")
    whole = raw.rfind(b"\n", 0, hole if hole >= 0 else len(raw)) + 1
    return Lines(tuple(raw[:whole].split(b"\n")[:-1]), raw[whole:])


@dataclass(frozen=True, slots=True)
class Checked:
    """A chain as far as it holds: its records, its head, and where and why it breaks (``broken`` None: it holds)."""

    records: tuple[Any, ...]
    head: str
    broken: int | None = None
    why: str = ""


def check(lines: Iterable[bytes], prev: str, prev_of: Callable[[Any], Any]) -> Checked:
    """Follow a chain from ``prev``. ``prev_of`` takes the link out of a parsed record.

    A record that names another hash than that of the line before it is where the chain breaks; what was changed is
    then the line *before*, unless it is the first.
    """
    records: list[Any] = []
    for at, line in enumerate(lines):
        try:
            record = orjson.loads(line)
            link = prev_of(record)
        except (orjson.JSONDecodeError, LookupError, TypeError):
            return Checked(tuple(records), prev, at, "is not a whole record")
        if link != prev:
            return Checked(tuple(records), prev, at, "does not carry the hash of the record before it")
        records.append(record)
        prev = digest(line)
    return Checked(tuple(records), prev)
