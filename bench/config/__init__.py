"""The files that describe a bench and a cell. Every file begins with ``schema = "cellbench/<kind>/<n>"``.

A value with a physical unit is text with that unit; inside it is a float in the base unit its name ends in. All faults
of a file are reported at once, each with its line and what to do about it.
"""

from bench.config.bench_file import (
    BenchFile,
    Calibration,
    Channel,
    DeviceEntry,
    Limits,
    Place,
    Reach,
    TemperatureLimits,
    load_bench,
    read_bench,
    standing_bench,
    wire_keys,
)
from bench.config.cell_file import AbuseLimits, CellFile, CellSimulation, OperatingLimits, load_cell, read_cell

__all__ = [
    "AbuseLimits",
    "BenchFile",
    "Calibration",
    "CellFile",
    "CellSimulation",
    "Channel",
    "DeviceEntry",
    "Limits",
    "OperatingLimits",
    "Place",
    "Reach",
    "TemperatureLimits",
    "load_bench",
    "load_cell",
    "read_bench",
    "read_cell",
    "standing_bench",
    "wire_keys",
]
