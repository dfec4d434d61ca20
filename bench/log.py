"""The record of a run while it happens: one writer for the events and the readings.

``events.jsonl`` takes what happened, one record a line; ``readings/`` takes the rows that the logging rule stores,
first into the open window ``window-NNNN.jsonl``, then, when that is full (an hour of run time or a million rows), into
the Parquet segment ``NNNN.parquet`` whose sha256 is an event. Every record carries the hash of the one before; the
readings' chain runs on through all windows. The form is in docs/bundle.md.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from bench import parquet
from bench.chain import GENESIS, check, digest, encode, read_lines
from drivers.clock import Clock, real_elapsed_s
from drivers.errors import RecordError

EVENTS = "events.jsonl"
READINGS = "readings"
EVENTS_SCHEMA = "cellbench/events/1"
READINGS_SCHEMA = "cellbench/readings/1"

#: A window is closed after so much run time, or so many rows.
WINDOW_S = 3600.0
WINDOW_ROWS = 1_000_000
#: Readings stay in memory no longer than this much real time.
FLUSH_S = 1.0
#: A run does not start with less room than this.
ROOM_BYTES = 32 << 20
#: The columns in front of the channels, in every row.
FIXED_COLUMNS = ("mono_s", "utc_s", "step")

_RECORD_FIX = "free space or mend the disk, then run again; `cellbench verify` says how far this record is good"


@dataclass(frozen=True, slots=True)
class Heads:
    """How long the two chains are and where they end."""

    events: int
    events_head: str
    readings: int
    readings_head: str


class RunLog:
    """The one writer of a bundle while it is open; it holds the bundle's lock (flock on ``events.jsonl``).

    ``event`` has put its record on disk when it returns; ``row`` keeps a row for at most a second of real time, and
    rows always go out before a later event does. With ``durable`` every write is followed by fdatasync.

    When the disk fails, the call under way raises RecordError, once. Nothing is written or synced again after that:
    later calls do nothing, so that a safe state goes on, and ``failed`` tells.
    """

    def __init__(self, folder: Path, clock: Clock, *, durable: bool, mode: str) -> None:
        self.folder = folder
        self.durable = durable
        self.failed: RecordError | None = None
        self._clock = clock
        self._mode = mode
        self._events_fd = self._window_fd = -1
        self._events = self._rows = 0
        self._events_head = self._rows_head = GENESIS
        self._columns: tuple[str, ...] = ()
        self._window = self._window_rows = 0
        self._window_end_s = 0.0
        self._held: list[bytes] = []
        self._held_since_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._untold: RecordError | None = None

    @classmethod
    def create(cls, folder: Path, clock: Clock, *, durable: bool, header: Mapping[str, Any]) -> RunLog:
        """Begin a record in ``folder`` (made if missing). ``header`` becomes the first event; it names ``run_id`` and
        ``mode`` ("simulated" or "live"), which is stamped on every later event.

        Raises RecordError: no room, not writable, or a record is there already.
        """
        log = cls(folder, clock, durable=durable, mode=str(header["mode"]))
        log.begin(header)
        return log

    @classmethod
    def reopen(cls, folder: Path, clock: Clock, *, durable: bool) -> RunLog:
        """Go on with an interrupted record. A torn tail is cut off and kept in the ``reopened`` event.

        Raises RecordError if another process owns it, or a chain does not hold up to its last whole record.
        """
        log = cls(folder, clock, durable=durable, mode="")
        log.resume()
        return log

    def begin(self, header: Mapping[str, Any]) -> None:
        """What :meth:`create` does; use that."""
        folder = self.folder
        try:
            (folder / READINGS).mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(folder).free
            if free < ROOM_BYTES:
                raise RecordError(
                    f"only {free >> 20} MiB are free, a run wants {ROOM_BYTES >> 20} MiB",
                    str(folder),
                    "free some space",
                )
            self._events_fd = _append_to(folder / EVENTS, os.O_CREAT | os.O_EXCL)
            fcntl.flock(self._events_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self.durable:
                _sync_folder(folder)
        except OSError as error:
            raise RecordError(f"the record cannot be begun: {error.strerror}", str(folder), _RECORD_FIX) from error
        self.event("header", schema=EVENTS_SCHEMA, durable=self.durable, **header)

    def resume(self) -> None:
        """What :meth:`reopen` does; use that."""
        try:
            self._events_fd = _append_to(self.folder / EVENTS)
            fcntl.flock(self._events_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            records, self._events_head, torn = _whole_part(self.folder / EVENTS, GENESIS, "prev")
            if not records:
                raise RecordError("holds no whole record", str(self.folder / EVENTS), "there is nothing to go on with")
            self._mode, self._events = records[0]["mode"], len(records)
            torn_readings = self._take_up_readings(records)
        except OSError as error:
            self.abandon()
            raise RecordError(
                f"the record cannot be reopened: {error.strerror}", str(self.folder), _RECORD_FIX
            ) from error
        except RecordError:
            self.abandon()
            raise
        self.event("reopened", torn_events=torn.decode("latin-1"), torn_readings=torn_readings.decode("latin-1"))

    def _take_up_readings(self, records: Sequence[Any]) -> bytes:
        """Find the open window, check its chain from the last segment on, cut its torn tail off and give it back."""
        data = {kind: [it["data"] for it in records if it["kind"] == kind] for kind in ("readings", "segment")}
        if data["readings"]:
            self._columns = tuple(data["readings"][-1]["columns"])
        segments = data["segment"]
        self._window = len(segments)
        self._rows = sum(it["rows"] for it in segments)
        self._rows_head = segments[-1]["head"] if segments else GENESIS
        torn = b""
        for path in open_windows(self.folder):
            if int(path.stem[-4:]) <= len(segments):  # its segment was sealed, only the unlink did not come about
                path.unlink()
                continue
            rows, self._rows_head, torn = _whole_part(path, self._rows_head, -1)
            if not rows:
                path.unlink()
                continue
            self._window, self._window_rows = self._window + 1, len(rows)
            self._window_end_s = rows[0][0] + WINDOW_S
            self._rows += len(rows)
            self._window_fd = _append_to(path)
        return torn

    @property
    def heads(self) -> Heads:
        return Heads(self._events, self._events_head, self._rows, self._rows_head)

    def event(self, kind: str, /, **data: Any) -> None:
        """Write one event; it is on disk when this returns. Raises RecordError (once, see the class)."""
        if self._silent():
            return
        self.flush()
        record = {
            "n": self._events,
            "mono_s": round(self._clock.mono_s(), 6),
            "utc_s": round(self._clock.utc_s(), 6),
            "mode": self._mode,
            "kind": kind,
            "data": data,
            "prev": self._events_head,
        }
        line = encode(record)
        self._write(self._events_fd, line + b"\n", EVENTS)
        self._events += 1
        self._events_head = digest(line)

    def open_readings(self, channels: Sequence[str], **about: Any) -> None:
        """Say what the rows hold, once, before the first. ``about`` goes into the event, for example the roles."""
        self._columns = (*FIXED_COLUMNS, *channels)
        self.event("readings", schema=READINGS_SCHEMA, columns=list(self._columns), **about)

    def row(self, values: Sequence[float]) -> None:
        """Keep one row: mono_s, utc_s, step, then one value a channel; NaN where there is none. Raises RecordError."""
        if self._silent():
            return
        if values[0] >= self._window_end_s or self._window_rows >= WINDOW_ROWS:
            self._rotate()
            self._open_window(values[0])
            if self.failed is not None:
                return
        mono_s, utc_s, step, *channels = values
        # floats and one integer, whatever came: the Parquet segment must give the very same text back
        line = orjson.dumps([float(mono_s), float(utc_s), int(step), *map(float, channels), self._rows_head])
        self._rows_head = hashlib.sha256(line).hexdigest()
        self._rows += 1
        self._window_rows += 1
        self._hold(line)

    def tick(self) -> None:
        """Write out what has waited for a second. To be called often; costs next to nothing. Raises RecordError."""
        if self._held and real_elapsed_s() - self._held_since_s >= FLUSH_S:
            self.flush()
        elif self._untold is not None:
            self._silent()

    def flush(self) -> None:
        """Write out the rows that wait. Raises RecordError."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._held and self.failed is None:
            held, self._held = self._held, []
            self._write(self._window_fd, b"\n".join(held) + b"\n", READINGS)

    def close(self) -> Heads:
        """Turn the open window into a segment, write the last event and let go of the lock. Raises RecordError.

        Idempotent. After a failure it only frees what is open.
        """
        try:
            if self._events_fd >= 0 and self.failed is None:
                self._rotate()
                self.event("log_closed", readings=self._rows, readings_head=self._rows_head)
        finally:
            self.abandon()
        return self.heads

    def abandon(self) -> None:
        """Let go of files and lock without another word: the bundle stays interrupted. Never raises RecordError."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for fd in (self._window_fd, self._events_fd):
            if fd >= 0:
                os.close(fd)
        self._window_fd = self._events_fd = -1

    def _silent(self) -> bool:
        """Whether the disk has failed before; what a timer met is raised here, once."""
        if self._untold is not None:
            untold, self._untold = self._untold, None
            raise untold
        return self.failed is not None

    def _write(self, fd: int, data: bytes, what: str) -> None:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            if self.durable:
                os.fdatasync(fd)
        except OSError as error:
            self._fail(error, what)

    def _fail(self, error: OSError, what: str) -> None:
        self.failed = RecordError(
            f"the record cannot be kept: {error.strerror or error} while writing {what}", str(self.folder), _RECORD_FIX
        )
        raise self.failed from error

    def _hold(self, line: bytes) -> None:
        if not self._held:
            self._held_since_s = real_elapsed_s()
            if self.durable:  # real time: nothing else may come along for longer than a second
                self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush_by_timer)
        self._held.append(line)
        if not self.durable:
            self.tick()

    def _flush_by_timer(self) -> None:
        self._timer = None
        try:
            self.flush()
        except RecordError as error:
            self._untold = error

    def _open_window(self, first_s: float) -> None:
        self._window += 1
        self._window_rows = 0
        self._window_end_s = first_s + WINDOW_S
        try:
            self._window_fd = _append_to(_window_path(self.folder, self._window), os.O_CREAT | os.O_EXCL)
        except OSError as error:
            self._fail(error, READINGS)

    def _rotate(self) -> None:
        if self._window_fd < 0:
            return
        self.flush()
        try:
            data = seal_window(self.folder, self._window, self._columns, durable=self.durable)
            os.close(self._window_fd)
            self._window_fd = -1
        except OSError as error:
            self._fail(error, READINGS)
        self.event("segment", **data)
        _window_path(self.folder, self._window).unlink(missing_ok=True)


def seal_window(folder: Path, window: int, columns: Sequence[str], *, durable: bool) -> dict[str, Any]:
    """Turn what stands in a window's file into its Parquet segment, and say what that is.

    The file itself is read back, not a copy in memory: what is sealed is what was recorded. Raises OSError.
    """
    lines = read_lines(_window_path(folder, window)).lines
    rows = [orjson.loads(line) for line in lines]
    table = {name: [row[at] for row in rows] for at, name in enumerate(columns)}
    path = segment_path(folder, window)
    part = path.with_suffix(".part")
    parquet.write(part, table, whole=frozenset({"step"}), metadata={"schema": READINGS_SCHEMA, "window": str(window)})
    raw = part.read_bytes()
    if durable:
        with part.open("rb") as file:
            os.fsync(file.fileno())
    part.rename(path)
    return {
        "path": f"{READINGS}/{path.name}",
        "sha256": hashlib.sha256(raw).hexdigest(),
        "rows": len(rows),
        "prev": rows[0][-1] if rows else GENESIS,
        "head": digest(lines[-1]) if lines else GENESIS,
    }


def segment_path(folder: Path, window: int) -> Path:
    return folder / READINGS / f"{window:04d}.parquet"


def _window_path(folder: Path, window: int) -> Path:
    return folder / READINGS / f"window-{window:04d}.jsonl"


def open_windows(folder: Path) -> tuple[Path, ...]:
    """The windows that no segment has taken over yet (none in a closed bundle)."""
    return tuple(sorted((folder / READINGS).glob("window-*.jsonl")))


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _append_to(path: Path, flags: int = 0) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | flags, 0o644)


def _whole_part(path: Path, prev: str, link: str | int) -> tuple[tuple[Any, ...], str, bytes]:
    """Cut a log back to its whole records: them, the head of their chain, and what was cut off.

    Raises RecordError if the chain breaks before its end; nothing is cut then.
    """
    lines = read_lines(path)
    checked = check(lines.lines, prev, lambda record: record[link])
    if checked.broken is not None:
        raise RecordError(
            f"record {checked.broken} {checked.why}", str(path), "keep this record as it is; it was altered"
        )
    if lines.torn:
        os.truncate(path, path.stat().st_size - len(lines.torn))
    return checked.records, checked.head, lines.torn
