"""A disk that fails where it is told to, and that can lose power.

It lies over a real folder, which is what the page cache shows; beside it, it knows what is truly on disk: the bytes
that a sync confirmed, and the names that a folder's sync confirmed. ``after_power_cut`` makes the folder that a reboot
finds: of every write that was not confirmed any part may have come about, torn anywhere and with holes; of the names
that were not confirmed any first part. After a sync that failed, what it was for is never written by a later one.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.disk import RealDisk

#: What is lost or kept as one.
PAGE = 512


@dataclass
class _Inode:
    """One file: what was confirmed, and each write since as (offset, data, may still come about by a sync)."""

    confirmed: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes]] = field(default_factory=list)
    dropped: list[tuple[int, bytes]] = field(default_factory=list)
    size: int = 0

    def put(self, data: bytes) -> None:
        self.pending.append((self.size, data))
        self.size += len(data)

    def cut(self, size: int) -> None:
        self.size = size
        self.pending = [(at, data[: size - at]) for at, data in self.pending if at < size]
        self.dropped = [(at, data[: size - at]) for at, data in self.dropped if at < size]
        del self.confirmed[size:]

    def sync(self) -> None:
        for at, data in self.pending:
            self._write(self.confirmed, at, data)
        self.pending = []

    def fail(self) -> None:
        self.dropped += self.pending
        self.pending = []

    def found(self, rng: random.Random) -> bytes:
        """What a reboot reads."""
        content = bytearray(self.confirmed)
        for at, data in sorted([*self.pending, *self.dropped]):
            if rng.random() < 0.3:
                continue
            kept = data[: rng.randrange(len(data) + 1)] if rng.random() < 0.5 else data
            for begin in range(0, len(kept), PAGE):
                if rng.random() < 0.9:
                    self._write(content, at + begin, kept[begin : begin + PAGE])
        return bytes(content)

    @staticmethod
    def _write(content: bytearray, at: int, data: bytes) -> None:
        if len(content) < at:
            content.extend(bytes(at - len(content)))
        content[at : at + len(data)] = data


class PowerCutError(BaseException):
    """The machine stops here: nothing that the program does afterwards reaches the disk."""


class SimulatedDisk(RealDisk):
    """``fail_at`` is the number of the call, from 1, that fails with ``number``; ``None`` there is a power cut. With
    ``ever_after`` all later ones that write fail too. ``partly``: a write that fails has written some of its bytes."""

    def __init__(
        self,
        *,
        fail_at: int = 0,
        number: int | None = errno.EIO,
        ever_after: bool = False,
        partly: bool = False,
        rng: random.Random | None = None,
    ) -> None:
        self.calls = 0
        self.kinds: list[str] = []
        self.free = 1 << 40
        self._dead = False
        self._fail_at, self._number, self._ever_after, self._partly = fail_at, number, ever_after, partly
        self._rng = rng or random.Random(0)
        self._names: dict[Path, _Inode] = {}
        self._confirmed: dict[Path, _Inode] = {}
        self._changes: dict[Path, list[Callable[[dict[Path, _Inode]], object]]] = {}
        self._handles: dict[int, _Inode] = {}

    def _step(self, kind: str) -> bool:
        """Count a call. True if it is to fail."""
        if self._dead:
            raise PowerCutError
        self.calls += 1
        self.kinds.append(kind)
        due = bool(self._fail_at) and (self.calls == self._fail_at or (self._ever_after and self.calls > self._fail_at))
        if due and self._number is None:
            self._dead = True
            raise PowerCutError
        return due

    def _error(self) -> OSError:
        assert self._number is not None
        return OSError(self._number, os.strerror(self._number))

    def _check(self, kind: str) -> None:
        if self._step(kind):
            raise self._error()

    def _change(self, folder: Path, change: Callable[[dict[Path, _Inode]], object]) -> None:
        change(self._names)
        self._changes.setdefault(folder, []).append(change)

    def create(self, path: Path) -> int:
        self._check("create")
        handle = super().create(path)
        inode = self._handles[handle] = _Inode()
        self._change(path.parent, lambda names: names.__setitem__(path, inode))
        return handle

    def append_to(self, path: Path) -> int:
        self._check("open")
        handle = super().append_to(path)
        self._handles[handle] = self._names.setdefault(path, _Inode())
        return handle

    def write(self, handle: int, data: memoryview) -> int:
        if self._step("write"):
            if self._partly and len(data) > 1:
                part = data[: self._rng.randrange(1, len(data))]
                self._handles[handle].put(bytes(part))
                super().write(handle, part)
            raise self._error()
        size = super().write(handle, data)
        self._handles[handle].put(bytes(data[:size]))
        return size

    def sync(self, handle: int) -> None:
        if self._step("sync"):
            self._handles[handle].fail()
            raise self._error()
        self._handles[handle].sync()

    def sync_folder(self, path: Path) -> None:
        self._check("sync folder")
        for change in self._changes.pop(path, []):
            change(self._confirmed)

    def close(self, handle: int) -> None:
        super().close(handle)

    def cut(self, path: Path, size: int) -> None:
        self._check("cut")
        super().cut(path, size)
        if path in self._names:  # else it lies there from before, and no power cut is asked of it
            self._names[path].cut(size)

    def rename(self, path: Path, to: Path) -> None:
        self._check("rename")
        super().rename(path, to)

        def change(names: dict[Path, _Inode]) -> None:
            if path in names:
                names[to] = names.pop(path)

        self._change(path.parent, change)

    def remove(self, path: Path) -> None:
        self._check("remove")
        super().remove(path)
        self._change(path.parent, lambda names: names.pop(path, None))

    def reserve(self, path: Path, size: int) -> None:
        self._check("reserve")
        path.touch()

    def free_bytes(self, folder: Path) -> int:
        return self.free

    def after_power_cut(self, folder: Path, to: Path) -> Path:
        """What a reboot finds of ``folder``, made at ``to``."""
        names = dict(self._confirmed)
        for _, changes in sorted(self._changes.items()):
            for change in changes[: self._rng.randrange(len(changes) + 1)]:
                change(names)
        (to / "readings").mkdir(parents=True)
        for path, inode in names.items():
            (to / path.relative_to(folder)).write_bytes(inode.found(self._rng))
        return to
