"""From values to verdicts: of one criterion, and of a whole run."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from drivers import BASE, Dimension
from sequences.expressions import Expression, MissingValueError, Values
from sequences.language import Criterion, CriterionKind, Phase


class Verdict(StrEnum):
    """What a run says about its sample. FAIL is about the sample; ERROR is about the bench."""

    PASS = "pass"  # noqa: S105 # a verdict, not a password
    FAIL = "fail"
    ERROR = "error"
    ABORTED = "aborted"
    INCONCLUSIVE = "inconclusive"


#: How a run may have ended, by what it means for the verdict. ``completed`` is neither.
_ERRORS = frozenset({"device", "host"})
_ABORTS = frozenset({"bench_limit", "staleness", "interlock", "person"})
_JUDGED = frozenset({"completed", "sample_event"})
ENDED_BY = _ERRORS | _ABORTS | _JUDGED


@dataclass(frozen=True, slots=True)
class CriterionResult:
    """One line of the clause table. ``value``, ``low`` and ``high`` are in ``unit``; None is what never came.

    A ratio whose limit is written in per cent is given in per cent, ``unit`` "%"; a speed whose limit is written in m/s
    in that.
    """

    criterion: Criterion
    verdict: Verdict
    value: float | None
    low: float | None
    high: float | None
    unit: str


def judge(criterion: Criterion, values: Values) -> CriterionResult:
    """Judge one criterion on what was measured and entered.

    Outside its limits a requirement is FAIL and a condition INCONCLUSIVE; a value or a limit that never came, or is
    NaN, is INCONCLUSIVE for either; PASS otherwise. A limit belongs to what it allows. Raises nothing.
    """
    value = _worth(criterion.value, values)
    low = None if criterion.at_least is None else _worth(criterion.at_least, values)
    high = None if criterion.at_most is None else _worth(criterion.at_most, values)
    known = value is not None and (low is not None or criterion.at_least is None)
    known = known and (high is not None or criterion.at_most is None)
    if value is None or not known:
        verdict = Verdict.INCONCLUSIVE
    elif (low is None or value >= low) and (high is None or value <= high):
        verdict = Verdict.PASS
    else:
        verdict = Verdict.FAIL if criterion.kind is CriterionKind.REQUIREMENT else Verdict.INCONCLUSIVE
    unit, scale = _printed(criterion)

    def printed(number: float | None) -> float | None:
        return None if number is None else number * scale

    return CriterionResult(criterion, verdict, printed(value), printed(low), printed(high), unit)


def overall(results: Iterable[CriterionResult], ended: str, *, phase: Phase | str = Phase.CONDITIONING) -> Verdict:
    """The run's verdict, first that applies.

    1. FAIL: a requirement failed and no condition is out of its tolerance (that would void the test).
    2. ERROR: it ended by ``device`` or ``host``.
    3. ABORTED: by the guard or a person; or by a sample event in conditioning, where nothing may happen.
    4. INCONCLUSIVE: a requirement without a value, or a condition that did not pass.
    5. PASS.

    A condition that was never measured does not void a failure that was, but there is no pass with it. ``ended`` and
    ``phase`` are ended_by's kind and phase; raises ValueError for another kind.
    """
    if ended not in ENDED_BY:
        raise ValueError(f"{ended!r} is no way for a run to end; known: {', '.join(sorted(ENDED_BY))}")
    table = tuple(results)
    void = any(row.criterion.kind is CriterionKind.CONDITION and _out_of_tolerance(row) for row in table)
    if not void and any(row.verdict is Verdict.FAIL for row in table):
        return Verdict.FAIL
    if ended in _ERRORS:
        return Verdict.ERROR
    if ended in _ABORTS or (ended == "sample_event" and phase == Phase.CONDITIONING):
        return Verdict.ABORTED
    if any(row.verdict is not Verdict.PASS for row in table):
        return Verdict.INCONCLUSIVE
    return Verdict.PASS


def _out_of_tolerance(row: CriterionResult) -> bool:
    """Measured, and outside its limits; None of ``value`` says that it was not measured."""
    return row.verdict is Verdict.INCONCLUSIVE and row.value is not None and not _limit_missing(row)


def _limit_missing(row: CriterionResult) -> bool:
    low, high = row.criterion.at_least, row.criterion.at_most
    return (low is not None and row.low is None) or (high is not None and row.high is None)


def _worth(value: Expression, values: Values) -> float | None:
    try:
        worth = value.evaluate(values)
    except MissingValueError:
        return None
    return worth if math.isfinite(worth) else None


def _printed(criterion: Criterion) -> tuple[str, float]:
    """The unit that a person reads, and its factor from the base unit."""
    kind = criterion.value.kind or Dimension.NUMBER
    limits = [limit.text for limit in (criterion.at_least, criterion.at_most) if limit is not None]
    if kind is Dimension.NUMBER and any("%" in text for text in limits):
        return "%", 100.0
    if kind is Dimension.SPEED and any(text.split()[-1] == "m/s" for text in limits):
        return "m/s", 1e-3
    return BASE[kind], 1.0
