"""What equipment can do, how each model says it, and the wires that carry the bytes.

This door exports the shared vocabulary only - units, readings, errors, clock; models and wires load by name, so a
program that only wants the words loads no serial, Modbus or VISA library.
"""

from drivers.clock import Clock, real_elapsed_s, system_clock
from drivers.errors import (
    BenchError,
    BenchHeld,
    ConfigError,
    DeviceError,
    DeviceRefused,
    Fault,
    FrameError,
    PreflightRefused,
    ReadbackMismatch,
    RecordError,
    WireClosed,
    WireError,
    WireTimeout,
    WrongDevice,
)
from drivers.reading import Quality, Reading
from drivers.units import BASE, UNITS, Dimension, Quantity, UnitError, parse_as, parse_quantity, unit_of

__all__ = [
    "BASE",
    "UNITS",
    "BenchError",
    "BenchHeld",
    "Clock",
    "ConfigError",
    "DeviceError",
    "DeviceRefused",
    "Dimension",
    "Fault",
    "FrameError",
    "PreflightRefused",
    "Quality",
    "Quantity",
    "ReadbackMismatch",
    "Reading",
    "RecordError",
    "UnitError",
    "WireClosed",
    "WireError",
    "WireTimeout",
    "WrongDevice",
    "parse_as",
    "parse_quantity",
    "real_elapsed_s",
    "system_clock",
    "unit_of",
]
