"""What comes up from a device: one value of one channel at one instant."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Quality(StrEnum):
    """Whether a value may be used. Anything but GOOD counts against the limit that the channel feeds."""

    GOOD = "good"
    OPEN = "open"
    OVER_RANGE = "over_range"
    UNDER_RANGE = "under_range"
    IMPLAUSIBLE = "implausible"


class Reading(NamedTuple):
    """One value of one channel.

    ``channel`` is ``device.point.quantity_unit``, for example ``psb.out.current_a`` (charge positive) or
    ``th1.ai3.temperature_c``; a two-state point ends in ``.on`` and reads 1.0 or 0.0. ``value`` is NaN when the
    quality is not GOOD. ``mono_s`` is the running loop's time and ``utc_s`` the wall clock (Unix seconds), both
    taken when the reply was complete.
    """

    channel: str
    value: float
    mono_s: float
    utc_s: float
    quality: Quality = Quality.GOOD
