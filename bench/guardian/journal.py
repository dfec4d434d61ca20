"""The guardian's own record of a run: a file beside the run's events, in the same form, written by another process."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.chain import GENESIS, digest, encode
from drivers.clock import Clock

NAME = "guardian"
SCHEMA = "cellbench/guardian/1"


class Journal:
    """One record a line, each with the hash of the line before it; ``guardian-2.jsonl`` where there is one already.

    What cannot be written is told to ``told`` once; making safe goes on without a record. ``note`` hands the line to
    the kernel, ``sync`` waits until it is on the disk.
    """

    def __init__(self, folder: Path, clock: Clock, *, mode: str, told: Callable[[str], None], **header: Any) -> None:
        self._clock, self._mode, self._told = clock, mode, told
        self._n, self._head, self._fd = 0, GENESIS, -1
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
        """Never raises."""
        if self._fd < 0:
            return
        line = encode(
            {
                "n": self._n,
                "mono_s": round(self._clock.mono_s(), 6),
                "utc_s": round(self._clock.utc_s(), 6),
                "mode": self._mode,
                "kind": kind,
                "data": data,
                "prev": self._head,
            }
        )
        try:
            view = memoryview(line + b"\n")
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            self._give_up(error)
            return
        self._n, self._head = self._n + 1, digest(line)

    def sync(self) -> None:
        """Never raises; never tried again after it failed."""
        if self._fd < 0:
            return
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Idempotent."""
        self.sync()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _give_up(self, error: OSError) -> None:
        self._told(f"its record ends here: {error.strerror}")
        os.close(self._fd)
        self._fd = -1
