"""Worlds in which a nail is driven into a cell: what goes wrong while two people arm it, in the stroke, and after."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from simulators.fault_table import TABLE
from simulators.spec import SceneSpec
from simulators.strikes import Strike
from tests.simulation.worlds import CHANNEL, NOT_DRAWN, World, strike_of

RIG_DEVICES = ("rig", "rig", "io2", "io2", "th1", "psb", "io1", "v1")
PLACE, ELSEWHERE = "rig1", "chamber1"
#: What a stroke is about: drawn by themselves, most of them within the stroke.
ABOUT = ("door_opens", "lock_opens", "estop", "person_stops", "person_stops", "gas", "smoke", "flame", "exhaust_fails",
         "tool_jams", "overtravel", "power_lost", "half_open", "wire_cut", "contactor_welded", "short_welded",
         "cancelled", "killed", "frozen")  # fmt: skip
CELLS = ("lfp-blade", "lfp-block", "nmc-25ah", "solid-state-gen2")
#: From the second person's word on: about when the nail is there, and when it is through; then the observation.
APPROACH_S, STROKE_S, OBSERVED_S = 1.6, 4.0, 60.0


def nailed(seed: int, scene: SceneSpec) -> World:
    """The nail world of a seed."""
    random = Random(f"nail {seed}")
    others = [name for name in TABLE if name not in (*NOT_DRAWN, "chamber_welded", "chamber_stalls")]
    many = random.choice((0, 1, 1, 2, 2, 3))
    names = [random.choice(ABOUT if random.random() < 0.6 else others) for _ in range(many)]
    strikes = [strike for name in names if (strike := _strike(random, name, scene)) is not None]
    if strikes and random.random() < 0.15:  # a person who stops, and stops again
        strikes += [_moved(random, Strike("person_stops"), "start") for _ in range(2)]
    return World(
        seed=seed,
        period_s=random.choice((0.2, 0.5, 1.0)),
        start_soc=1.0,
        most_turns=random.choice((0, 1, 2, 5)),
        strikes=tuple(strikes),
        again=False,
        nailed=random.choice(CELLS),
        awkward=random.random() < 0.5,
    )


def _strike(random: Random, name: str, scene: SceneSpec) -> Strike | None:
    strike = strike_of(random, TABLE[name], scene, devices=RIG_DEVICES, place=PLACE)
    if strike is None or name == "found_on":
        return strike
    if name in ("smoke", "flame") and random.random() < 0.5:  # elsewhere in the zone, where the rig does not look
        strike = replace(strike, where=ELSEWHERE)
    if TABLE[name].target == "channel":
        strike = replace(strike, where=f"{CHANNEL}.{PLACE}")
    draw = random.random()
    if draw < 0.5:
        return _moved(random, strike, "start")
    if draw < 0.65:
        return replace(_moved(random, strike, "arm"), after_s=round(random.uniform(0.0, 5.0), 3))
    if draw < 0.85:
        return replace(_moved(random, strike, "observe"), after_s=round(random.uniform(0.0, OBSERVED_S), 3))
    return replace(strike, at_s=round(random.uniform(0.0, 40.0), 3), step=None, exchange=None)


def _moved(random: Random, strike: Strike, step: str) -> Strike:
    latest_s = random.choice((APPROACH_S, STROKE_S))
    return replace(strike, at_s=None, exchange=None, step=step, after_s=round(random.uniform(0.0, latest_s), 3))
