"""Values that no measurement gives: not finite, too small to be a number that anybody measured, beyond the instrument.

A word-swapped register reads 25.0 as about 1e-41: smaller than the smallest normal number of 32 bits, 1.18e-38, and no
channel here tells anything of that size from 0.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

from drivers.reading import Quality, Reading

LEAST_NORMAL = 1.1754943508222875e-38
#: So many of so many readings of one channel: then it is not noise.
DOUBTS, OF = 3, 5

#: What each channel's instrument can show at all.
Spans = Mapping[str, tuple[float, float]]


def is_number(value: float) -> bool:
    """Whether a value is one that a measurement can give."""
    return math.isfinite(value) and (value == 0.0 or abs(value) >= LEAST_NORMAL)


def weighed(reading: Reading, spans: Spans) -> Reading:
    """The same reading, or one without a value and marked implausible."""
    channel, value, mono_s, utc_s, quality = reading
    if quality is not Quality.GOOD or (math.isnan(value)):
        return reading
    span = spans.get(channel)
    if is_number(value) and (span is None or span[0] <= value <= span[1]):
        return reading
    return Reading(channel, math.nan, mono_s, utc_s, Quality.IMPLAUSIBLE)


class Doubts:
    """Counts the implausible readings of one channel."""

    __slots__ = ("_recent",)

    def __init__(self) -> None:
        self._recent: deque[bool] = deque(maxlen=OF)

    def take(self, *, implausible: bool) -> bool:
        """Whether the channel cannot be believed any more, as of this reading."""
        self._recent.append(implausible)
        return implausible and sum(self._recent) >= DOUBTS
