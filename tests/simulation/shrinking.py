"""From a world that breaks a promise to the smallest one that still does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.simulation.worlds import World

#: Whether a world still breaks it.
Breaks = Callable[[World], bool]


def shrunk(world: World, breaks: Breaks, *, most: int = 60) -> World:
    """Leave out strikes, then what surrounds them, then details, as long as the promise stays broken; at most so many
    runs."""
    left = most

    def still(candidate: World) -> bool:
        nonlocal left
        if left <= 0 or candidate == world:
            return False
        left -= 1
        return breaks(candidate)

    changed = True
    while changed and left > 0:
        changed = False
        for candidate in _smaller(world):
            if still(candidate):
                world, changed = candidate, True
                break
    return world


def _smaller(world: World) -> list[World]:
    strikes = world.strikes
    found = [replace(world, strikes=strikes[:at] + strikes[at + 1 :]) for at in range(len(strikes))]
    if world.again:
        found.append(replace(world, again=False))
    if world.most_turns:
        found.append(replace(world, most_turns=0))
    for at, strike in enumerate(strikes):
        simpler = []
        if strike.for_s is not None and strike.fault not in ("frozen", "burst"):
            simpler.append(replace(strike, for_s=None))
        if strike.params:
            simpler.append(replace(strike, params={}))
        if strike.at_s is not None and strike.at_s != round(strike.at_s):
            simpler.append(replace(strike, at_s=float(round(strike.at_s))))
        found += [replace(world, strikes=(*strikes[:at], each, *strikes[at + 1 :])) for each in simpler]
    return found
