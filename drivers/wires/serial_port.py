"""A serial port: pyserial opens and configures it, the event loop moves the bytes.

pyserial's own defaults neither lock the port nor bound a write; the port is opened locked (``flock``, which keeps out
every program that asks for the lock), and no call here ever blocks.

A lock belongs to the opening and not to the descriptor: a process that is just being started holds a copy of every
descriptor until it has become another program, and closing ours does not end the lock then. So it is given up by name.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import termios

import serial

from drivers.wires.port_sharers import sharers
from drivers.wires.url import WireUrl

_CHUNK = 4096
#: How long the first opening of a port waits for its lock, and how often it tries, in seconds.
HELD_S = 0.8
HELD_LOOK_S = 0.05


class PortHeldError(OSError):
    """Another opening holds the port's lock."""


class SerialTransport(asyncio.Transport):
    """An open port. What comes goes to ``protocol``, what the kernel does not take yet is kept.

    pymodbus has one too; it waits for the loop to come round before every request, and closing it may block.
    """

    def __init__(self, port: serial.Serial, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._port = port
        self._fd: int = port.fileno()
        self._protocol = protocol
        self._unsent = b""
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._readable)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._unsent:
            self._unsent += data
            return
        taken = self._offer(data)
        if taken < len(data) and not self._closed:
            self._unsent = bytes(data[taken:])
            self._loop.add_writer(self._fd, self._writable)

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def abort(self) -> None:
        """Give the port up at once, with what it still holds: closing a port that cannot send would block."""
        self._end(None)

    def close(self) -> None:
        """The same: nobody waits for what a line has not sent yet."""
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
            self._protocol.data_received(data)
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
            self._protocol.resume_writing()

    def _offer(self, data: bytes | bytearray | memoryview) -> int:
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
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        with contextlib.suppress(OSError):
            self._port.close()
        self._protocol.connection_lost(error)


def open_serial(parts: WireUrl, protocol: asyncio.Protocol) -> SerialTransport:
    """Open and lock the port. Raises OSError, PortHeldError that names who holds it; ValueError for settings that it
    does not take."""
    try:
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
    except serial.SerialException as error:
        if error.errno != errno.EAGAIN:
            raise
        holders = ", ".join(sharers(parts.path)) or "another wire of this program"
        raise PortHeldError(errno.EBUSY, f"{holders} holds the port") from None
    return SerialTransport(port, protocol)


async def open_serial_patiently(parts: WireUrl, protocol: asyncio.Protocol) -> SerialTransport:
    """As :func:`open_serial`, for ``HELD_S`` again and again while another holds the port: a program that was killed
    keeps its lock until the system has taken it apart."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + HELD_S
    while True:
        try:
            return open_serial(parts, protocol)
        except PortHeldError:
            if loop.time() >= until_s:
                raise
        await asyncio.sleep(HELD_LOOK_S)
