"""An interrupted record as it is found: what is whole is gone on with, what is torn is cut off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import schemas
from bench.append_file import AppendFile
from bench.chain import GENESIS, check
from bench.disk import Disk
from bench.event_files import SUSPECT, event_file, event_files, read_events
from bench.row_files import READINGS, row_parts, window_lines
from drivers.errors import RecordError

#: Opens a file of so many bytes to go on with it.
Opened = Callable[[Path, int], AppendFile]

_ALTERED_FIX = "keep this record as it is; it was altered"


@dataclass(slots=True)
class Window:
    """A window's file and how far it is on disk. ``failed``: it is suspect, and holds just these rows."""

    number: int
    file: AppendFile
    rows: int = 0
    head: str = GENESIS
    failed: bool = False


@dataclass(slots=True)
class TakenUp:
    """``records`` are the events, ``events_file`` takes the next one; ``rows`` and ``head`` are those of the readings'
    chain, ``window_number`` is the last window's that there was, ``windows`` those that are not sealed, ``first_s``
    when the last of them begins. ``torn``: what was cut off."""

    records: Sequence[Any]
    events_head: str
    events_file: AppendFile
    torn: bytes
    suspects: list[str]
    columns: tuple[str, ...]
    rows: int = 0
    head: str = GENESIS
    windows: list[Window] = field(default_factory=list)
    window_number: int = 0
    first_s: float = 0.0
    torn_readings: bytes = b""


def take_up(disk: Disk, folder: Path, opened: Opened) -> TakenUp:
    """Find the ends of both chains, and cut off what is torn behind them.

    Raises OSError, and RecordError: a chain does not hold up to its end, or a newer program wrote it. Nothing is cut
    off then.
    """
    found = read_events(folder)
    if found.at is not None:
        raise RecordError(f"record {found.at} {found.why}", str(found.file), _ALTERED_FIX)
    if not found.records:
        raise RecordError("holds no whole record", str(found.file), "there is nothing to go on with")
    first = found.records[0]["data"]
    schemas.migrated({"schema": first.get("schema")}, "events", str(found.file))
    files = event_files(folder)
    disk.remove(event_file(folder, len(files) + 1))  # only begun, if it is there
    size = files[-1].stat().st_size - len(found.torn)
    if found.torn:
        disk.cut(files[-1], size)
    suspects = [str(it["data"]["file"]) for it in found.records if it["kind"] == SUSPECT]
    columns = [tuple(it["data"]["columns"]) for it in found.records if it["kind"] == "readings"]
    taken = TakenUp(
        found.records, found.head, opened(files[-1], size), found.torn, suspects, columns[-1] if columns else ()
    )
    _take_up_readings(disk, folder, opened, taken)
    return taken


def _take_up_readings(disk: Disk, folder: Path, opened: Opened, taken: TakenUp) -> None:
    parts = row_parts(folder, [(it["kind"], it["data"]) for it in taken.records])
    kept = {part.path for part in parts}
    for path in sorted((folder / READINGS).glob("window-*.jsonl")):
        if path not in kept:  # its segment was sealed, only the unlink did not come about
            disk.remove(path)
    for part in parts:
        taken.window_number = int(part.path.stem[-4:])
        data = part.segment or part.unsealed
        if data is not None:
            taken.rows, taken.head = taken.rows + int(data["rows"]), str(data["head"])
            continue
        lines = tuple(window_lines(part.path, part.limit))
        checked = check(lines, taken.head, lambda row: row[-1])
        if checked.broken is not None:
            raise RecordError(f"record {checked.broken} {checked.why}", str(part.path), _ALTERED_FIX)
        if not lines:
            disk.remove(part.path)
            continue
        size = sum(map(len, lines)) + len(lines)
        if part.limit is None and part.path.stat().st_size > size:
            taken.torn_readings = part.path.read_bytes()[size:]
            disk.cut(part.path, size)
        file = opened(part.path, size)
        taken.windows.append(Window(taken.window_number, file, len(lines), checked.head, failed=part.limit is not None))
        taken.first_s = checked.records[0][0]
        taken.rows, taken.head = taken.rows + len(lines), checked.head
