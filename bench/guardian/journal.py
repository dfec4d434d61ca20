"""The guardian's own record of a run: a file beside the run's events, in the same form, written by another process."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.chain import GENESIS, digest, encode
from bench.guardian.aside import Aside
from drivers.clock import Clock

NAME = "guardian"
SCHEMA = "cellbench/guardian/1"
#: How long the disk may take, where it is waited for at all.
SETTLE_S = 5.0


class Journal:
    """One record a line, each with the hash of the line before it; ``guardian-2.jsonl`` where there is one already.

    A thread writes and syncs, so that a disk that hangs holds nothing up. What cannot be written is told to ``told``
    once; making safe goes on without a record.
    """

    def __init__(self, folder: Path, clock: Clock, *, mode: str, told: Callable[[str], None], **header: Any) -> None:
        self._clock, self._mode, self._told = clock, mode, told
        self._n, self._head, self._fd = 0, GENESIS, -1
        self._aside = Aside("guardian's record")
        for number in range(1, 1000):
            name = f"{NAME}.jsonl" if number == 1 else f"{NAME}-{number}.jsonl"
            try:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
                self._fd = os.open(folder / name, flags, 0o644)
            except FileExistsError:
                continue
            except OSError as error:
                told(f"no record can be kept in {folder}: {error.strerror}")
            break
        self.note("header", schema=SCHEMA, **header)

    def note(self, kind: str, /, **data: Any) -> None:
        """Never waits, never raises."""
        record = {
            "n": self._n,
            "mono_s": round(self._clock.mono_s(), 6),
            "utc_s": round(self._clock.utc_s(), 6),
            "mode": self._mode,
            "kind": kind,
            "data": data,
            "prev": self._head,
        }
        try:
            line = encode(record)
        except TypeError:  # better its text than nothing
            line = encode({**record, "data": {"text": repr(data)}})
        self._n, self._head = self._n + 1, digest(line)
        self._aside.do(partial(self._write, line + b"\n"))

    def sync(self) -> None:
        """Have the disk take all of it, soon. Never waits, never raises; never tried again after it failed."""
        self._aside.do(self._synced)

    def settle(self) -> bool:
        """Whether the disk has taken all of it within ``SETTLE_S``."""
        self.sync()
        return self._aside.settle(SETTLE_S)

    def close(self) -> None:
        """Idempotent."""
        self._aside.do(self._synced)
        self._aside.do(self._closed)
        self._aside.settle(SETTLE_S)

    def _write(self, line: bytes) -> None:
        view = memoryview(line)
        try:
            while view and self._fd >= 0:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            self._give_up(error)

    def _synced(self) -> None:
        try:
            if self._fd >= 0:
                os.fdatasync(self._fd)
        except OSError as error:
            self._give_up(error)

    def _closed(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _give_up(self, error: OSError) -> None:
        self._told(f"its record ends here: {error.strerror}")
        self._closed()
