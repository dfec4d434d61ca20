"""What the machine's clocks do during a run: only the monotonic one steers, and what the others do goes on the record.

The wall clock labels, nothing more; when it parts from the monotonic one by more than a second that is an event. While
the PC is suspended the monotonic clock stands still on Linux, CLOCK_BOOTTIME does not: nobody watched the bench then.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.cause import Cause, EndKind
from drivers.clock import Clock

#: The wall clock may part from the monotonic one by so much, by drift or in a step, before that is noted.
STEP_S = 1.0
#: The PC was suspended if CLOCK_BOOTTIME gained so much.
SUSPENDED_S = 2.0
#: 2026-01-01 UTC: before that there was no such program, so the wall clock was never set (an RTC without its battery).
EARLIEST_UTC_S = 1_767_225_600.0


class Timekeeping:
    """Begins with the clocks as they are. To be looked at often, by who watches the bench."""

    def __init__(self, clock: Clock, event: Callable[..., object]) -> None:
        self._clock = clock
        self._event = event
        self._mono_s = clock.mono_s()
        self._ahead_s = clock.utc_s() - self._mono_s
        self._asleep_s = self._suspended_so_far_s()
        if clock.utc_s() < EARLIEST_UTC_S:
            event("clock_unset", utc_s=round(clock.utc_s(), 6))

    def look(self) -> Cause | None:
        """Note what the clocks did since the last look. A cause to trip for if the PC was suspended, once each time.

        Raises what ``event`` raises.
        """
        mono_s, utc_s = self._clock.mono_s(), self._clock.utc_s()
        slept_s = self._suspended_so_far_s() - self._asleep_s
        suspended = slept_s > SUSPENDED_S
        if suspended:
            self._asleep_s += slept_s
            self._ahead_s += slept_s  # a wall clock that went on meanwhile made no step
        step_s = utc_s - mono_s - self._ahead_s
        since_s, self._mono_s = mono_s - self._mono_s, mono_s
        if suspended:
            self._event("suspended", slept_s=round(slept_s, 3))
        if abs(step_s) > STEP_S:
            self._ahead_s += step_s
            self._event("clock_step", step_s=round(step_s, 3), looked_before_s=round(since_s, 3))
        return Cause(EndKind.HOST, "suspended", value=slept_s, limit=SUSPENDED_S) if suspended else None

    def _suspended_so_far_s(self) -> float:
        boot_s = self._clock.boot_s
        return 0.0 if boot_s is None else boot_s() - self._clock.mono_s()
