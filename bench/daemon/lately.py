"""The last minutes of every channel at full rate, in memory that does not grow."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator

from bench.daemon.feed import Quiet
from bench.daemon.quantities import shown
from bench.daemon.views import RunView
from bench.plan import Plan
from bench.stream import Batch, Stage, Stream
from drivers.reading import Quality

#: So long, and at most so many values a quantity (10 Hz).
KEPT_S = 600.0
KEPT = 6000


class Ring:
    """The newest values of one quantity with their UTC."""

    __slots__ = ("_at", "_times", "_values")

    def __init__(self) -> None:
        self._times = array("d")
        self._values = array("d")
        self._at = 0

    def put(self, utc_s: float, value: float) -> None:
        if len(self._times) < KEPT:
            self._times.append(utc_s)
            self._values.append(value)
            return
        self._times[self._at] = utc_s
        self._values[self._at] = value
        self._at = (self._at + 1) % KEPT

    def points(self, begin_utc_s: float, end_utc_s: float) -> Iterator[tuple[float, float]]:
        count = len(self._times)
        for index in range(count):
            at = (self._at + index) % count
            if begin_utc_s <= self._times[at] <= end_utc_s:
                yield self._times[at], self._values[at]


class Lately(Quiet):
    """A :class:`bench.daemon.feed.Feed`. What was heard of a channel's quantities, whichever run it was."""

    def __init__(self) -> None:
        self._rings: dict[str, dict[str, Ring]] = {}

    def begun(self, run: RunView, plan: Plan, stream: Stream) -> None:
        rings = self._rings.setdefault(run.channel, {})
        by_channel: dict[str, list[Ring]] = {}
        firsts: dict[str, tuple[str, ...]] = {}
        for place in plan.places.values():
            for quantity, channels in shown(place).items():
                firsts[quantity] = tuple(dict.fromkeys((*firsts.get(quantity, ()), *channels)))
        for quantity, channels in firsts.items():
            ring = rings.setdefault(quantity, Ring())
            for channel in channels:
                by_channel.setdefault(channel, []).append(ring)

        def hear(batch: Batch) -> None:
            for channel, value, _, utc_s, quality in batch:
                for ring in by_channel.get(channel, ()):
                    ring.put(utc_s, value if quality is Quality.GOOD else math.nan)

        stream.subscribe(Stage.OBSERVER, hear)

    def points(
        self, channel: str, quantity: str, begin_utc_s: float, end_utc_s: float
    ) -> Iterator[tuple[float, float]]:
        ring = self._rings.get(channel, {}).get(quantity)
        return iter(()) if ring is None else ring.points(begin_utc_s, end_utc_s)
