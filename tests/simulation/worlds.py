"""From a seed to a world: a bench, a sample, a short sequence, and what goes wrong in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from simulators.aims import fits
from simulators.fault_table import TABLE, FaultKind
from simulators.spec import DeviceSpec, SceneSpec
from simulators.strikes import Strike

#: Longest delay of a late reply: three deadlines of a wire. Beyond, a protocol without ids cannot tell.
LATEST_S = 1.5
#: Nothing is struck later than this after the bench is up.
LAST_STRIKE_S = 45.0
#: What is on the way of the guard: these are drawn by themselves, so that violations are provoked often enough.
VIOLENT = ("setpoint_drifts", "current_drifts", "cell_heats", "output_stays_on", "door_opens", "estop", "person_stops",
           "smoke", "gas", "cancelled")  # fmt: skip
#: What keeps a stop from reaching the energy source, or from being obeyed.
DEAD_SOURCE = ("half_open", "no_reply", "request_lost", "wire_cut", "output_stays_on")
PLACE, CHANNEL = "chamber1", "1"
#: The type of the cell that is cycled, and what of the bench is used for that.
CYCLED = "nmc-21700"
DEVICES = ("psb", "io1", "ch1", "th1", "v1")
#: What is not drawn: a second unit and a flood are tests of their own, the rest has no target where a cell is cycled.
NOT_DRAWN = ("other_device", "garbage", "tool_jams", "overtravel", "power_lost", "lock_opens", "short_welded")
#: What is wired to an output, not to an input.
OUTPUTS = ("contactor", "short", "exhaust", "heater")
#: Drawn by themselves as well, each a thing that needs two to go wrong: a safety channel that nobody hears any more
#: while the sample is driven, and a contactor that nobody can open, for as long as it takes until somebody sees it.
#: And two people at once: both stop, and often somebody ends the program meanwhile.
DEAF, TOGETHER, BOTH_STOP = 0.2, 0.35, 0.4
BLIND = ("sensor_open", "sensor_open", "no_reply", "request_lost", "half_open", "wire_cut")


@dataclass(frozen=True)
class World:
    """All that a seed decides. ``period_s`` is P of the safety channels; ``most_turns`` bounds the extra turns of the
    loop before a task's next one; ``again`` asks for a second run after everything has healed. ``nailed`` is the type
    of the cell that a nail is driven into; without it the cell is cycled. ``awkward`` people are at the bench then."""

    seed: int
    period_s: float
    start_soc: float
    most_turns: int
    strikes: tuple[Strike, ...]
    again: bool
    nailed: str = ""
    awkward: bool = False

    @property
    def age_s(self) -> float:
        """A, the age at which a safety channel's last good reading is stale."""
        return 3.0 * self.period_s


def cycled(seed: int, scene: SceneSpec) -> World:
    """A world in which a cell is cycled: a random subset of the kinds of faults first (swarm), then strikes of these
    kinds."""
    random = Random(f"world {seed}")
    rows = [row for row in TABLE.values() if row.name not in NOT_DRAWN]
    kinds = random.sample(rows, random.randint(1, 5))
    strikes = [strike_of(random, kind, scene) for _ in range(random.randint(0, 3)) for kind in [random.choice(kinds)]]
    if random.random() < 0.7:
        strikes.append(violent := strike_of(random, TABLE[random.choice(VIOLENT)], scene))
        if violent is not None and random.random() < 0.25:  # and just before it the energy source stops to answer
            fault = random.choice(DEAD_SOURCE)
            strikes.append(replace(violent, fault=fault, where="psb", for_s=None, params=_always(fault)))
    strikes += _together(Random(f"together {seed}"), scene)
    return World(
        seed=seed,
        period_s=random.choice((0.2, 0.5, 1.0)),
        start_soc=random.choice((0.3, 0.6, 0.97)),
        most_turns=random.choice((0, 1, 2, 5)),
        strikes=tuple(strike for strike in strikes if strike is not None),
        again=random.random() < 0.3,
    )


def _together(random: Random, scene: SceneSpec) -> list[Strike | None]:
    """What is seldom drawn together, or too seldom for long enough: nothing, in three worlds of five."""
    draw = random.random()
    if draw >= BOTH_STOP:
        return []
    step, after_s = random.choice((("discharge", 2.0), ("charge", 6.0)))
    at_s = round(random.uniform(0.0, after_s), 3)
    if draw >= TOGETHER:
        other = random.choice(("person_stops", "person_stops", "cancelled"))
        later_s = round(at_s + random.uniform(0.0, 1.0), 3)
        times = {"times": random.choice((1.0, 2.0))}
        return [
            Strike("person_stops", step=step, after_s=at_s, params=times),
            Strike(other, step=step, after_s=later_s),
        ]
    if draw < DEAF:
        fault = random.choice(BLIND)
        where = (
            f"th1.ai{random.randrange(3)}" if fault == "sensor_open" else random.choice(("th1", "th1", "io1", "psb"))
        )
        first = Strike(fault, where, step=step, after_s=at_s, params=_always(fault))
    else:
        first = Strike("contactor_welded", CHANNEL, step=step, after_s=at_s)
    if random.random() < 0.5:
        return [first]
    second = strike_of(random, TABLE[random.choice(VIOLENT)], scene)
    if second is None:
        return [first]
    return [
        first,
        replace(second, at_s=None, exchange=None, step=step, after_s=round(at_s + random.uniform(0.0, 2.0), 3)),
    ]


def _always(fault: str) -> dict[str, float]:
    """The parameters of a fault that does not end by itself."""
    return {"count": 0.0} if "count" in TABLE[fault].params else {}


def strike_of(
    random: Random, kind: FaultKind, scene: SceneSpec, *, devices: Sequence[str] = DEVICES, place: str = PLACE
) -> Strike | None:
    """A strike of this kind anywhere among these devices or in this place, at any time; None if nothing can have it."""
    where = _where(random, kind, scene, devices, place)
    if where is None:
        return None
    params = {name: value for name in kind.params if (value := _param(random, name, kind)) is not None}
    for_s = round(random.uniform(0.2, 12.0), 2) if kind.lasting and random.random() < 0.7 else None
    if kind.name in ("frozen", "burst"):
        for_s = round(random.uniform(0.2, 6.0 if kind.name == "frozen" else LATEST_S), 2)
    if kind.name == "found_on":
        return Strike(kind.name, where, at_s=0.0, params=params)
    draw = random.random()
    if draw < 0.4:
        step = random.choice(("discharge", "charge", "rest"))
        after_s = round(random.uniform(0.0, 8.0), 3)
        return Strike(kind.name, where, step=step, after_s=after_s, for_s=for_s, params=params)
    if draw < 0.6:
        return Strike(kind.name, where, exchange=random.randint(1, 400), for_s=for_s, params=params)
    return Strike(kind.name, where, at_s=round(random.uniform(0.0, LAST_STRIKE_S), 3), for_s=for_s, params=params)


def _where(random: Random, kind: FaultKind, scene: SceneSpec, devices: Sequence[str], place: str) -> str | None:
    if kind.target == "place":
        return place
    if kind.target == "channel":
        return CHANNEL
    if kind.target == "":
        return ""
    used = [device for device in scene.devices if device.name in devices]
    fitting = [device for device in used if fits(kind, device)]
    if not fitting:
        return None
    device = random.choice(fitting)
    return device.name if kind.target == "device" else f"{device.name}.{_point(random, device)}"


def _point(random: Random, device: DeviceSpec) -> str:
    return random.choice([point for point, it in device.points.items() if it.kind not in OUTPUTS] or ["ai0"])


def _param(random: Random, name: str, kind: FaultKind) -> float | None:
    if name == "count":
        return float(random.choice((0, 1, 1, 2, 5)))
    if kind.name == "late_reply":
        return round(random.uniform(0.05, LATEST_S), 3)
    if kind.name == "clock_steps":
        return random.choice((-3600.0, 3600.0, -10.0, 10.0, 1e6))
    if name == "factor":
        return round(random.uniform(0.9, 1.1), 3) if kind.name == "gain_error" else round(random.uniform(1.5, 6.0), 2)
    return None
