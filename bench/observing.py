"""What a person who watches a run is told. The command line draws from these; nothing depends on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StepStarted:
    """``index`` counts every step that ran, from 1; ``path`` is its place in the tree ("3/2/1": step 3, its second
    turn, step 1); ``depth`` how deep it stands; ``ends`` what will end it."""

    index: int
    path: str
    depth: int
    kind: str
    name: str
    phase: str
    ends: str


@dataclass(frozen=True, slots=True)
class StepEnded:
    index: int
    path: str
    depth: int
    reason: str
    duration_s: float
    results: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Progress:
    """How things stand. A value that is not known is None; ``remaining_s`` is an estimate for this step."""

    path: str
    ends: str
    voltage_v: float | None
    current_a: float | None
    temperature_c: float | None
    ambient_c: float | None
    step_s: float
    test_s: float
    remaining_s: float | None


@dataclass(frozen=True, slots=True)
class Message:
    """Something to be said at once. ``loud`` ones must not be missed."""

    text: str
    loud: bool = False


Observation = StepStarted | StepEnded | Progress | Message
Observer = Callable[[Observation], None]


def nobody(_: Observation) -> None:
    """The observer of a run that no one watches."""
