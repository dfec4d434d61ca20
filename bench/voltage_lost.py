"""The sample's voltage goes away in the stroke: has a lead broken, or has the cell shorted inside?

Both look alike on the meter that limits and results read. The rig has a meter of its own, on leads of its own, and a
cell that is shorted heats up: what these two show is put on the record, and nothing waits for it. Recording and
observation go on either way. One look proves nothing, since a meter may misread once: nothing is told before a second
look of the same channel has found the voltage lost as well, and then only by what is seen after that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from enum import StrEnum
from typing import Any

from bench.stream import Batch, Stage, Stream
from drivers.reading import Quality

#: Less than this part of the voltage at contact is lost; more than ``STILL_THERE`` of it is there.
LOST, STILL_THERE = 0.1, 0.5
#: A surface that has warmed by so much since then is a cell that turns its energy into heat. Our choice: more than
#: three times the 1.5 K that a thermocouple of class 1 may be wrong by (IEC 60584-1).
WARMED_K = 5.0
#: What is not told apart by then is said to be so. A shorted cell's surface has warmed long before.
WITHIN_S = 60.0


class Lost(StrEnum):
    """Why the sample's voltage is not shown any more."""

    LEAD = "a lead broke"
    SHORT = "the cell has shorted"
    UNKNOWN = "not told apart"


class VoltageLost:
    """Listens from contact on until it knows, and tells ``event("voltage_lost", ...)`` once, if the voltage goes away.

    ``cell`` is the channel that goes; ``other`` the rig's own voltage; ``was_v`` what ``cell`` showed at contact.
    """

    def __init__(
        self,
        stream: Stream,
        event: Callable[..., Any],
        *,
        cell: str,
        other: str,
        surface: Collection[str],
        was_v: float,
    ) -> None:
        self._event = event
        self._cell, self._other, self._was_v = cell, other, was_v
        self._warm_c = dict.fromkeys(surface, math.nan)
        self._since_s: float | None = None
        self._sure_s: float | None = None  # of the second look that found it lost
        self._other_v: float | None = None
        self._close = stream.subscribe(Stage.LIVE, self._deliver)

    def close(self) -> None:
        """Listen no more. Idempotent."""
        self._close()

    def _deliver(self, batch: Batch) -> None:
        for reading in batch:
            channel, value, mono_s, _, quality = reading
            good = quality is Quality.GOOD
            if self._since_s is None:
                if channel == self._cell and not (good and value >= LOST * self._was_v):
                    self._since_s = mono_s
                elif good and channel in self._warm_c:
                    self._warm_c[channel] = value
            elif self._known(channel, value if good else math.nan, mono_s, self._since_s):
                return

    def _known(self, channel: str, value: float, mono_s: float, since_s: float) -> bool:
        """Whether this reading tells, which is then said."""
        if channel == self._cell and value >= STILL_THERE * self._was_v:
            self._since_s = self._sure_s = None  # it is back: one look missed it
            return False
        sure = self._sure_s is not None and mono_s > self._sure_s
        if channel == self._cell and mono_s > since_s and self._sure_s is None and not value >= LOST * self._was_v:
            self._sure_s = mono_s
        if channel == self._other and mono_s > since_s and not math.isnan(value):
            self._other_v = value
            if sure and value >= STILL_THERE * self._was_v:
                return self._tell(Lost.LEAD, since_s)
        if sure and channel in self._warm_c and value - self._warm_c[channel] >= WARMED_K:
            return self._tell(Lost.SHORT, since_s)
        return mono_s - since_s > WITHIN_S and self._tell(Lost.UNKNOWN, since_s)

    def _tell(self, why: Lost, since_s: float) -> bool:
        self.close()
        self._event(
            "voltage_lost", channel=self._cell, why=why, at_s=since_s, was_v=self._was_v, other=self._other,
            other_v=self._other_v,
        )  # fmt: skip
        return True
