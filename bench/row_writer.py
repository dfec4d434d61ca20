"""The rows of a run while it is recorded: first held in memory, then in the open window, then in a sealed segment.

What takes long is done beside the loop where the record lets it: writing and syncing the rows of a second, and turning
a full window into its segment. A window is full on disk before the next one begins, and stays as it is until its
segment is; the event that announces a segment is written on the loop, when the segment stands. A program that dies in
between leaves plain rows, which are taken up later.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import orjson

from bench.append_file import FULL, Files
from bench.beside import Beside, Job
from bench.chain import GENESIS, digest
from bench.row_files import READINGS, seal_window, window_path
from bench.standing import NO_NEW_FILE, Standing, said
from bench.taken_up import TakenUp, Window
from drivers.clock import real_elapsed_s
from drivers.errors import RecordError


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a window is full (s of run time, rows), and how long (s of real time) and how many rows wait in memory."""

    window_s: float
    window_rows: int
    flush_s: float
    held_rows: int


class Say(Protocol):
    """Writes an event."""

    def __call__(self, kind: str, /, **data: Any) -> None: ...


@dataclass(slots=True)
class _Flush:
    """Rows that are being written beside the loop."""

    lines: list[bytes]
    job: Job[None]


class RowWriter:
    """Keeps rows. ``event`` is the record's own, which raises RecordError; ``put`` writes an event and raises OSError;
    ``written`` is called when rows went out beside the loop.

    ``sealing`` and ``writing`` are where long work is done. Everything else happens on the loop.
    """

    def __init__(
        self,
        folder: Path,
        files: Files,
        standing: Standing,
        bounds: Bounds,
        *,
        event: Say,
        put: Say,
        written: Callable[[], None],
        sealing: Beside,
        writing: Beside,
    ) -> None:
        self.columns: tuple[str, ...] = ()
        self.rows = 0
        self.head = GENESIS
        self._folder, self._files, self._standing, self._bounds = folder, files, standing, bounds
        self._event, self._put, self._written = event, put, written
        self._sealing, self._writing = sealing, writing
        self._windows: list[Window] = []  # those that are no segment yet; only the last may be open
        self._jobs: dict[int, Job[dict[str, Any]]] = {}  # by window: segments in the making
        self._window_number = self._window_rows = 0
        self._window_end_s = 0.0
        self._named = 0  # the last window whose name is on disk
        self._held: list[bytes] = []
        self._held_since_s = 0.0
        self._flush: _Flush | None = None
        self._timer: asyncio.TimerHandle | None = None

    def go_on_with(self, taken: TakenUp) -> None:
        """Take up what an interrupted record left."""
        self.columns, self.rows, self.head = taken.columns, taken.rows, taken.head
        self._windows, self._window_number = taken.windows, taken.window_number
        if taken.windows:
            self._window_rows, self._named = taken.windows[-1].rows, taken.window_number
            self._window_end_s = taken.first_s + self._bounds.window_s

    def keep(self, values: Sequence[float], shift_s: float) -> None:
        """Keep one row; its first value, the time, is shifted. Raises RecordError."""
        mono_s, utc_s, step, *channels = values
        at_s = float(mono_s) + shift_s
        if at_s >= self._window_end_s or self._window_rows >= self._bounds.window_rows:
            self._begin_window(at_s)
        # floats and one integer, whatever came: the Parquet segment must give the very same text back
        line = orjson.dumps([at_s, float(utc_s), int(step), *map(float, channels), self.head])
        self.head = hashlib.sha256(line).hexdigest()
        self.rows += 1
        self._window_rows += 1
        self._hold(line)

    def flush_in_time(self) -> None:
        """Have the rows written, beside the loop, that wait in memory for longer than they should."""
        if self._held and real_elapsed_s() - self._held_since_s >= self._bounds.flush_s:
            self._begin_flush()

    def write_held(self) -> None:
        """The rows that wait are on disk when this returns. Raises RecordError."""
        self._stop_timer()
        self._end_flush()
        if not self._held or self._standing.failed is not None:
            return
        held, self._held = self._held, []
        try:
            self._putting(held)()
        except OSError as error:
            self._go_on_beside(error, held)
        else:
            self._confirmed(held)

    def begin_last_segments(self) -> None:
        """Have every window made a segment, the open one too: a later row begins a new one. Raises RecordError."""
        self.write_held()
        self._window_end_s = -math.inf
        self._begin_segments(self._windows)

    def close(self) -> None:
        """Make every window a segment. Raises RecordError."""
        quiet, self._standing.quiet = self._standing.quiet, True
        try:
            self.begin_last_segments()
            for window in self._windows.copy():
                if self._standing.failed is None:
                    self._end_segment(window)
        finally:
            self._standing.quiet = quiet

    def abandon(self) -> None:
        """Let go of the files; what is under way beside the loop is waited for. Never raises."""
        self._stop_timer()
        if self._flush is not None:
            self._flush.job.cancel()
        for job in self._jobs.values():
            job.cancel()
        for window in self._windows:
            window.file.close()
        self._windows, self._jobs, self._flush = [], {}, None

    def _hold(self, line: bytes) -> None:
        if not self._held:
            self._held_since_s = real_elapsed_s()
            if self._files.durable:  # real time: nothing else may come along for longer than a second
                self._timer = asyncio.get_running_loop().call_later(self._bounds.flush_s, self._flush_by_timer)
        self._held.append(line)
        if len(self._held) >= self._bounds.held_rows:
            self.write_held()
        elif not self._files.durable:
            self.flush_in_time()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _flush_by_timer(self) -> None:
        self._timer = None
        if self._flush is not None:  # the disk is slow: go on when it is back
            self._timer = asyncio.get_running_loop().call_later(self._bounds.flush_s, self._flush_by_timer)
        else:
            self._begin_flush()

    def _begin_flush(self) -> None:
        if self._flush is not None or not self._held or self._standing.failed is not None:
            return
        self._stop_timer()
        held, self._held = self._held, []
        self._flush = flush = _Flush(held, Job(self._putting(held)))
        self._writing.begin(flush.job, partial(self._later, partial(self._is_written, flush)))

    def _is_written(self, flush: _Flush) -> None:
        if flush is self._flush:
            self._end_flush()
            self._written()

    def _end_flush(self) -> None:
        """What is being written beside the loop is on disk when this returns. Raises RecordError."""
        if self._flush is None:
            return
        flush, self._flush = self._flush, None
        try:
            flush.job.take()
        except OSError as error:
            self._go_on_beside(error, flush.lines)
        else:
            self._confirmed(flush.lines)

    def _putting(self, lines: Sequence[bytes]) -> Callable[[], None]:
        """Put rows into the open window, and with the first ones its name into the folder. Raises OSError."""
        files, window, data = self._files, self._windows[-1], b"\n".join(lines) + b"\n"
        first = window.number != self._named

        def put() -> None:
            window.file.put(data)
            if first:
                files.sync_folder(window.file.path.parent)
                self._named = window.number

        return put

    def _confirmed(self, lines: Sequence[bytes]) -> None:
        window = self._windows[-1]
        window.rows += len(lines)
        window.head = digest(lines[-1])

    def _later(self, act: Callable[[], None]) -> None:
        """Do what has come back from a thread, where nobody can be told."""
        try:
            act()
        except RecordError as error:
            self._standing.put_off(error)

    def _go_on_beside(self, error: OSError, held: list[bytes]) -> None:
        """Begin the next window: the confirmed rows of this one stay, the others go there. Raises RecordError."""
        window = self._windows[-1]
        name = f"{READINGS}/{window.file.path.name}"
        if not self._standing.may_go_on(error):
            self._standing.fail(error, name)
        window.failed = True
        try:
            self._open_window()
            goes_on_in = f"{READINGS}/{self._windows[-1].file.path.name}"
            about = {"file": name, "records": window.rows, "head": window.head, "error": said(error)}
            self._put("suspect", **about, goes_on_in=goes_on_in)
            self._putting(held)()
        except OSError as second:
            self._standing.fail(second, name)
        self._confirmed(held)
        self._window_rows = len(held) + len(self._held)
        self._standing.now_suspect(error, name)

    def _open_window(self) -> None:
        """Begin the next window. Raises OSError."""
        self._window_number += 1
        self._window_rows = 0
        path = window_path(self._folder, self._window_number)
        head = self._windows[-1].head if self._windows else self.head
        self._windows.append(Window(self._window_number, self._files.create(path), head=head))

    def _begin_window(self, first_s: float) -> None:
        quiet, self._standing.quiet = self._standing.quiet, True
        try:
            self.write_held()
            full = self._windows.copy()
            try:
                self._open_window()
            except OSError as error:
                self._standing.fail(error, READINGS)
            self._window_end_s = first_s + self._bounds.window_s
            self._begin_segments(full)
        finally:
            self._standing.quiet = quiet

    def _begin_segments(self, windows: Sequence[Window]) -> None:
        """Have segments made, in order, of all these windows that none is being made of yet. Raises RecordError."""
        for window in [it for it in windows if it.number not in self._jobs]:
            window.file.close()  # it grows no more; many may wait for their turn
            job = self._jobs[window.number] = Job(self._making(window))
            self._sealing.begin(job, partial(self._later, partial(self._is_sealed, window)))

    def _making(self, window: Window) -> Callable[[], dict[str, Any]]:
        """Make the segment, a second time if the reserve had to be given back for it. Raises OSError, ValueError."""
        files, rows = self._files, window.rows

        def make() -> dict[str, Any]:
            return seal_window(files.disk, self._folder, window.number, self.columns, durable=files.durable, limit=rows)

        def with_reserve() -> dict[str, Any]:
            if not rows:
                return {}
            try:
                return make()
            except OSError as error:
                if error.errno not in FULL or not files.make_room():
                    raise
            return make()

        return with_reserve

    def _is_sealed(self, window: Window) -> None:
        """The events of segments stand in the order of the windows, whichever came back first."""
        if self._standing.failed is not None or window not in self._windows:
            return
        quiet, self._standing.quiet = self._standing.quiet, True
        try:
            for earlier in self._windows[: self._windows.index(window) + 1]:
                self._end_segment(earlier)
        finally:
            self._standing.quiet = quiet

    def _end_segment(self, window: Window) -> None:
        """Say what became of a window. One that cannot be made a segment stays as it is; the event ``unsealed`` says
        so, and how far it counts. Raises RecordError."""
        try:
            data = self._jobs.pop(window.number).take()
        except (OSError, ValueError) as error:
            name = f"{READINGS}/{window.file.path.name}"
            self._event("unsealed", file=name, rows=window.rows, head=window.head, error=said(error))
            if not window.failed and getattr(error, "errno", None) not in NO_NEW_FILE:
                self._standing.now_suspect(error, name, confirmed=True)
        else:
            if data:
                self._event("segment", **data)
            if not window.failed:  # of a suspect file nothing is thrown away
                with suppress(OSError):  # what stays beside its segment is passed over
                    self._files.disk.remove(window.file.path)
        window.file.close()
        self._windows.remove(window)
