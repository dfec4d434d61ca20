"""The record of a run while it happens: one writer for the events and the readings.

``events.jsonl`` takes what happened, one record a line; ``readings/`` takes the rows that the logging rule stores,
first into the open window ``window-NNNN.jsonl``, then, when that is full (an hour of run time or a million rows), into
the Parquet segment ``NNNN.parquet`` whose sha256 is an event. Every record carries the hash of the one before; the
readings' chain runs on through all windows. When the disk does not confirm a write, the file is suspect and never
written again: the record goes on in a new one, and the run to its end. The form is in docs/bundle.md.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from bench import schemas
from bench.append_file import FULL, AppendFile, UnsyncedError
from bench.chain import GENESIS, digest, encode
from bench.disk import Disk, RealDisk
from bench.event_files import EVENTS as EVENTS
from bench.event_files import event_file, event_files
from bench.room import RESERVE, Room
from bench.row_files import FIXED_COLUMNS as FIXED_COLUMNS
from bench.row_files import READINGS as READINGS
from bench.row_files import READINGS_SCHEMA as READINGS_SCHEMA
from bench.row_files import seal_window, window_path
from bench.taken_up import TakenUp, Window, take_up
from bench.trouble import Trouble, TroubleKind
from drivers.clock import Clock, real_elapsed_s
from drivers.errors import RecordError

EVENTS_SCHEMA = schemas.newest("events")

#: A window is closed after so much run time, or so many rows.
WINDOW_S = 3600.0
WINDOW_ROWS = 1_000_000
#: Readings stay in memory no longer than this much real time.
FLUSH_S = 1.0
#: Nor more of them than this: in virtual time a second of real time is a long one.
HELD_ROWS = 1024
#: Of a torn tail so much is kept in the event that tells of it.
TORN_BYTES = 4096

_RECORD_FIX = "free space or mend the disk, then run again; `cellbench verify` says how far this record is good"
#: There a new file would fare no better.
_NO_NEW_FILE = FULL | {errno.EROFS}


@dataclass(frozen=True, slots=True)
class Heads:
    """How long the two chains are and where they end; ``suspect`` files are good only as far as events say."""

    events: int
    events_head: str
    readings: int
    readings_head: str
    suspect: tuple[str, ...] = ()


class RunLog:
    """The one writer of a bundle while it is open; it holds the bundle's lock (flock on ``events.jsonl``).

    ``event`` has put its record on disk when it returns; ``row`` keeps a row for at most a second of real time, and
    rows always go out before a later event does. With ``durable`` every write is followed by fdatasync.

    When a write is not confirmed (an i/o error), nothing is written or synced to that file again. The record goes on
    in a new one; then the call under way raises RecordError, once, ``suspect`` tells, and ``on_trouble`` is called: the
    run is to end safely, and is recorded to its end. When that is not possible either (disk full, read-only, a second
    file that fails) the call raises RecordError, once, and ``failed`` tells: later calls do nothing, so that a safe
    state goes on. At low water the reserve is given back, ``low`` tells, and ``on_trouble`` is called.
    """

    def __init__(self, folder: Path, clock: Clock, *, durable: bool, mode: str, disk: Disk | None = None) -> None:
        self.folder = folder
        self.durable = durable
        self.failed: RecordError | None = None
        self.suspect: RecordError | None = None
        #: What is added to the clock's time: a program that takes a record up again begins with a time of its own.
        self.shift_s = 0.0
        #: Called at most once a kind, from inside the call that met it: it must neither raise nor write.
        self.on_trouble: Callable[[Trouble], object] | None = None
        self._disk: Disk = RealDisk() if disk is None else disk
        self._room = Room(self._disk, folder)
        self._clock = clock
        self._mode = mode
        self._journals: list[AppendFile] = []  # the last is written to; the first holds the lock
        self._events = self._rows = 0
        self._events_head = self._rows_head = GENESIS
        self._columns: tuple[str, ...] = ()
        self._windows: list[Window] = []  # not sealed yet; only the last may be open
        self._window_number = self._window_rows = 0
        self._window_end_s = 0.0
        self._suspects: list[str] = []
        self._held: list[bytes] = []
        self._held_since_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._in_between = False  # a window is being changed: what is suspect is told afterwards
        self._untold: RecordError | None = None

    @classmethod
    def create(
        cls, folder: Path, clock: Clock, *, durable: bool, header: Mapping[str, Any], disk: Disk | None = None
    ) -> RunLog:
        """Begin a record in ``folder`` (made if missing). ``header`` becomes the first event; it names ``run_id`` and
        ``mode`` ("simulated" or "live"), which is stamped on every later event.

        Raises RecordError: no room, not writable, or a record is there already.
        """
        log = cls(folder, clock, durable=durable, mode=str(header["mode"]), disk=disk)
        log.begin(header)
        return log

    @classmethod
    def reopen(cls, folder: Path, clock: Clock, *, durable: bool, disk: Disk | None = None) -> RunLog:
        """Go on with an interrupted record. A torn tail is cut off; the ``reopened`` event keeps its beginning.

        Raises RecordError if another process owns it, a newer program wrote it, or a chain does not hold up to its
        last whole record.
        """
        log = cls(folder, clock, durable=durable, mode="", disk=disk)
        log.resume()
        return log

    def begin(self, header: Mapping[str, Any]) -> None:
        """What :meth:`create` does; use that."""
        folder, disk = self.folder, self._disk
        try:
            disk.make_folder(folder / READINGS)
            self._room.check()
            self._own(disk.create(folder / EVENTS))
            if self.durable:
                for path in (folder, folder.parent):
                    disk.sync_folder(path)
                self._room.hold_back()
        except OSError as error:
            self.abandon()
            raise RecordError(f"the record cannot be begun: {error.strerror}", str(folder), _RECORD_FIX) from error
        self.event("header", schema=EVENTS_SCHEMA, durable=self.durable, **header)

    def resume(self) -> None:
        """What :meth:`reopen` does; use that."""
        folder, disk = self.folder, self._disk
        try:
            self._own(disk.append_to(folder / EVENTS))
            taken = take_up(disk, folder, self._opened)
            if self.durable:
                self._room.hold_back()
        except OSError as error:
            self.abandon()
            raise RecordError(f"the record cannot be reopened: {error.strerror}", str(folder), _RECORD_FIX) from error
        except RecordError:
            self.abandon()
            raise
        self._go_on_with(taken)
        self.event(
            "reopened",
            torn_events=_shown(taken.torn),
            torn_readings=_shown(taken.torn_readings),
            shift_s=self.shift_s,
        )

    def _go_on_with(self, taken: TakenUp) -> None:
        self._mode, self._events, self._events_head = taken.records[0]["mode"], len(taken.records), taken.events_head
        self._journals.append(taken.events_file)
        self._suspects, self._columns = taken.suspects, taken.columns
        self._rows, self._rows_head = taken.rows, taken.head
        self._windows, self._window_number = taken.windows, taken.window_number
        if taken.windows:
            self._window_rows, self._window_end_s = taken.windows[-1].rows, taken.first_s + WINDOW_S
        self._go_on_after(taken.records[-1])

    def _go_on_after(self, last: Mapping[str, Any]) -> None:
        """Let time go on behind the last record, by as much as the wall clock says has passed, and never backwards."""
        passed_s = max(self._clock.utc_s() - float(last["utc_s"]), 0.0)
        self.shift_s = round(float(last["mono_s"]) + passed_s - self._clock.mono_s(), 6)

    @property
    def low(self) -> bool:
        """Whether low water was met."""
        return self._room.low

    @property
    def heads(self) -> Heads:
        return Heads(self._events, self._events_head, self._rows, self._rows_head, tuple(self._suspects))

    def event(self, kind: str, /, **data: Any) -> None:
        """Write one event; it is on disk when this returns. Raises RecordError (once, see the class).

        Of a suspect file it is told when the event stands in the new one.
        """
        if self._is_mute():
            return
        self._write_held()
        try:
            self._put_event(kind, data)
        except OSError as error:
            self._events_go_on_beside(error, kind, data)
        self._look_at_room()
        self._tell()

    def open_readings(self, channels: Sequence[str], **about: Any) -> None:
        """Say what the rows hold, once, before the first. ``about`` goes into the event, for example the roles.

        What lies in the folder by now, the run's inputs, is on disk as well when this returns.
        """
        if self.durable and self.failed is None:
            try:
                own = {RESERVE, *(journal.path.name for journal in self._journals)}
                for path in sorted(it for it in self.folder.iterdir() if it.is_file() and it.name not in own):
                    handle = self._disk.append_to(path)
                    try:
                        self._disk.sync(handle)
                    finally:
                        self._disk.close(handle)
                self._disk.sync_folder(self.folder)
            except OSError as error:
                self._fail(error, "the inputs of the run")
        self._columns = (*FIXED_COLUMNS, *channels)
        self.event("readings", schema=READINGS_SCHEMA, columns=list(self._columns), **about)

    def row(self, values: Sequence[float]) -> None:
        """Keep one row: mono_s, utc_s, step, then one value a channel; NaN where there is none. Raises RecordError:
        of a suspect file, when the row is kept."""
        if self._is_mute():
            return
        if values[0] + self.shift_s >= self._window_end_s or self._window_rows >= WINDOW_ROWS:
            self._begin_window(values[0])
        mono_s, utc_s, step, *channels = values
        # floats and one integer, whatever came: the Parquet segment must give the very same text back
        line = orjson.dumps(
            [float(mono_s) + self.shift_s, float(utc_s), int(step), *map(float, channels), self._rows_head]
        )
        self._rows_head = hashlib.sha256(line).hexdigest()
        self._rows += 1
        self._window_rows += 1
        self._hold(line)
        self._tell()

    def tick(self) -> None:
        """Write out what has waited for a second. To be called often; costs next to nothing. Raises RecordError."""
        if self._held and real_elapsed_s() - self._held_since_s >= FLUSH_S:
            self.flush()
        else:
            self._tell()

    def flush(self) -> None:
        """Write out the rows that wait. Raises RecordError."""
        self._write_held()
        self._look_at_room()
        self._tell()

    def _write_held(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._held or self.failed is not None:
            return
        held, self._held = self._held, []
        try:
            self._put_rows(held)
        except OSError as error:
            self._rows_go_on_beside(error, held)

    def close(self) -> Heads:
        """Turn the open windows into segments, write the last event and let go of the lock. Raises RecordError.

        Idempotent. After a failure it only frees what is open.
        """
        try:
            if self._journals and self.failed is None:
                self._untold = None
                self._rotate()
                self._in_between = True  # a suspect file is no reason not to close
                self.event("log_closed", readings=self._rows, readings_head=self._rows_head)
        finally:
            self._room.give_back()
            self.abandon()
        return self.heads

    def abandon(self) -> None:
        """Let go of files and lock without another word: the bundle stays interrupted. Never raises RecordError."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for file in (*(window.file for window in self._windows), *self._journals[::-1]):
            file.close()
        self._windows, self._journals = [], []

    def _own(self, handle: int) -> None:
        """Take the first file of events up, and the bundle's lock with it. Raises OSError."""
        self._journals.append(self._file(event_file(self.folder, 1), handle))
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _opened(self, path: Path, size: int) -> AppendFile:
        """A file that is there, to go on with. Raises OSError."""
        return self._file(path, self._disk.append_to(path), size)

    def _file(self, path: Path, handle: int, size: int = 0) -> AppendFile:
        return AppendFile(self._disk, path, handle, durable=self.durable, make_room=self._room.give_back, size=size)

    def _is_mute(self) -> bool:
        """Whether nothing can be kept any more; where a timer met that, it is raised here, once."""
        if self.failed is not None:
            self._tell()
        return self.failed is not None

    def _put_event(self, kind: str, data: Mapping[str, Any]) -> None:
        record = {
            "n": self._events,
            "mono_s": round(self._clock.mono_s() + self.shift_s, 6),
            "utc_s": round(self._clock.utc_s(), 6),
            "mode": self._mode,
            "kind": kind,
            "data": data,
            "prev": self._events_head,
        }
        line = encode(record)
        self._journals[-1].put(line + b"\n")
        self._events += 1
        self._events_head = digest(line)

    def _put_rows(self, lines: list[bytes]) -> None:
        window = self._windows[-1]
        window.file.put(b"\n".join(lines) + b"\n")
        window.rows += len(lines)
        window.head = digest(lines[-1])

    def _events_go_on_beside(self, error: OSError, kind: str, data: Mapping[str, Any]) -> None:
        """Begin the next file of events with what is known of this one, and write the event there. Raises RecordError
        if that cannot be done."""
        name = self._journals[-1].path.name
        if not self._may_go_on(error):
            self._fail(error, name)
        try:
            path = event_file(self.folder, len(event_files(self.folder)) + 1)
            self._journals.append(self._file(path, self._disk.create(path)))
            if self.durable:
                self._disk.sync_folder(self.folder)
            about = {"file": name, "records": self._events, "head": self._events_head, "error": _said(error)}
            self._put_event("suspect", {**about, "goes_on_in": path.name})
            self._put_event(kind, data)
        except OSError as second:
            self._fail(second, name)
        self._now_suspect(error, name)

    def _rows_go_on_beside(self, error: OSError, held: list[bytes]) -> None:
        """The same for a window: its confirmed rows stay, the others go into the next one."""
        window = self._windows[-1]
        name = f"{READINGS}/{window.file.path.name}"
        if not self._may_go_on(error):
            self._fail(error, name)
        window.failed = True
        try:
            self._open_window()
            goes_on_in = f"{READINGS}/{self._windows[-1].file.path.name}"
            about = {"file": name, "records": window.rows, "head": window.head, "error": _said(error)}
            self._put_event("suspect", {**about, "goes_on_in": goes_on_in})
            self._put_rows(held)
        except OSError as second:
            self._fail(second, name)
        self._window_rows = len(held)
        self._now_suspect(error, name)

    def _may_go_on(self, error: OSError) -> bool:
        """Whether a new file is worth trying: once, and not where the whole disk is full or read-only."""
        return self.suspect is None and (isinstance(error, UnsyncedError) or error.errno not in _NO_NEW_FILE)

    def _now_suspect(self, error: Exception, name: str, *, confirmed: bool = False) -> None:
        """The run is to end. ``confirmed``: what the file holds is good all the same."""
        if not confirmed:
            self._suspects.append(name)
        if self.suspect is not None:
            return
        self.suspect = RecordError(
            f"the disk failed: {_said(error)} while writing {name}; the record goes on in a new file, the run ends",
            str(self.folder),
            "replace the disk; what the disk did not confirm stands in the new file too",
        )
        if self.on_trouble is not None:
            self.on_trouble(Trouble(TroubleKind.SUSPECT, str(self.suspect.faults[0].error)))
        self._untold = self.suspect

    def _tell(self) -> None:
        """Raise, once, what could not be raised where it was met."""
        if self._untold is not None and not self._in_between:
            untold, self._untold = self._untold, None
            raise untold

    def _fail(self, error: Exception, what: str) -> None:
        self.failed = RecordError(
            f"the record cannot be kept: {_said(error)} while writing {what}", str(self.folder), _RECORD_FIX
        )
        raise self.failed from error

    def _look_at_room(self) -> None:
        """At low water tell, once: what is left, and the reserve, is for the end of the run."""
        trouble = self._room.ebbed(self._rows)
        if trouble is not None:
            self.event("low_water", free_bytes=trouble.value, wanted_bytes=trouble.limit)
            if self.on_trouble is not None:
                self.on_trouble(trouble)

    def _hold(self, line: bytes) -> None:
        if not self._held:
            self._held_since_s = real_elapsed_s()
            if self.durable:  # real time: nothing else may come along for longer than a second
                self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush_by_timer)
        self._held.append(line)
        if len(self._held) >= HELD_ROWS:
            self._write_held()
        elif not self.durable:
            self.tick()

    def _flush_by_timer(self) -> None:
        self._timer = None
        try:
            self.flush()
        except RecordError as error:
            self._untold = error

    def _open_window(self) -> None:
        """Begin the next window. Raises OSError."""
        self._window_number += 1
        self._window_rows = 0
        path = window_path(self.folder, self._window_number)
        handle = self._disk.create(path)
        self._windows.append(Window(self._window_number, self._file(path, handle), head=self._head_on_disk()))
        if self.durable:
            self._disk.sync_folder(path.parent)

    def _begin_window(self, first_s: float) -> None:
        self._rotate()
        try:
            self._open_window()
        except OSError as error:
            self._fail(error, READINGS)
        self._window_end_s = first_s + self.shift_s + WINDOW_S

    def _head_on_disk(self) -> str:
        return self._windows[-1].head if self._windows else self._rows_head

    def _rotate(self) -> None:
        """Seal every window that there is, in order. A suspect one that cannot be read back is said to be lost."""
        self._in_between = True
        try:
            self._write_held()
            self._seal_windows()
        finally:
            self._in_between = False

    def _seal_windows(self) -> None:
        """One that cannot be made a segment stays as it is; the event ``unsealed`` says so, and how far it counts."""
        for window in self._windows.copy():
            try:
                data = self._sealed(window) if window.rows else None
            except (OSError, ValueError) as error:
                name = f"{READINGS}/{window.file.path.name}"
                self.event("unsealed", file=name, rows=window.rows, head=window.head, error=_said(error))
                if not window.failed and getattr(error, "errno", None) not in _NO_NEW_FILE:
                    self._now_suspect(error, name, confirmed=True)
            else:
                if data is not None:
                    self.event("segment", **data)
                if not window.failed:  # of a suspect file nothing is thrown away
                    with suppress(OSError):  # what stays beside its segment is passed over
                        self._disk.remove(window.file.path)
            window.file.close()
            self._windows.remove(window)

    def _sealed(self, window: Window) -> dict[str, Any]:
        """Make the segment, a second time if the reserve had to be given back for it. Raises OSError, ValueError."""
        try:
            return seal_window(
                self._disk, self.folder, window.number, self._columns, durable=self.durable, limit=window.rows
            )
        except OSError as error:
            if error.errno not in FULL or not self._room.give_back():
                raise
        return seal_window(
            self._disk, self.folder, window.number, self._columns, durable=self.durable, limit=window.rows
        )


def _said(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _shown(torn: bytes) -> str:
    """A torn tail as text, a byte a character; of a long one the beginning."""
    left_out = len(torn) - TORN_BYTES
    return torn[:TORN_BYTES].decode("latin-1") + (f"... and {left_out} bytes more" if left_out > 0 else "")
