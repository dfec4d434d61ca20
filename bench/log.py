"""The record of a run while it happens: one writer for the events and the readings.

``events.jsonl`` takes what happened, one record a line; ``readings/`` takes the rows that the logging rule stores,
first into the open window ``window-NNNN.jsonl``, then, when that is full (an hour of run time or a million rows), into
the Parquet segment ``NNNN.parquet`` whose sha256 is an event. Every record carries the hash of the one before; the
readings' chain runs on through all windows. When the disk does not confirm a write, the file is suspect and never
written again: the record goes on in a new one, and the run to its end. The form is in docs/bundle.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import schemas
from bench.append_file import Files
from bench.beside import SEALING, WRITING, AtOnce, Beside, Job
from bench.disk import Disk, RealDisk
from bench.event_files import EVENTS as EVENTS
from bench.event_writer import EventWriter
from bench.room import RESERVE, Room
from bench.row_files import FIXED_COLUMNS as FIXED_COLUMNS
from bench.row_files import READINGS as READINGS
from bench.row_files import READINGS_SCHEMA as READINGS_SCHEMA
from bench.row_writer import Bounds, RowWriter
from bench.standing import Standing, record_error
from bench.taken_up import take_up
from bench.trouble import Trouble
from drivers.clock import Clock
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


@dataclass(frozen=True, slots=True)
class Besides:
    """Where a record's long work is done: segments made, the rows of a second written."""

    sealing: Beside
    writing: Beside


AT_ONCE = Besides(AtOnce(), AtOnce())
IN_THREADS = Besides(SEALING, WRITING)


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

    What takes long is done in threads, so that the loop of a live run is not held up: the rows of a second, and a full
    window's segment. ``beside`` says where; left out, a record that is not durable, or whose clock is not the
    machine's own, has it done at once.

    When a write is not confirmed (an i/o error), nothing is written or synced to that file again. The record goes on
    in a new one; then the call under way raises RecordError, once, ``suspect`` tells, and ``on_trouble`` is called: the
    run is to end safely, and is recorded to its end. When that is not possible either (disk full, read-only, a second
    file that fails) the call raises RecordError, once, and ``failed`` tells: later calls do nothing, so that a safe
    state goes on. At low water the reserve is given back, ``low`` tells, and ``on_trouble`` is called. What a thread
    met is raised by the next call.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        durable: bool,
        mode: str,
        disk: Disk | None = None,
        beside: Besides | None = None,
    ) -> None:
        self.folder = folder
        self.durable = durable
        #: Told of each event once it is written; it must be quick and must not raise.
        self.hear: Callable[[str, Mapping[str, Any]], object] | None = None
        self._disk: Disk = RealDisk() if disk is None else disk
        self._room = Room(self._disk, folder)
        self._files = Files(self._disk, durable=durable, make_room=self._room.give_back)
        self._standing = Standing(folder)
        self._events = EventWriter(folder, self._files, self._standing, clock, mode)
        self.beside = beside or (IN_THREADS if durable and clock.boot_s is not None else AT_ONCE)
        self._rows = RowWriter(
            folder,
            self._files,
            self._standing,
            Bounds(WINDOW_S, WINDOW_ROWS, FLUSH_S, HELD_ROWS),
            event=self.event,
            put=lambda kind, /, **data: self._events.put(kind, data),
            written=self._look_at_room,
            sealing=self.beside.sealing,
            writing=self.beside.writing,
        )

    @classmethod
    def create(
        cls,
        folder: Path,
        clock: Clock,
        *,
        durable: bool,
        header: Mapping[str, Any],
        disk: Disk | None = None,
        beside: Besides | None = None,
    ) -> RunLog:
        """Begin a record in ``folder`` (made if missing). ``header`` becomes the first event; it names ``run_id`` and
        ``mode`` ("simulated" or "live"), which is stamped on every later event.

        Raises RecordError: no room, not writable, or a record is there already.
        """
        log = cls(folder, clock, durable=durable, mode=str(header["mode"]), disk=disk, beside=beside)
        log.begin(header)
        return log

    @classmethod
    def reopen(
        cls, folder: Path, clock: Clock, *, durable: bool, disk: Disk | None = None, beside: Besides | None = None
    ) -> RunLog:
        """Go on with an interrupted record. A torn tail is cut off; the ``reopened`` event keeps its beginning.

        Raises RecordError if another process owns it, a newer program wrote it, or a chain does not hold up to its
        last whole record.
        """
        log = cls(folder, clock, durable=durable, mode="", disk=disk, beside=beside)
        log.resume()
        return log

    def begin(self, header: Mapping[str, Any]) -> None:
        """What :meth:`create` does; use that."""
        folder, files = self.folder, self._files
        try:
            self._disk.make_folder(folder / READINGS)
            self._room.check()
            self._events.own(files.create(folder / EVENTS))
            for path in (folder, folder.parent):
                files.sync_folder(path)
            if self.durable:
                self._room.hold_back()
        except OSError as error:
            self.abandon()
            raise record_error(f"begun: {error.strerror}", folder) from error
        self.event("header", schema=EVENTS_SCHEMA, durable=self.durable, **header)

    def resume(self) -> None:
        """What :meth:`reopen` does; use that."""
        folder, files = self.folder, self._files
        try:
            self._events.own(files.reopen(folder / EVENTS))
            taken = take_up(self._disk, folder, files.reopen)
            if self.durable:
                self._room.hold_back()
        except OSError as error:
            self.abandon()
            raise record_error(f"reopened: {error.strerror}", folder) from error
        except RecordError:
            self.abandon()
            raise
        self._standing.suspects = taken.suspects
        self._events.go_on_with(taken)
        self._rows.go_on_with(taken)
        torn = {"torn_events": _shown(taken.torn), "torn_readings": _shown(taken.torn_readings)}
        self.event("reopened", **torn, shift_s=self.shift_s)

    @property
    def shift_s(self) -> float:
        """What is added to the clock's time: a program that takes a record up again begins with a time of its own."""
        return self._events.shift_s

    @property
    def failed(self) -> RecordError | None:
        """Why nothing is kept any more."""
        return self._standing.failed

    @property
    def suspect(self) -> RecordError | None:
        """Why the run is to end, though it is recorded still."""
        return self._standing.suspect

    @property
    def on_trouble(self) -> Callable[[Trouble], object] | None:
        """Called on the loop, at most once a kind, from inside the call that met it: it must neither raise nor
        write."""
        return self._standing.on_trouble

    @on_trouble.setter
    def on_trouble(self, hear: Callable[[Trouble], object] | None) -> None:
        self._standing.on_trouble = hear

    @property
    def low(self) -> bool:
        """Whether low water was met."""
        return self._room.low

    @property
    def heads(self) -> Heads:
        events, rows = self._events, self._rows
        return Heads(events.count, events.head, rows.rows, rows.head, tuple(self._standing.suspects))

    def event(self, kind: str, /, **data: Any) -> None:
        """Write one event; it is on disk when this returns. Raises RecordError (once, see the class).

        Of a suspect file it is told when the event stands in the new one.
        """
        if self._standing.is_mute():
            return
        self._rows.write_held()
        self._events.write(kind, data)
        if self.hear is not None:
            self.hear(kind, data)
        self._look_at_room()
        self._standing.tell()

    def open_readings(self, channels: Sequence[str], **about: Any) -> None:
        """Say what the rows hold, once, before the first. ``about`` goes into the event, for example the roles.

        What lies in the folder by now, the run's inputs, is on disk as well when this returns.
        """
        if self.durable and self.failed is None:
            try:
                self._sync_inputs()
            except OSError as error:
                self._standing.fail(error, "the inputs of the run")
        self._rows.columns = (*FIXED_COLUMNS, *channels)
        self.event("readings", schema=READINGS_SCHEMA, columns=list(self._rows.columns), **about)

    def row(self, values: Sequence[float]) -> None:
        """Keep one row: mono_s, utc_s, step, then one value a channel; NaN where there is none. Raises RecordError:
        of a suspect file, when the row is kept."""
        if self._standing.is_mute():
            return
        self._rows.keep(values, self.shift_s)
        self._standing.tell()

    def tick(self) -> None:
        """Have written what has waited for a second. To be called often; costs next to nothing. Raises RecordError."""
        self._rows.flush_in_time()
        self._standing.tell()

    def flush(self) -> None:
        """Write out the rows that wait. Raises RecordError."""
        self._rows.write_held()
        self._look_at_room()
        self._standing.tell()

    async def settle(self) -> None:
        """Have everything made a segment that was recorded so far, without holding the loop up: :meth:`close` is quick
        then. Raises RecordError."""
        if self._events.is_open and self.failed is None:
            self._rows.begin_last_segments()
            passed = asyncio.Event()
            self.beside.sealing.begin(Job(lambda: None), passed.set)
            await passed.wait()

    def share_lock(self) -> int | None:
        """See :meth:`bench.event_writer.EventWriter.share_lock`."""
        return self._events.share_lock()

    def close(self) -> Heads:
        """Turn the open windows into segments, write the last event and let go of the lock. Raises RecordError.

        Idempotent. After a failure it only frees what is open.
        """
        standing = self._standing
        try:
            if self._events.is_open and standing.failed is None:
                standing.forget()
                self._rows.close()
                standing.is_mute()
                standing.quiet = True  # a suspect file is no reason not to close
                self.event("log_closed", readings=self._rows.rows, readings_head=self._rows.head)
        finally:
            self._room.give_back()
            self.abandon()
        return self.heads

    def abandon(self) -> None:
        """Let go of files and lock without another word: the bundle stays interrupted. Never raises RecordError."""
        self._rows.abandon()
        self._events.close()

    def _sync_inputs(self) -> None:
        own = {RESERVE, *self._events.names}
        for path in sorted(it for it in self.folder.iterdir() if it.is_file() and it.name not in own):
            handle = self._disk.append_to(path)
            try:
                self._disk.sync(handle)
            finally:
                self._disk.close(handle)
        self._disk.sync_folder(self.folder)

    def _look_at_room(self) -> None:
        """At low water tell, once: what is left, and the reserve, is for the end of the run."""
        trouble = self._room.ebbed(self._rows.rows)
        if trouble is not None:
            self.event("low_water", free_bytes=trouble.value, wanted_bytes=trouble.limit)
            self._standing.trouble(trouble)


def _shown(torn: bytes) -> str:
    """A torn tail as text, a byte a character; of a long one the beginning."""
    left_out = len(torn) - TORN_BYTES
    return torn[:TORN_BYTES].decode("latin-1") + (f"... and {left_out} bytes more" if left_out > 0 else "")
