"""The pipe between a guardian and its child: short lines both ways, and heartbeats that never wait.

A beat is the line ``b``; anything else is one JSON object a line. Beats are dropped when the far end does not take
them: it is then not looking, and that is for the far end to say.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: Each side beats so often, in seconds.
BEAT_S = 0.5
#: A far end that was not heard for longer is gone, stopped or stuck.
SILENCE_S = 2.0

_BEAT = b"b\n"
_CHUNK = 1 << 16
_MOST_HANDLES = 64


class Channel:
    """One end. ``hear(message)`` is called for each object, with the file handles that came along so far in
    ``handles``; ``heard_s`` is the loop's time of the last line of any kind; ``ended`` is called once at the end of the
    pipe."""

    def __init__(
        self, sock: socket.socket, *, hear: Callable[[dict[str, Any]], None], ended: Callable[[str], None]
    ) -> None:
        sock.settimeout(0.0)
        self._sock = sock
        self._hear = hear
        self._ended = ended
        self._held = b""
        self._open = False
        self._saying = asyncio.Lock()
        self.handles: list[int] = []
        self.heard_s = 0.0

    def start(self) -> None:
        """Listen, in the running loop."""
        loop = asyncio.get_running_loop()
        self.heard_s = loop.time()
        self._open = True
        loop.add_reader(self._sock.fileno(), self.drain)

    def close(self) -> None:
        """Idempotent."""
        if self._open:
            self._open = False
            asyncio.get_running_loop().remove_reader(self._sock.fileno())
        self._sock.close()
        for handle in self.handles:
            os.close(handle)
        self.handles.clear()

    def beat(self) -> None:
        """Never waits, never raises. Not in the middle of an object, which is a sign of life as well."""
        if not self._saying.locked():
            with contextlib.suppress(OSError):
                self._sock.send(_BEAT)

    async def say(self, message: Mapping[str, Any], handles: Sequence[int] = ()) -> None:
        """One object, with file handles along. Raises OSError if the far end is gone."""
        for at in range(0, len(handles), _MOST_HANDLES):  # what one message cannot hold would be dropped unsaid
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", handles[at : at + _MOST_HANDLES]))]
            self._sock.sendmsg([_BEAT], rights)
        line = json.dumps(message, ensure_ascii=False).encode() + b"\n"
        async with self._saying:  # one after the other, each whole
            await asyncio.get_running_loop().sock_sendall(self._sock, line)

    def drain(self) -> None:
        """Take in all that has come: also called by whoever is about to judge a silence."""
        while self._open:
            try:
                data, handles, _, _ = socket.recv_fds(self._sock, _CHUNK, _MOST_HANDLES)
            except BlockingIOError:
                return
            except OSError as error:
                self._end(f"the pipe is broken ({error})")
                return
            self.handles += handles
            if not data:
                self._end("the pipe has ended")
                return
            self._take(data)

    def _take(self, data: bytes) -> None:
        self.heard_s = asyncio.get_running_loop().time()
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            if line == _BEAT[:-1]:
                continue
            try:
                message = json.loads(line)
            except ValueError:
                self._end("the far end does not speak as it should")
                return
            self._hear(message)

    def _end(self, why: str) -> None:
        self._open = False
        asyncio.get_running_loop().remove_reader(self._sock.fileno())
        self._ended(why)
