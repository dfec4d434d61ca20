"""Verdicts: the table of the rules, first that applies."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequences.language import Criterion, Phase
from sequences.verdict import ENDED_BY, CriterionResult, Verdict, judge, overall


def criterion(kind: str = "requirement", value: str = "voltage", **limits: str) -> Criterion:
    source = {"standard": "lab", "edition": "1", "grade": "ours"}
    words = {"en": "a", "zh": "a"}
    return Criterion.model_validate(
        {"id": "a", "kind": kind, "title": words, "value": value, "source": source, **limits}
    )


@pytest.mark.parametrize(
    ("volts", "wanted"),
    [
        (2.999, Verdict.FAIL), (3.0, Verdict.PASS), (3.5, Verdict.PASS), (4.0, Verdict.PASS), (4.001, Verdict.FAIL),
        (math.nan, Verdict.INCONCLUSIVE),
    ],
)  # fmt: skip
def test_a_limit_belongs_to_what_it_allows(volts: float, wanted: Verdict) -> None:
    judged = judge(criterion(at_least="3 V", at_most="4 V"), {"voltage": volts})
    assert judged.verdict is wanted
    assert (judged.low, judged.high, judged.unit) == (3.0, 4.0, "V")
    assert judged.value == (None if math.isnan(volts) else volts)


def test_a_condition_out_of_tolerance_is_no_failure_of_the_sample() -> None:
    assert judge(criterion("condition", at_least="3 V"), {"voltage": 2.0}).verdict is Verdict.INCONCLUSIVE
    assert judge(criterion("condition", at_least="3 V"), {"voltage": 3.0}).verdict is Verdict.PASS


@pytest.mark.parametrize("kind", ["requirement", "condition"])
def test_what_never_came_is_never_a_pass(kind: str) -> None:
    for limits, values in [
        ({"at_least": "3 V"}, {}),
        ({"at_least": "cell.v_min"}, {"voltage": 5.0}),
        ({"at_least": "3 V", "at_most": "cell.v_max"}, {"voltage": 3.5}),
        ({"at_most": "1 V / 0"}, {"voltage": 0.5}),
    ]:
        assert judge(criterion(kind, **limits), values).verdict is Verdict.INCONCLUSIVE


def test_a_share_is_given_in_per_cent() -> None:
    judged = judge(criterion(value="voltage / 4 V", at_least="80 %"), {"voltage": 3.0})
    assert judged.value == pytest.approx(75.0)
    assert judged.low == pytest.approx(80.0)
    assert judged.unit == "%"
    plain = judge(criterion(value="voltage / 4 V", at_least="0.8"), {"voltage": 3.0})
    assert (plain.value, plain.low, plain.unit) == (0.75, 0.8, "")


@pytest.mark.parametrize(("limit", "read", "unit"), [("1.7 m/s", 0.5, "m/s"), ("1700 mm/s", 500.0, "mm/s")])
def test_a_speed_is_given_in_the_unit_that_its_clause_is_written_in(limit: str, read: float, unit: str) -> None:
    judged = judge(criterion("condition", value="0.5 m/s", at_most=limit), {})
    assert judged.value == pytest.approx(read)
    assert judged.unit == unit
    assert judged.high == pytest.approx(float(limit.split()[0]))


def row(kind: str, volts: float | None) -> CriterionResult:
    values = {} if volts is None else {"voltage": volts}
    return judge(criterion(kind, at_least="3 V"), values)


GOOD, BAD, NONE = 4.0, 2.0, None
RULES = [
    # requirement, condition, ended by, phase, verdict
    (GOOD, GOOD, "completed", Phase.CONDITIONING, Verdict.PASS),
    (BAD, GOOD, "completed", Phase.CONDITIONING, Verdict.FAIL),
    (BAD, BAD, "completed", Phase.CONDITIONING, Verdict.INCONCLUSIVE),  # the condition voids the test
    (BAD, NONE, "completed", Phase.CONDITIONING, Verdict.FAIL),
    (GOOD, BAD, "completed", Phase.CONDITIONING, Verdict.INCONCLUSIVE),
    (GOOD, NONE, "completed", Phase.CONDITIONING, Verdict.INCONCLUSIVE),
    (NONE, GOOD, "completed", Phase.CONDITIONING, Verdict.INCONCLUSIVE),
    (NONE, NONE, "device", Phase.CONDITIONING, Verdict.ERROR),
    (GOOD, GOOD, "host", Phase.OBSERVATION, Verdict.ERROR),
    (BAD, GOOD, "device", Phase.OBSERVATION, Verdict.FAIL),  # it had failed before the wire did
    (BAD, BAD, "device", Phase.OBSERVATION, Verdict.ERROR),
    (NONE, NONE, "person", Phase.CONDITIONING, Verdict.ABORTED),
    (NONE, NONE, "staleness", Phase.CONDITIONING, Verdict.ABORTED),
    (NONE, NONE, "interlock", Phase.CONDITIONING, Verdict.ABORTED),
    (GOOD, GOOD, "bench_limit", Phase.OBSERVATION, Verdict.ABORTED),
    (BAD, GOOD, "person", Phase.OBSERVATION, Verdict.FAIL),  # with the abort named in ended_by
    (BAD, BAD, "person", Phase.OBSERVATION, Verdict.ABORTED),
    (GOOD, GOOD, "sample_event", Phase.CONDITIONING, Verdict.ABORTED),
    (GOOD, GOOD, "sample_event", Phase.STIMULUS, Verdict.PASS),
    (BAD, GOOD, "sample_event", Phase.STIMULUS, Verdict.FAIL),
]


@pytest.mark.parametrize(("requirement", "condition", "ended", "phase", "wanted"), RULES)
def test_the_rules(
    requirement: float | None, condition: float | None, ended: str, phase: Phase, wanted: Verdict
) -> None:
    rows = [row("condition", GOOD), row("requirement", requirement), row("condition", condition)]
    assert overall(rows, ended, phase=phase) is wanted
    assert overall(reversed(rows), ended, phase=phase.value) is wanted


ROWS = st.lists(st.tuples(st.sampled_from(["requirement", "condition"]), st.sampled_from([GOOD, BAD, NONE])))


@given(ROWS, st.sampled_from(sorted(ENDED_BY)), st.sampled_from(Phase))
def test_a_pass_is_only_for_a_whole_run_with_nothing_open(
    rows: list[tuple[str, float | None]], ended: str, phase: Phase
) -> None:
    verdict = overall([row(*one) for one in rows], ended, phase=phase)
    clean = ended == "completed" or (ended == "sample_event" and phase is not Phase.CONDITIONING)
    assert (verdict is Verdict.PASS) == (clean and all(volts == GOOD for _, volts in rows))
    assert (verdict is Verdict.FAIL) == (("requirement", BAD) in rows and ("condition", BAD) not in rows)


def test_an_unknown_end_is_an_error_of_the_program() -> None:
    with pytest.raises(ValueError, match="no way for a run to end"):
        overall([], "finished")


def test_verdicts_are_written_in_small_letters() -> None:
    assert {str(verdict) for verdict in Verdict} == {"pass", "fail", "error", "aborted", "inconclusive"}
