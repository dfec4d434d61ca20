"""Text lines over a serial port: pyserial opens and configures it, the event loop moves the bytes.

pyserial's own defaults neither lock the port nor bound a write; the port is opened locked (``flock``, which keeps out
every program that asks for the lock), and no call here ever blocks.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
from collections.abc import Callable

import serial

from drivers.wires import Flight
from drivers.wires.lines import Lines, Stream
from drivers.wires.opening import WireUrl

#: Silence that ends a drain, in seconds: at 9600 baud the time of 288 characters, so no pause inside a reply.
SETTLE_S = 0.3
_CHUNK = 4096


class SerialLink:
    """Both sides of an open port: what comes goes to ``stream``, what the kernel does not take yet is kept."""

    def __init__(self, port: serial.Serial, stream: Stream) -> None:
        self._port = port
        self._fd: int = port.fileno()
        self._stream = stream
        self._unsent = b""
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._readable)

    def write(self, data: bytes) -> None:
        if self._unsent:
            self._unsent += data
            return
        taken = self._offer(data)
        if taken < len(data) and not self._closed:
            self._unsent = data[taken:]
            self._loop.add_writer(self._fd, self._writable)

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def abort(self) -> None:
        """Give the port up at once, with what it still holds: closing a port that cannot send would block."""
        self._end(None)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)
            return
        if data:
            self._stream.data_received(data)
        else:
            # Readable without data is how Linux shows an adapter that was pulled out.
            self._end(OSError("the port was unplugged, or another program reads from it"))

    def _writable(self) -> None:
        taken = self._offer(self._unsent)
        if self._closed:
            return
        self._unsent = self._unsent[taken:]
        if not self._unsent:
            self._loop.remove_writer(self._fd)
            self._stream.resume_writing()

    def _offer(self, data: bytes) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._end(error)
            return 0

    def _end(self, error: OSError | None) -> None:
        if self._closed:
            return
        self._closed = True
        self._unsent = b""
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        with contextlib.suppress(OSError, termios.error):
            self._port.reset_output_buffer()
        with contextlib.suppress(OSError):
            self._port.close()
        self._stream.connection_lost(error)


def serial_lines(parts: WireUrl, flight: Flight) -> Lines:
    """Lines over ``serial:///dev/...``. A late reply survives closing the port, so a suspect line is drained."""

    async def connect(make: Callable[[], Stream]) -> Stream:
        port = serial.Serial(
            parts.path,
            baudrate=parts.baud,
            bytesize=parts.data_bits,
            parity=parts.parity,
            stopbits=parts.stop_bits,
            timeout=0,
            write_timeout=0,
            exclusive=True,
        )
        stream = make()
        stream.link = SerialLink(port, stream)
        return stream

    return Lines(parts, connect, flight, settle_s=SETTLE_S)
