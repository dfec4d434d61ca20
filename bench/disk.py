"""What the record asks of a disk, as one small protocol, so that a simulated one can lose, tear, fill up and fail.

Reading is not part of it: what was written is read back by its path. Every call may raise OSError.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Protocol


class Disk(Protocol):
    """Where a record goes. Handles are the operating system's file descriptors."""

    def make_folder(self, path: Path) -> None:
        """Make a folder and its parents where they are missing."""

    def create(self, path: Path) -> int:
        """A new empty file for appending. FileExistsError if the name is taken."""

    def append_to(self, path: Path) -> int:
        """A file that is there, for appending."""

    def write(self, handle: int, data: memoryview) -> int:
        """Append some of the data; gives how many bytes."""

    def sync(self, handle: int) -> None:
        """What was written to the handle is on disk when this returns. After an error nothing is known of it, and a
        second call that succeeds would prove nothing."""

    def sync_folder(self, path: Path) -> None:
        """The folder's names are on disk when this returns."""

    def close(self, handle: int) -> None:
        """Let go of a handle, and of its lock."""

    def cut(self, path: Path, size: int) -> None:
        """Cut a file back to that many bytes."""

    def rename(self, path: Path, to: Path) -> None:
        """Give a file another name at once, in place of what had it."""

    def remove(self, path: Path) -> None:
        """Take a file away, if it is there."""

    def reserve(self, path: Path, size: int) -> None:
        """A file that holds so many bytes of the disk; nothing if it is there already."""

    def free_bytes(self, folder: Path) -> int:
        """How much an ordinary account may still write there."""


class RealDisk:
    """The operating system's."""

    def make_folder(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    def create(self, path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def append_to(self, path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def write(self, handle: int, data: memoryview) -> int:
        return os.write(handle, data)

    def sync(self, handle: int) -> None:
        os.fdatasync(handle)

    def sync_folder(self, path: Path) -> None:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def close(self, handle: int) -> None:
        os.close(handle)

    def cut(self, path: Path, size: int) -> None:
        os.truncate(path, size)

    def rename(self, path: Path, to: Path) -> None:
        path.rename(to)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def reserve(self, path: Path, size: int) -> None:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(handle, 0, size)
        finally:
            os.close(handle)

    def free_bytes(self, folder: Path) -> int:
        return shutil.disk_usage(folder).free
