"""From a url in the bench file to an unopened wire."""

from __future__ import annotations

from drivers.wires import Flight, Wire
from drivers.wires.health import LineEvent
from drivers.wires.port import PortWire
from drivers.wires.url import parse_url

#: What a wire is given when nobody counts bytes: live hardware, and most tests.
UNCOUNTED = Flight()


def make_wire(url: str, *, flight: Flight = UNCOUNTED, simulated: bool = False) -> Wire:
    """The wire for a url, not yet open. Raises UrlError.

    ``simulated`` shortens the real-time deadline of a wire whose thread stops a virtual clock (VISA); nothing else
    differs between a simulator and an instrument. Each kind of wire imports its own library, and only when asked
    for, so that a bench without Modbus loads no pymodbus.
    """
    parts = parse_url(url)
    match parts.scheme:
        case "tcp":
            from drivers.wires.lines import tcp_lines

            return tcp_lines(parts, flight)
        case "serial":
            from drivers.wires.serial_lines import serial_lines

            return serial_lines(parts, flight)
        case "visa":
            from drivers.wires.visa import VisaLines

            # Real time, in which silence costs nothing but waiting; a busy machine may stall for a tenth of a second.
            return VisaLines(parts, flight, timeout_s=0.2 if simulated else 0.5)
        case "modbus-rtu":
            from drivers.wires.modbus import ModbusRtu

            return ModbusRtu(parts, flight)
        case _:
            from drivers.wires.modbus import ModbusTcp

            return ModbusTcp(parts, flight)


def prepared(wire: Wire, *, event: LineEvent | None = None, safety: bool = False) -> None:
    """Tell ``event`` what becomes of this line (:mod:`drivers.wires.health`), and, with ``safety``, connect it anew
    before wires without a safety channel. Does nothing to a wire that has no port of its own."""
    if isinstance(wire, PortWire):
        wire.pace.safety |= safety
        if event is not None:
            wire.tell(event)
