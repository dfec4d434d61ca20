"""The events of a bundle, from its one file or, after the disk failed, from the several that it went on in.

``events-2.jsonl`` begins with a record ``suspect``. It names the file before it and how many of its records count (its
own number ``n``) and carries the hash of the last of them; what else that file holds was never confirmed by the disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from bench.chain import GENESIS, check, read_lines

EVENTS = "events.jsonl"
#: The kind of the record that says which file the disk failed on.
SUSPECT = "suspect"


@dataclass(frozen=True, slots=True)
class Events:
    """The events as far as their chain holds. ``file`` is the last one, or the one in which it breaks; ``at`` and
    ``why`` say where (a record of that file) and why it does; ``torn`` is what follows the last whole record."""

    records: tuple[Any, ...]
    head: str
    file: Path
    torn: bytes = b""
    at: int | None = None
    why: str = ""


def event_file(folder: Path, number: int) -> Path:
    """The n-th file of events, from 1."""
    return folder / (EVENTS if number == 1 else f"events-{number}.jsonl")


def event_files(folder: Path) -> tuple[Path, ...]:
    """Those that hold events, in order. The first is always named; one that was only begun is left out."""
    files = [event_file(folder, 1)]
    while (path := event_file(folder, len(files) + 1)).is_file() and read_lines(path).lines:
        files.append(path)
    return tuple(files)


def read_events(folder: Path) -> Events:
    """Follow the chain through all files. Raises OSError (FileNotFoundError: there are no events)."""
    files = event_files(folder)
    records: list[Any] = []
    head, torn = GENESIS, b""
    for at, path in enumerate(files):
        found = read_lines(path)
        lines, torn = found.lines, found.torn
        if at + 1 < len(files):
            lines = lines[: _taken_up_at(files[at + 1]) - len(records)]
        checked = check(lines, head, lambda it: it["prev"])
        records += checked.records
        head = checked.head
        if checked.broken is not None:
            return Events(tuple(records), head, path, torn, checked.broken, checked.why)
    return Events(tuple(records), head, files[-1], torn)


def _taken_up_at(path: Path) -> int:
    """How many records all files before this one count for."""
    try:
        n = orjson.loads(read_lines(path).lines[0])["n"]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return 0
    return n if isinstance(n, int) else 0
