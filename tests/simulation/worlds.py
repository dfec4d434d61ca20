"""From a seed to a world: a bench, a sample, a short sequence, and what goes wrong in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from simulators.fault_table import TABLE, FaultKind
from simulators.spec import DeviceSpec, SceneSpec
from simulators.strikes import Strike, fits

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


@dataclass(frozen=True)
class World:
    """All that a seed decides. ``period_s`` is P of the safety channels; ``most_turns`` bounds the extra turns of the
    loop before a task's next one; ``again`` asks for a second run after everything has healed."""

    seed: int
    period_s: float
    start_soc: float
    most_turns: int
    strikes: tuple[Strike, ...]
    again: bool

    @property
    def age_s(self) -> float:
        """A, the age at which a safety channel's last good reading is stale."""
        return 3.0 * self.period_s


def drawn(seed: int, scene: SceneSpec) -> World:
    """The world of a seed: a random subset of the kinds of faults first (swarm), then strikes of these kinds."""
    random = Random(f"world {seed}")
    rows = [row for row in TABLE.values() if row.name not in ("other_device", "garbage")]
    kinds = random.sample(rows, random.randint(1, 5))
    strikes = [_strike(random, kind, scene) for _ in range(random.randint(0, 3)) for kind in [random.choice(kinds)]]
    if random.random() < 0.7:
        strikes.append(violent := _strike(random, TABLE[random.choice(VIOLENT)], scene))
        if violent is not None and random.random() < 0.25:  # and just before it the energy source stops to answer
            fault = random.choice(DEAD_SOURCE)
            params = {"count": 0.0} if "count" in TABLE[fault].params else {}
            strikes.append(replace(violent, fault=fault, where="psb", for_s=None, params=params))
    return World(
        seed=seed,
        period_s=random.choice((0.2, 0.5, 1.0)),
        start_soc=random.choice((0.3, 0.6, 0.97)),
        most_turns=random.choice((0, 1, 2, 5)),
        strikes=tuple(strike for strike in strikes if strike is not None),
        again=random.random() < 0.3,
    )


def _strike(random: Random, kind: FaultKind, scene: SceneSpec) -> Strike | None:
    where = _where(random, kind, scene)
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


def _where(random: Random, kind: FaultKind, scene: SceneSpec) -> str | None:
    if kind.target == "place":
        return PLACE
    if kind.target == "channel":
        return CHANNEL
    if kind.target == "":
        return ""
    used = [device for device in scene.devices if device.name in ("psb", "io1", "ch1", "th1", "v1")]
    fitting = [device for device in used if fits(kind, device)]
    if not fitting:
        return None
    device = random.choice(fitting)
    return device.name if kind.target == "device" else f"{device.name}.{_point(random, device)}"


def _point(random: Random, device: DeviceSpec) -> str:
    return random.choice([point for point in device.points if point[:2] in ("ai", "di")] or ["ai0"])


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
