"""The arithmetic of a plot: round ticks, fewer points without losing a peak, open gaps."""

from __future__ import annotations

import math
from collections.abc import Sequence

Points = list[tuple[float, float]]


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers (steps of 1, 2 or 5 times a power of ten) that lie within ``low..high``, about ``wanted``."""
    if not high > low:
        return [low]
    rough = (high - low) / max(wanted, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(at * step, 12) for at in range(first, last + 1)]


def time_unit(span_s: float) -> tuple[str, float]:
    """The unit that a time axis of this length is read in, and its seconds."""
    if span_s >= 2.5 * 3600:
        return "h", 3600.0
    return ("min", 60.0) if span_s >= 150 else ("s", 1.0)


def padded(values: Sequence[float], *, at_least: float) -> tuple[float, float]:
    """A range that holds all values with some air around them, and is never narrower than ``at_least``."""
    if not values:
        return 0.0, at_least
    low, high = min(values), max(values)
    air = max((high - low) * 0.06, (at_least - (high - low)) / 2)
    return low - air, high + air


def runs(t: Sequence[float], values: Sequence[float | None]) -> list[Points]:
    """A curve as the stretches in which it has values: a gap is left open, never bridged."""
    stretches: list[Points] = [[]]
    for at, value in zip(t, values, strict=True):
        if value is not None:
            stretches[-1].append((at, value))
        elif stretches[-1]:
            stretches.append([])
    return [stretch for stretch in stretches if stretch]


def thinned(points: Points, most: int = 2000) -> Points:
    """At most ``most`` points: of each of equal slices of time the first, lowest, highest and last, in their order."""
    if len(points) <= most or most < 8:
        return points
    slices = most // 4
    start, width = points[0][0], (points[-1][0] - points[0][0]) / slices or 1.0
    kept: Points = []
    bucket: Points = []
    edge = start + width
    for point in points:
        if point[0] >= edge and bucket:
            kept += _outline(bucket)
            bucket = []
            edge = start + (math.floor((point[0] - start) / width) + 1) * width
        bucket.append(point)
    return (kept + _outline(bucket))[:most]


def _outline(bucket: Points) -> Points:
    marks = {0, len(bucket) - 1}
    marks.add(min(range(len(bucket)), key=lambda at: bucket[at][1]))
    marks.add(max(range(len(bucket)), key=lambda at: bucket[at][1]))
    return [bucket[at] for at in sorted(marks)]
