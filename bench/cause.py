"""Why a run ends: the closed list of kinds, the first cause, and what a cause calls for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EndKind(StrEnum):
    """What ended the run. Only ``completed`` means that the sequence came to its own end."""

    COMPLETED = "completed"
    SAMPLE_EVENT = "sample_event"
    BENCH_LIMIT = "bench_limit"
    STALENESS = "staleness"
    INTERLOCK = "interlock"
    PERSON = "person"
    DEVICE = "device"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Cause:
    """The first thing that called for an end: which rule, on which device, what it saw, what it allows."""

    kind: EndKind
    rule: str | None = None
    device: str | None = None
    value: float | None = None
    limit: float | None = None


#: Rules that mean fire, gas or runaway: a chamber then goes off instead of to ambient.
FIRE_WORDS = ("smoke", "flame", "fire", "gas", "runaway")

#: What the rule of a stop, as a run's cause, ends in.
STOPPED = " (stop)"

#: What stops a tool that has made contact. Anything else leaves the stroke to the rig, which finishes it and holds: a
#: half-driven nail is the worst sample in the house.
_STOPPING = frozenset({EndKind.BENCH_LIMIT, EndKind.PERSON})
_STOPPING_INTERLOCKS = ("door_closed", "door_locked", "estop_released", "light_curtain_clear")


def is_fire(rule: str | None) -> bool:
    """Whether a rule is about smoke, flame, gas or runaway."""
    return rule is not None and any(word in rule for word in FIRE_WORDS)


def stops_motion(cause: Cause) -> bool:
    """Whether a cause stops a tool that is in the sample: see above. An exhaust that failed does not."""
    interlock = (cause.rule or "").removeprefix("interlock.").partition(":")[0]
    return cause.kind in _STOPPING or (cause.kind is EndKind.INTERLOCK and interlock in _STOPPING_INTERLOCKS)


class NotConfirmedError(Exception):
    """A person did not give the confirmation, or the leave, that the step needs."""
