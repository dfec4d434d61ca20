"""What one shift writes down for the next: notes in the data folder, a JSON object a line, added and never changed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import orjson

from drivers.errors import ConfigError, Fault, RecordError

FILE = "handover-notes.jsonl"
#: A note is as long as a page shows.
LONGEST = 2000
#: No more than the end of a file of many years is read.
MOST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Note:
    utc_s: float
    by: str
    text: str


@dataclass(frozen=True, slots=True)
class Notes:
    """The newest first. ``unreadable`` counts lines that are none of ours."""

    notes: tuple[Note, ...]
    unreadable: int = 0


def add(data: Path, text: str, *, by: str, utc_s: float) -> Note:
    """Write a note down; it is on the disk when this returns. Raises ConfigError for one that says nothing, is too long
    or is nobody's, RecordError where it cannot be kept."""
    note = Note(utc_s, by.strip(), text.strip())
    if not note.text or len(note.text) > LONGEST:
        error = "the note says nothing" if not note.text else f"the note has {len(note.text)} characters"
        raise ConfigError([Fault(error, "note", f"write 1 to {LONGEST} characters")])
    if not note.by:
        raise ConfigError([Fault("nobody's name stands behind the note", "note", "sign in")])
    path = data / FILE
    try:
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            size = os.fstat(handle).st_size
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"  # a power cut broke the last one off
            line = b"\n" * torn + orjson.dumps({"utc_s": utc_s, "by": note.by, "text": note.text}) + b"\n"
            if os.write(handle, line) != len(line):
                raise OSError(None, "the disk is full")
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise RecordError(f"the note cannot be kept: {error.strerror}", str(path), "look at the disk") from None
    return note


def read(data: Path, *, since_utc_s: float | None = None, limit: int | None = None) -> Notes:
    """Those of the data folder. Raises RecordError where the file is there and cannot be read."""
    path = data / FILE
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - MOST_BYTES))
            lines = file.read(MOST_BYTES).split(b"\n")
    except FileNotFoundError:
        return Notes(())
    except OSError as error:
        raise RecordError(f"the notes cannot be read: {error.strerror}", str(path), "look at the disk") from None
    if size > MOST_BYTES:
        del lines[0]
    notes: list[Note] = []
    unreadable = 0
    for line in reversed(lines):
        if line.strip():
            note = _note(line)
            unreadable += note is None
            if note is not None and (since_utc_s is None or note.utc_s >= since_utc_s):
                notes.append(note)
    return Notes(tuple(notes[:limit]), unreadable)


def _note(line: bytes) -> Note | None:
    try:
        said = orjson.loads(line)
        utc_s, by, text = said["utc_s"], said["by"], said["text"]
    except (ValueError, LookupError, TypeError):
        return None
    whole = isinstance(utc_s, float | int) and isinstance(by, str) and isinstance(text, str)
    return Note(float(utc_s), by, text[:LONGEST]) if whole else None
