"""Everything that the guard knows of one limited channel."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.binding.shapes import GuardLimit
from bench.rules.doubt import Doubts
from bench.rules.held_limit import HeldLimit
from bench.rules.last_heard import LastHeard

#: What takes energy away is judged before what only tells.
_ORDER = ("trip", "stop", "warn")


@dataclass(slots=True)
class Checked:
    """``low..high`` is the narrowest of its limits; ``watchful`` asks for every reading to be judged, inside or not.

    ``good`` is of its good readings, or from when it began to be held to anything.
    """

    channel: str
    device: str
    held: tuple[HeldLimit, ...]
    low: float
    high: float
    good: LastHeard
    doubts: Doubts | None = None
    watchful: bool = False

    @property
    def rule(self) -> str:
        """The rule that it is named by."""
        return self.held[0].limit.rule

    @property
    def on_sample(self) -> bool:
        return any(held.limit.subject == "sample" for held in self.held)

    def is_outside(self, value: float) -> bool:
        return not self.low <= value <= self.high


def checked(limits: Iterable[GuardLimit], before: Mapping[str, Checked], now_s: float) -> dict[str, Checked]:
    """By channel. A limit that was held ``before`` keeps what was counted; a channel that was not counts from now."""
    by_channel: dict[str, list[GuardLimit]] = {}
    for limit in sorted(limits, key=lambda its: _ORDER.index(its.tier)):
        by_channel.setdefault(limit.channel, []).append(limit)
    return {channel: _checked(channel, group, before.get(channel), now_s) for channel, group in by_channel.items()}


def _checked(channel: str, limits: list[GuardLimit], before: Checked | None, now_s: float) -> Checked:
    known = {} if before is None else {held.limit: held for held in before.held}
    return Checked(
        channel=channel,
        device=channel.split(".", 1)[0],
        held=tuple(known.get(limit) or HeldLimit(limit) for limit in limits),
        low=max((limit.low for limit in limits if limit.low is not None), default=-math.inf),
        high=min((limit.high for limit in limits if limit.high is not None), default=math.inf),
        good=LastHeard(now_s),
        doubts=None if before is None else before.doubts,
        watchful=True,
    )
