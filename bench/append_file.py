"""One file of a record that only grows: what was put into it is whole and on disk, or it is not there."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bench.disk import Disk

#: There is no room; the file itself is as good as before.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class UnsyncedError(OSError):
    """The disk did not confirm what was written. The kernel may have dropped it: the file is not to be trusted any
    more, and syncing again would prove nothing."""


class AppendFile:
    """A file of records, held open. ``make_room`` is asked once when the disk is full, and says whether it did."""

    def __init__(
        self, disk: Disk, path: Path, handle: int, *, durable: bool, make_room: Callable[[], bool], size: int = 0
    ) -> None:
        self.path = path
        self.handle = handle
        self._disk = disk
        self._durable = durable
        self._make_room = make_room
        self._size = size

    def put(self, data: bytes) -> None:
        """Append; with ``durable`` it is on disk when this returns. A part that could not be finished is taken back.

        Raises OSError, and UnsyncedError if it was written and not confirmed.
        """
        try:
            self._write(data)
        except OSError as error:
            self._take_back()
            if error.errno not in FULL or not self._make_room():
                raise
            try:
                self._write(data)
            except OSError:
                self._take_back()
                raise
        if self._durable:
            try:
                self._disk.sync(self.handle)
            except OSError as error:
                raise UnsyncedError(error.errno, error.strerror) from error
        self._size += len(data)

    def close(self) -> None:
        """Idempotent."""
        if self.handle >= 0:
            handle, self.handle = self.handle, -1
            self._disk.close(handle)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._disk.write(self.handle, view) :]

    def _take_back(self) -> None:
        with suppress(OSError):  # then a torn tail stays, which every reader leaves out
            self._disk.cut(self.path, self._size)


class Files:
    """Opens the files of one record: on one ``disk``, synced or not, with one reserve to fall back on."""

    def __init__(self, disk: Disk, *, durable: bool, make_room: Callable[[], bool]) -> None:
        self.disk = disk
        self.durable = durable
        self.make_room = make_room

    def create(self, path: Path) -> AppendFile:
        """A new file. Raises OSError (FileExistsError: the name is taken)."""
        return self._file(path, self.disk.create(path), 0)

    def reopen(self, path: Path, size: int = 0) -> AppendFile:
        """One that is there and ends, so far as it counts, after ``size`` bytes. Raises OSError."""
        return self._file(path, self.disk.append_to(path), size)

    def sync_folder(self, path: Path) -> None:
        """A folder's names are on disk, if that is wanted, when this returns. Raises OSError."""
        if self.durable:
            self.disk.sync_folder(path)

    def _file(self, path: Path, handle: int, size: int) -> AppendFile:
        return AppendFile(self.disk, path, handle, durable=self.durable, make_room=self.make_room, size=size)
