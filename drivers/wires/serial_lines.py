"""Text lines over a serial port."""

from __future__ import annotations

from collections.abc import Callable

from drivers.wires import Flight
from drivers.wires.lines import Lines, Stream
from drivers.wires.serial_port import open_serial, open_serial_patiently
from drivers.wires.url import WireUrl

#: Silence that ends a drain, in seconds: at 9600 baud the time of 288 characters, so no pause inside a reply.
SETTLE_S = 0.3
#: Quiet characters between an answer and the next question, as on a Modbus line.
GAP_CHARACTERS = 3.5


def serial_lines(parts: WireUrl, flight: Flight) -> Lines:
    """Lines over ``serial:///dev/...``. A late reply survives closing the port, so a suspect line is drained."""

    first = True

    async def connect(make: Callable[[], Stream]) -> Stream:
        nonlocal first
        stream = make()
        # Later openings may stand before a stop.
        stream.link = await open_serial_patiently(parts, stream) if first else open_serial(parts, stream)
        first = False
        return stream

    return Lines(parts, connect, flight, settle_s=SETTLE_S, gap_s=max(1e-3, GAP_CHARACTERS * 11 / parts.baud))
