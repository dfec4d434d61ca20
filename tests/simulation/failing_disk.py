"""A disk that fails when told to, under every record that is written meanwhile."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bench import disk
from bench.log import RunLog
from drivers.clock import Clock


class FailingDisk(disk.RealDisk):
    """A disk that can be full, or no longer confirm what was written."""

    def __init__(self) -> None:
        self.full = self.broken = False
        #: By handle, what a power cut would take away.
        self.unsynced: dict[int, int] = {}

    def write(self, handle: int, data: memoryview) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        size = super().write(handle, data)
        self.unsynced[handle] = self.unsynced.get(handle, 0) + size
        return size

    def sync(self, handle: int) -> None:
        if self.broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.unsynced.pop(handle, None)

    def sync_folder(self, path: Path) -> None:
        """Nothing here depends on it."""

    def close(self, handle: int) -> None:
        self.unsynced.pop(handle, None)
        super().close(handle)


@contextmanager
def disk_of(failing: FailingDisk) -> Iterator[None]:
    """Within it every record is written to this disk, and made lasting as a live one is."""
    create = RunLog.create

    def lasting(folder: Path, clock: Clock, *, durable: bool, header: Mapping[str, Any], **how: Any) -> RunLog:
        return create(folder, clock, durable=True, header=header, **how)

    with patch("bench.log.RealDisk", lambda: failing), patch.object(RunLog, "create", lasting):
        yield
