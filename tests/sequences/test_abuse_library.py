"""The abuse tests of the library: the numbers of each clause with their grades, and verdicts on paper."""

from __future__ import annotations

from typing import Any

import pytest

import sequences
from sequences.language import (
    Charge,
    CriterionKind,
    Crush,
    Heat,
    Hold,
    Judge,
    Observe,
    Penetrate,
    Phase,
    Sequence,
    SequenceClass,
    Short,
    Soak,
)
from sequences.tree import walk_steps
from sequences.verdict import Verdict

NAIL = "gbt31485-2015/nail-penetration"
NEEDLE, OVERCHARGE, HEATING, CRUSH, SHORT = (
    f"gb38031-2025/{name}" for name in ("needle-trigger", "overcharge", "heating", "crush", "external-short")
)
ALL = (NAIL, NEEDLE, OVERCHARGE, HEATING, CRUSH, SHORT)

#: A cell of 25 Ah, 0.72 kg and 27 mm. 0.72 kg weigh 7.0608 N.
VALUES: dict[str, float | tuple[float, ...]] = {
    "cell.rated_capacity": 25.0,
    "cell.charge_voltage": 4.2,
    "cell.charge_current": 8.0,
    "cell.thickness": 27.0,
    "cell.weight": 0.72 * 9.80665,
    "cell.t_max": 60.0,
    "param.rest": 3600.0,
    "param.speed": 25.0,
    "param.current": 25 / 3,
    "param.force": 50e3,
    "entry.humidity": 0.45,
    "entry.air_pressure": 101.0,
    "entry.nail_diameter": 6.0,
    "entry.nail_cone": 50.0,
    "entry.tool_radius": 75.0,
    "entry.short_resistance": 0.002,
    "result.charged": 25.0,
    "result.charged_energy": 92.0,
    "result.charge_age": 4000.0,
    "result.ocv_before": 4.18,
    "result.temperature_before": 24.0,
    "result.ambient_before": 23.0,
    "result.end_temperature": 40.0,
    "result.hold_duration": 600.0,
    "result.short_duration": 600.0,
    "result.shorted_voltage": 0.2,
    "result.extra": 3.75,  # 15 % of 25 Ah
    "result.overcharge_duration": 1620.0,  # at 25 / 3 A
    "result.ramp": 5 / 60,
    "result.hot_duration": 1800.0,
    "result.hot_temperature": 131.0,
    "result.stroke_depth": 37.0,
    "result.stroke_force": 3000.0,
    "result.stroke_deformation": 0.15,
    "watch.ambient_low": 22.5,
    "watch.ambient_high": 23.5,
    "watch.runaway": 1.0,
    "watch.overcharge_voltage": 4.5,
    "run.observed": 7300.0,
    "run.peak_temperature": 80.0,
    "run.stimulus_to_peak": 12.0,
    "run.longest_log_interval": 6.0,
    "run.longest_observation_interval": 0.9,
    "run.calibration_margin": 8e6,
    **{f"judgement.{name}": 0.0 for name in ("fire", "explosion", "rupture", "vent", "leak")},
}
SPEED = {NAIL: 25.0, NEEDLE: 1.0, CRUSH: 1.5}


def measured(wanted: str, **changes: Any) -> dict[str, float | tuple[float, ...]]:
    values = {**VALUES, "result.stroke_speed": SPEED.get(wanted, 0.0)}
    values |= {name.replace("__", "."): value for name, value in changes.items()}
    return {name: value for name, value in values.items() if value is not None}


def verdict_of(wanted: str, **changes: Any) -> Verdict:
    values = measured(wanted, **changes)
    return sequences.overall([sequences.judge(item, values) for item in sequences.load(wanted).criteria], "completed")


def limits(wanted: str, criterion: str) -> tuple[float | None, float | None, str, str, str | None, str]:
    (item,) = [item for item in sequences.load(wanted).criteria if item.id == criterion]
    row, source = sequences.judge(item, measured(wanted)), item.source
    return row.low, row.high, row.unit, source.edition, source.clause, source.grade.value


def only(sequence: Sequence, kind: type) -> Any:
    (found,) = [step for _, step in walk_steps(sequence.steps) if isinstance(step, kind)]
    return found


@pytest.mark.parametrize("wanted", ALL)
def test_what_all_of_them_have(wanted: str) -> None:
    sequence = sequences.load(wanted)
    assert sequence.class_ is SequenceClass.ABUSE
    required = [item.id for item in sequence.criteria if item.kind is CriterionKind.REQUIREMENT]
    assert required == ["no-fire", "no-explosion"]
    judge = only(sequence, Judge)
    assert [question.name for question in judge.questions] == ["fire", "explosion", "rupture", "vent", "leak"]
    assert judge.questions[0].detectors == ("flame",)
    assert {"observation_s", "peak_temperature_c", "contact_to_peak_s", "hazard_level"} <= set(sequence.results)
    ids = {item.id for item in sequence.criteria}
    assert {"ambient-low", "ambient-high", "observation", "log-interval", "calibration", "surface-seen"} <= ids
    assert ("charge-age" in ids) is (wanted != HEATING)
    kinds = [step.kind for _, step in walk_steps(sequence.steps)]
    assert kinds[-3:] == ["observe", "judge", "quarantine"]
    assert kinds.count("transfer") == (wanted != HEATING)
    # standard charge of both standards: discharge, rest, charge, rest
    at = kinds.index("discharge")
    assert kinds[at : at + 4] == ["discharge", "rest", "charge", "rest"]
    texts = [sequence.title, sequence.summary, *(item.title for item in sequence.criteria)]
    texts += [question.definition for question in judge.questions] + [question.text for question in judge.questions]
    for text in texts:
        assert text.en.isascii()
        assert any("\u4e00" <= character <= "\u9fff" for character in text.zh)


@pytest.mark.parametrize("wanted", ALL)
@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, Verdict.PASS),
        ({"judgement__fire": 1.0}, Verdict.FAIL),
        ({"judgement__explosion": 1.0}, Verdict.FAIL),
        ({"judgement__vent": 1.0, "judgement__leak": 1.0}, Verdict.PASS),  # no cell clause forbids them
        ({"judgement__fire": float("nan")}, Verdict.INCONCLUSIVE),  # contradicted by a detector
        ({"judgement__fire": None}, Verdict.INCONCLUSIVE),
        ({"run__observed": 3500.0}, Verdict.INCONCLUSIVE),
        ({"run__peak_temperature": None}, Verdict.INCONCLUSIVE),
        ({"run__longest_observation_interval": 16.0}, Verdict.INCONCLUSIVE),
        ({"run__longest_log_interval": 16.0}, Verdict.INCONCLUSIVE),
        ({"run__calibration_margin": -1.0}, Verdict.INCONCLUSIVE),
        ({"watch__ambient_low": 16.0}, Verdict.INCONCLUSIVE),
        ({"watch__ambient_high": 31.0}, Verdict.INCONCLUSIVE),
        ({"entry__humidity": 0.95}, Verdict.INCONCLUSIVE),
        ({"entry__humidity": 0.95, "judgement__fire": 1.0}, Verdict.INCONCLUSIVE),  # void, so no failure
    ],
)
def test_verdicts_on_paper(wanted: str, changes: dict[str, Any], verdict: Verdict) -> None:
    assert verdict_of(wanted, **changes) is verdict


@pytest.mark.parametrize(
    ("wanted", "changes"),
    [
        (NAIL, {"result__stroke_speed": 19.9}),  # 25 +- 5 mm/s
        (NAIL, {"result__stroke_speed": 30.1}),
        (NAIL, {"result__stroke_depth": 26.0}),  # 27 mm is through
        (NAIL, {"entry__nail_diameter": 4.0}),
        (NAIL, {"entry__nail_cone": 30.0}),
        (NEEDLE, {"result__stroke_speed": 10.1}),
        (NEEDLE, {"entry__nail_diameter": 2.9}),
        (NEEDLE, {"run__observed": 7199.0}),
        (NEEDLE, {"run__longest_observation_interval": 1.0}),  # below 1 s
        (NEEDLE, {"result__end_temperature": 60.5}),
        (NEEDLE, {"watch__runaway": 0.0, "result__stroke_depth": 20.0}),  # 90 % of 27 mm is 24.3 mm
        (OVERCHARGE, {"result__extra": 3.0, "result__overcharge_duration": 1296.0}),  # neither 4.62 V nor 3.75 Ah
        (OVERCHARGE, {"result__overcharge_duration": 2000.0}),  # 6.75 A is below 1 I3
        (HEATING, {"result__hot_duration": 1700.0}),
        (HEATING, {"result__ramp": 2 / 60}),
        (CRUSH, {"result__stroke_speed": 2.1}),
        (CRUSH, {"result__hold_duration": 590.0}),
        (CRUSH, {"entry__tool_radius": 50.0}),
        (SHORT, {"entry__short_resistance": 0.005}),  # below 5 mohm
        (SHORT, {"result__short_duration": 590.0}),
    ],
)
def test_a_clause_that_was_not_kept_voids_the_run(wanted: str, changes: dict[str, Any]) -> None:
    assert verdict_of(wanted, **changes) is Verdict.INCONCLUSIVE


def test_what_may_be_otherwise() -> None:
    assert verdict_of(NEEDLE, watch__runaway=0.0, result__stroke_depth=24.3) is Verdict.PASS
    assert verdict_of(NEEDLE, result__stroke_depth=5.0) is Verdict.PASS  # runaway came first
    by_voltage = {"result__extra": 2.0, "result__overcharge_duration": 864.0, "watch__overcharge_voltage": 4.62}
    assert verdict_of(OVERCHARGE, **by_voltage) is Verdict.PASS


@pytest.mark.parametrize(
    ("seen", "level"),
    [
        ((), 2.0),
        (("leak",), 3.0),
        (("leak", "vent"), 4.0),
        (("vent", "fire"), 5.0),
        (("vent", "fire", "rupture"), 6.0),
        (("fire", "explosion"), 7.0),
    ],
)
def test_hazard_level_of_eucar(seen: tuple[str, ...], level: float) -> None:
    for wanted in ALL:
        values = measured(wanted, **{f"judgement__{name}": 1.0 for name in seen})
        assert sequences.load(wanted).results["hazard_level"].evaluate(values) == level


def test_numbers_and_their_sources() -> None:
    assert limits(NAIL, "speed") == (20.0, 30.0, "mm/s", "2015", "6.2.8", "B")
    assert limits(NAIL, "nail-diameter") == (5.0, 8.0, "mm", "2015", "6.2.8", "B")
    assert limits(NAIL, "ambient-low")[:2] == (20.0, None)
    assert limits(NEEDLE, "speed") == (0.1, 10.0, "mm/s", "2025", "C.5.3.3", "A")
    assert limits(NEEDLE, "end-temperature") == (None, 60.0, "degC", "2025", "C.5.3", "A")
    assert limits(NEEDLE, "no-fire")[-1] == "ours"
    for wanted, clause in ((OVERCHARGE, "5.1.2"), (SHORT, "5.1.3"), (HEATING, "5.1.4"), (CRUSH, "5.1.6")):
        assert limits(wanted, "no-fire")[2:] == ("", "2025", clause, "A")
        assert limits(wanted, "ambient-low")[:2] == (17.0, None)
        assert limits(wanted, "ambient-high")[:2] == (None, 27.0)
    old = sequences.load(NAIL).standard
    assert old is not None
    assert "GB 38031" in old.status.en
    assert "informative" in old.status.en


def test_the_strokes() -> None:
    nail, needle = only(sequences.load(NAIL), Penetrate), only(sequences.load(NEEDLE), Penetrate)
    assert nail.phase is Phase.STIMULUS
    assert nail.depth.evaluate(VALUES) == pytest.approx(37.0)
    assert nail.end is None
    assert needle.depth.evaluate(VALUES) == pytest.approx(24.3)
    assert sequences.load(NAIL).parameters["speed"].default.evaluate({}) == 25.0
    assert 0.1 <= sequences.load(NEEDLE).parameters["speed"].default.evaluate({}) <= 10.0
    crush = only(sequences.load(CRUSH), Crush)
    assert crush.deformation.evaluate(VALUES) == 0.15
    assert crush.force.evaluate(VALUES) == pytest.approx(7060.8, abs=0.1)
    assert crush.force.evaluate({"cell.weight": 200.0}) == 100e3  # the smaller of the two
    assert crush.voltage.evaluate({}) == 0.0
    assert only(sequences.load(CRUSH), Hold).duration.evaluate({}) == 600.0


def test_the_other_stimuli() -> None:
    overcharge = sequences.load(OVERCHARGE)
    (step,) = [step for step in overcharge.steps if isinstance(step, Charge) and step.phase is Phase.STIMULUS]
    assert step.voltage.evaluate(VALUES) == pytest.approx(4.62)
    assert step.current is not None
    assert step.current.evaluate(VALUES) == pytest.approx(25 / 3)
    assert only(sequences.load(SHORT), Short).duration.evaluate({}) == 600.0
    heat = only(sequences.load(HEATING), Heat)
    assert (heat.by, heat.temperature.evaluate({})) == ("chamber", 130.0)
    assert heat.ramp.evaluate({}) == pytest.approx(5 / 60)
    hot = [step for step in sequences.load(HEATING).steps if isinstance(step, Soak)][-1]
    assert (hot.phase, hot.of, hot.duration.evaluate({})) == (Phase.STIMULUS, "ambient", 1800.0)
    assert (hot.temperature.evaluate({}), hot.tolerance.evaluate({})) == (130.0, 2.0)


def test_runaway_is_a_or_b_and_c() -> None:
    """GB 38031-2025, C.5.3.7: (a drop of more than 25 %, or the highest operating temperature) and 1 K/s for 3 s."""
    sequence = sequences.load(NEEDLE)
    (watch,) = [watch for watch in sequence.watch if watch.name == "runaway"]
    needle = only(sequence, Penetrate)
    assert str(watch.when) == str(needle.end)
    assert set(watch.during) == {"needle", "observation"}
    whole = str(watch.when)
    assert whole.startswith("all of (any of (")
    assert whole.endswith("temperature_rate >= 1 K/s for 3 s)")


@pytest.mark.parametrize(("wanted", "hours"), [(name, 2 if name == NEEDLE else 1) for name in ALL])
def test_observation(wanted: str, hours: int) -> None:
    observe = only(sequences.load(wanted), Observe)
    assert observe.duration.evaluate({}) == hours * 3600
    assert observe.until.evaluate({}) == 60.0
    assert limits(wanted, "observation")[0] == hours * 3600
