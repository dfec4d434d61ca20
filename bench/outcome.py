"""How a run ended and what it found: the engine's answer to whoever started it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.cause import EndKind
from bench.safe_state import SafeResult
from drivers.errors import Fault
from sequences.verdict import CriterionResult, Verdict


@dataclass(frozen=True, slots=True)
class EndedBy:
    """A cause, and the phase of the step that was under way (None outside any step)."""

    phase: str | None
    kind: EndKind
    rule: str | None = None
    device: str | None = None
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run.

    ``results`` are the sequence's own, from measured values only; one whose inputs never came is missing, not zero.
    ``plant_truth`` holds the same names from the simulated plant, and is None on hardware. ``test_s`` is the run's
    duration on the running loop's clock. ``faults`` say what went wrong, ready to print; ``error`` is the exception
    that ended the run, where one did.
    """

    verdict: Verdict
    ended_by: EndedBy
    criteria: tuple[CriterionResult, ...]
    results: Mapping[str, float]
    plant_truth: Mapping[str, float] | None
    test_s: float
    safe_state: SafeResult
    faults: tuple[Fault, ...] = ()
    error: BaseException | None = None
    #: Results that may be higher than what was measured: a sensor was lost near them.
    at_least: frozenset[str] = frozenset()
    #: Criteria that await a person's judgement.
    awaiting: tuple[str, ...] = ()
    #: Every name that an expression may use, as it stood at the end.
    values: Mapping[str, float | tuple[float, ...]] = field(default_factory=dict)
    #: Whether the stimulus reached the sample.
    stimulated: bool = False
