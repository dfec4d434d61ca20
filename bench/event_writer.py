"""The events of a run while it is recorded: one file, and after the disk failed on it a second one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.append_file import AppendFile, Files
from bench.chain import GENESIS, digest, encode
from bench.event_files import SUSPECT, event_file, event_files
from bench.standing import Standing, said
from bench.taken_up import TakenUp
from drivers.clock import Clock


class EventWriter:
    """Writes events and holds the bundle's lock. ``shift_s`` is added to the clock's time, ``mode`` is stamped on."""

    def __init__(self, folder: Path, files: Files, standing: Standing, clock: Clock, mode: str) -> None:
        self.count = 0
        self.head = GENESIS
        self.shift_s = 0.0
        self._folder, self._files, self._standing, self._clock, self._mode = folder, files, standing, clock, mode
        self._journals: list[AppendFile] = []  # the last is written to; the first holds the lock

    @property
    def is_open(self) -> bool:
        return bool(self._journals)

    @property
    def names(self) -> frozenset[str]:
        """The files that are held open."""
        return frozenset(journal.path.name for journal in self._journals)

    def own(self, file: AppendFile) -> None:
        """Take the first file up, and the bundle's lock with it. Raises OSError: another holds it."""
        self._journals.append(file)
        fcntl.flock(file.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def go_on_with(self, taken: TakenUp) -> None:
        """Take up an interrupted record. Time goes on behind its last event, by as much as the wall clock says has
        passed, and never backwards."""
        self._mode, self.count, self.head = taken.records[0]["mode"], len(taken.records), taken.events_head
        self._journals.append(taken.events_file)
        last = taken.records[-1]
        passed_s = max(self._clock.utc_s() - float(last["utc_s"]), 0.0)
        self.shift_s = round(float(last["mono_s"]) + passed_s - self._clock.mono_s(), 6)

    def write(self, kind: str, data: Mapping[str, Any]) -> None:
        """One event, on disk when this returns, if need be in a new file. Raises RecordError."""
        try:
            self.put(kind, data)
        except OSError as error:
            self._go_on_beside(error, kind, data)

    def put(self, kind: str, data: Mapping[str, Any]) -> None:
        """One event into the file that is open. Raises OSError."""
        record = {
            "n": self.count,
            "mono_s": round(self._clock.mono_s() + self.shift_s, 6),
            "utc_s": round(self._clock.utc_s(), 6),
            "mode": self._mode,
            "kind": kind,
            "data": data,
            "prev": self.head,
        }
        line = encode(record)
        self._journals[-1].put(line + b"\n")
        self.count += 1
        self.head = digest(line)

    def share_lock(self) -> int | None:
        """Another descriptor of the bundle's lock, which is the caller's to close: the bundle is owned until the last
        one is closed, by whichever process. None where nothing is open. Raises OSError."""
        return os.dup(self._journals[0].handle) if self._journals else None

    def close(self) -> None:
        """Let go of the files, and last of the lock. Idempotent."""
        for file in self._journals[::-1]:
            file.close()
        self._journals = []

    def _go_on_beside(self, error: OSError, kind: str, data: Mapping[str, Any]) -> None:
        """Begin the next file of events with what is known of this one, and write the event there. Raises RecordError
        if that cannot be done."""
        name = self._journals[-1].path.name
        if not self._standing.may_go_on(error):
            self._standing.fail(error, name)
        try:
            path = event_file(self._folder, len(event_files(self._folder)) + 1)
            self._journals.append(self._files.create(path))
            self._files.sync_folder(self._folder)
            about = {"file": name, "records": self.count, "head": self.head, "error": said(error)}
            self.put(SUSPECT, {**about, "goes_on_in": path.name})
            self.put(kind, data)
        except OSError as second:
            self._standing.fail(second, name)
        self._standing.now_suspect(error, name)
