"""What follows the first contact, ampere or heat of a stimulus, to the end of the observation."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.binding.shapes import BoundChannel
from bench.judging import DETECTOR
from bench.notebook import Notebook
from bench.stream import Batch, Stage, Stream
from drivers.reading import Quality

#: What begins a nail test: its observation is reported from there.
NAIL = "contact of the nail"

#: A point that was blind within this time of the peak may have missed a higher one.
NEAR_PEAK_S = 10.0


@dataclass(slots=True)
class Peak:
    """The highest good reading of the surface points since contact."""

    temperature_c: float = -math.inf
    sensor: str = ""
    mono_s: float = math.nan


@dataclass(slots=True)
class _Point:
    """One surface point: when it was last heard, and from when to when it showed nothing good."""

    heard_s: float
    blind: list[tuple[float, float]]
    over_range: bool = False
    good: bool = True


class Aftermath:
    """Hears every reading once ``begin`` was called. What it knows goes to the notebook with ``tell``.

    ``peak`` is the highest good reading of the named surface points after contact; it is ``at_least`` when a point was
    over-ranged, or blind near it. ``on_begin`` is told at contact, ``on_end`` when the observation is over, each once.
    """

    def __init__(
        self,
        stream: Stream,
        notebook: Notebook,
        *,
        place: Callable[[], BoundChannel],
        event: Callable[..., Any],
        on_begin: Callable[[], object],
        on_end: Callable[[], object],
    ) -> None:
        self.begun_s: float | None = None
        self.ended_s: float | None = None
        self.counted_s: float | None = None
        self.what = ""
        self.peak = Peak()
        self.spoke: set[str] = set()
        self.longest_interval_s = 0.0
        self._stream = stream
        self._notebook = notebook
        self._place = place
        self._event = event
        self._on_begin = on_begin
        self._on_end = on_end
        self._points: dict[str, _Point] = {}
        self._detectors: Mapping[str, str] = {}

    @property
    def begun(self) -> bool:
        return self.begun_s is not None

    def begin(self, what: str, *, at_s: float | None = None, **fields: Any) -> None:
        """The stimulus reaches the sample: ``what`` says how. ``at_s`` is when, by the loop (None: now). Idempotent."""
        if self.begun_s is not None:
            return
        loop_s = asyncio.get_running_loop().time()
        self.begun_s = loop_s if at_s is None else at_s
        self.what = what
        channel = self._place()
        self._points = {name: _Point(loop_s, []) for name in channel.surface}
        self._detectors = {name: kind for kind, name in channel.detectors.items()}
        self._stream.subscribe(Stage.LIVE, self._deliver)
        self._on_begin()
        self._event("contact", what=what, at_s=self.begun_s, **fields)  # last: what it raises changes nothing

    def contact_at(self, mono_s: float) -> None:
        """The rig's own buffer says when it was: the readings since then count."""
        if self.begun_s is not None:
            self.begun_s = mono_s

    def count_from_now(self) -> None:
        """The stimulus is over: the observation's time counts from here. Only the first call counts."""
        if self.counted_s is None:
            self.counted_s = asyncio.get_running_loop().time()

    def observed_s(self) -> float:
        """Since the stimulus was over; 0.0 before."""
        return 0.0 if self.counted_s is None else asyncio.get_running_loop().time() - self.counted_s

    def elapsed_s(self) -> float:
        """Since contact; 0.0 before."""
        return 0.0 if self.begun_s is None else asyncio.get_running_loop().time() - self.begun_s

    def end(self) -> None:
        """The observation is over: what comes later is not of this test."""
        if self.begun_s is not None and self.ended_s is None:
            self.ended_s = asyncio.get_running_loop().time()
            self._on_end()

    @property
    def at_least(self) -> bool:
        """Whether the peak may have been higher than what was seen."""
        at_s = self.peak.mono_s
        return any(
            point.over_range
            or any(begun_s - NEAR_PEAK_S <= at_s <= ended_s + NEAR_PEAK_S for begun_s, ended_s in point.blind)
            for point in self._points.values()
        )

    @property
    def blind(self) -> bool:
        """Whether no surface point is left that shows anything good."""
        return bool(self._points) and not any(point.good for point in self._points.values())

    def tell(self) -> None:
        """Put what is known now under the names that expressions use."""
        if self.begun_s is None:
            return
        ended_s = self.ended_s if self.ended_s is not None else asyncio.get_running_loop().time()
        put = self._notebook.put
        if self.what == NAIL:
            put("run.observed", ended_s - self.begun_s)
        elif self.counted_s is not None:
            put("run.observed", ended_s - self.counted_s)
        silent_s = max((ended_s - point.heard_s for point in self._points.values()), default=0.0)
        put("run.longest_observation_interval", max(self.longest_interval_s, silent_s))
        if self.peak.sensor and not self.blind:
            put("run.peak_temperature", self.peak.temperature_c)
            put("run.stimulus_to_peak", max(0.0, self.peak.mono_s - self.begun_s))
        for kind in self._detectors.values():
            put(f"{DETECTOR}{kind}", 1.0 if kind in self.spoke else 0.0)

    def _deliver(self, batch: Batch) -> None:
        if self.ended_s is not None:
            return
        points, detectors = self._points, self._detectors
        for reading in batch:
            channel, value, mono_s, _, quality = reading
            point = points.get(channel)
            if point is not None:
                self._point(point, channel, value, mono_s, quality)
            elif quality is Quality.GOOD and value < 0.5 and channel in detectors:
                self.spoke.add(detectors[channel])

    def _point(self, point: _Point, channel: str, value_c: float, mono_s: float, quality: Quality) -> None:
        self.longest_interval_s = max(self.longest_interval_s, mono_s - point.heard_s)
        point.heard_s = mono_s
        if quality is Quality.GOOD:
            point.good = True
            if value_c > self.peak.temperature_c:
                self.peak = Peak(value_c, channel, mono_s)
            return
        if quality is Quality.OVER_RANGE:
            point.over_range = True
        if point.good:
            point.blind.append((mono_s, math.inf))
        point.good = False
        begun_s, _ = point.blind[-1]
        point.blind[-1] = (begun_s, mono_s)
