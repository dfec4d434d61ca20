"""A simulated device behind a serial line: a pty in raw mode, optionally under a lasting name."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Callable
from pathlib import Path

from simulators.servers.sessions import Session, Write
from simulators.spec import Flight

MakeSession = Callable[[Write], Session]


class PtyServer:
    """Holds both ends of a pty: the far end is ours, the near end is the path that a client opens.

    Our own descriptor of the near end keeps the pty alive between clients. Like a serial line it has no flow control:
    what does not fit into the kernel's buffer is lost.
    """

    def __init__(self, make_session: MakeSession, *, link: Path | None = None, flight: Flight) -> None:
        self._make_session = make_session
        self._link = link
        self._left = flight.left
        self._arrived = flight.arrived
        self._session: Session | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._far = self._near = -1
        self._device = ""

    @property
    def path(self) -> str:
        """What a client opens, once started."""
        return self._device if self._link is None else str(self._link)

    def start(self) -> None:
        """Open the pty. Raises FileExistsError if the lasting name is taken by something that is not a link."""
        if self._far >= 0:
            return
        if self._link is not None and self._link.exists() and not self._link.is_symlink():
            raise FileExistsError(f"{self._link} exists and is not a link; give another path for the pty")
        self._far, self._near = os.openpty()
        tty.setraw(self._near)
        os.set_blocking(self._far, False)
        self._device = os.ttyname(self._near)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self._device)
        self._loop = asyncio.get_running_loop()
        self._session = self._make_session(self._write)
        self._loop.add_reader(self._far, self._read)

    def close(self) -> None:
        """Hang up and take the lasting name away. Idempotent."""
        if self._far < 0 or self._loop is None or self._session is None:
            return
        self._session.end()
        self._loop.remove_reader(self._far)
        os.close(self._far)
        os.close(self._near)
        self._far = self._near = -1
        if self._link is not None and self._link.is_symlink() and str(self._link.readlink()) == self._device:
            self._link.unlink()

    def shout(self, data: bytes) -> None:
        """Send what nobody asked for."""
        if self._far >= 0:
            self._write(data)

    def _read(self) -> None:
        try:
            data = os.read(self._far, 4096)
        except BlockingIOError:
            return
        self._arrived(len(data))
        if self._session is not None:
            self._session.feed(data)

    def _write(self, data: bytes) -> None:
        try:
            self._left(os.write(self._far, data))
        except BlockingIOError:
            return
