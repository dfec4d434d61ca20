"""The only place that reads the machine's clocks. Everything else is handed a Clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Readings of now, as plain callables.

    ``mono_s`` never jumps and orders everything (the running loop's time); ``utc_s`` is Unix time, for labels only.
    ``boot_s`` goes on while the machine is suspended and is else as ``mono_s``; None where nothing is ever suspended.
    A simulated run is handed one whose wall clock starts at ``--start`` and moves with the loop.
    """

    mono_s: Callable[[], float]
    utc_s: Callable[[], float]
    boot_s: Callable[[], float] | None = None


def system_clock(mono_s: Callable[[], float]) -> Clock:
    """The machine's own wall clock beside the given monotonic one (normally ``loop.time``)."""
    return Clock(mono_s=mono_s, utc_s=time.time, boot_s=_boot_s if hasattr(time, "CLOCK_BOOTTIME") else None)


def _boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def real_elapsed_s() -> float:
    """Seconds of real time since some fixed instant: for reporting how long a run took on the wall."""
    return time.monotonic()
