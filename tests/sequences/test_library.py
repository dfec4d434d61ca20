"""The library of standards: the numbers of each clause with their grades, and what they come to for a cell."""

from __future__ import annotations

from typing import Any

import pytest

import sequences
from sequences.language import (
    Charge,
    Confirm,
    CriterionKind,
    Discharge,
    Grade,
    RepeatUntilStable,
    Rest,
    Sequence,
    SequenceClass,
    Soak,
)
from sequences.tree import walk_steps
from sequences.verdict import Verdict

NEW, OLD = "gbt31486-2024/room-capacity", "gbt31486-2015/room-capacity"

#: Criteria as (at least, at most, unit, edition, clause, grade); the cell below is rated at 60 Ah.
#: GB/T 31486-2024: 25 +- 2 degC, RH 10..90 %, air speed at most 1.7 m/s, at least 1 I3 [all B]; clause 5.4 [A], its
#: limits [U]. GB/T 31486-2015: 25 +- 5 degC, RH 15..90 %, 1 I1 [B]. 86..106 kPa [U for both]. Logging at most every
#: 15 s: GB 38031-2025 clause 6.4 [A]. Three discharges within 3 %: GB 38031-2025 clause 7.1.2 [A].
NUMBERS: dict[str, dict[str, tuple[float | None, float | None, str, str, str | None, str]]] = {
    NEW: {
        "capacity": (60.0, 66.0, "Ah", "2024", "5.4", "U"),
        "pretreatment-stable": (1.0, None, "", "2025", "7.1.2", "A"),
        "ambient-low": (23.0, None, "degC", "2024", None, "B"),
        "ambient-high": (None, 27.0, "degC", "2024", None, "B"),
        "humidity": (10.0, 90.0, "%", "2024", None, "B"),
        "air-pressure": (86.0, 106.0, "kPa", "2024", None, "U"),
        "air-speed": (None, 1.7, "m/s", "2024", None, "B"),
        "discharge-current": (19.8, None, "A", "2024", None, "B"),
        "log-interval": (None, 15.0, "s", "2025", "6.4", "A"),
        "calibration": (0.0, None, "s", "1", None, "ours"),
        "mass": (0.001, None, "kg", "2024", "5.3", "ours"),
    },
    OLD: {
        "capacity": (60.0, 66.0, "Ah", "2015", None, "U"),
        "pretreatment-stable": (1.0, None, "", "2025", "7.1.2", "A"),
        "ambient-low": (20.0, None, "degC", "2015", None, "B"),
        "ambient-high": (None, 30.0, "degC", "2015", None, "B"),
        "humidity": (15.0, 90.0, "%", "2015", None, "B"),
        "air-pressure": (86.0, 106.0, "kPa", "2015", None, "U"),
        "discharge-current-low": (59.4, None, "A", "2015", None, "B"),
        "discharge-current-high": (None, 60.6, "A", "2015", None, "B"),
        "log-interval": (None, 15.0, "s", "2025", "6.4", "A"),
        "calibration": (0.0, None, "s", "1", None, "ours"),
        "mass": (0.001, None, "kg", "1", None, "ours"),
    },
}

CELL: dict[str, float | tuple[float, ...]] = {
    "cell.rated_capacity": 60.0,
    "cell.charge_voltage": 4.3,
    "cell.v_min": 2.5,
    "cell.claimed_energy_density": 300.0,
    "param.rest": 3600.0,
}


def measured(current_a: float, **changes: Any) -> dict[str, float | tuple[float, ...]]:
    """A run of four turns that passes; the first discharge is off and belongs to no result."""
    return {
        **CELL,
        "param.current": current_a,
        "param.charge_current": current_a,
        "result.capacity": (50.0, 61.0, 62.0, 63.0),
        "result.energy": (190.0, 238.0, 240.0, 242.0),
        "result.discharge_current": (current_a,) * 4,
        "result.pretreatment_stable": 1.0,
        "watch.ambient_low": 24.5,
        "watch.ambient_high": 25.5,
        "watch.peak_temperature": 31.0,
        "entry.humidity": 0.45,
        "entry.air_pressure": 101.0,
        "entry.air_speed": 500.0,
        "run.longest_log_interval": 10.0,
        "run.calibration_margin": 8.64e6,
        "run.sample_mass": 0.8,
        **changes,
    }


def verdict_of(sequence: Sequence, values: dict[str, float | tuple[float, ...]]) -> Verdict:
    return sequences.overall([sequences.judge(item, values) for item in sequence.criteria], "completed")


RATES = [(NEW, 20.0), (OLD, 60.0)]


@pytest.mark.parametrize(("wanted", "current_a"), RATES)
def test_criteria_and_their_sources(wanted: str, current_a: float) -> None:
    sequence = sequences.load(wanted)
    rows = {item.id: sequences.judge(item, measured(current_a)) for item in sequence.criteria}
    found = {
        name: (row.low, row.high, row.unit, source.edition, source.clause, source.grade.value)
        for name, row in rows.items()
        for source in [row.criterion.source]
    }
    assert set(found) == set(NUMBERS[wanted])
    for name, (low, high, *rest) in NUMBERS[wanted].items():
        assert found[name][:2] == (
            None if low is None else pytest.approx(low),
            None if high is None else pytest.approx(high),
        ), name
        assert list(found[name][2:]) == rest, name
    requirements = [name for name, row in rows.items() if row.criterion.kind is CriterionKind.REQUIREMENT]
    assert requirements == ["capacity"]  # no clause limits the energy density
    assert all(row.verdict is Verdict.PASS for row in rows.values())


@pytest.mark.parametrize(("wanted", "current_a"), RATES)
def test_results_are_of_the_last_three_discharges(wanted: str, current_a: float) -> None:
    sequence = sequences.load(wanted)
    values = measured(current_a)
    results = {name: value.evaluate(values) for name, value in sequence.results.items()}
    assert results == {
        "capacity_ah": pytest.approx(62.0),
        "energy_wh": pytest.approx(240.0),
        "energy_density_wh_kg": pytest.approx(300.0),  # 240 Wh / 0.8 kg
        "claimed_energy_density_wh_kg": 300.0,
        "peak_temperature_c": 31.0,
    }


@pytest.mark.parametrize(("wanted", "current_a"), RATES)
@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, Verdict.PASS),
        ({"result.capacity": (53.0, 53.9, 54.0, 54.1)}, Verdict.FAIL),  # 90 % of rated
        ({"result.capacity": (66.5, 66.6, 66.7, 66.8)}, Verdict.FAIL),  # 111 %
        ({"result.capacity": (66.0, 66.0, 66.0)}, Verdict.PASS),
        ({"result.capacity": (61.0, 62.0)}, Verdict.INCONCLUSIVE),  # two turns are not three
        ({"result.pretreatment_stable": 0.0}, Verdict.INCONCLUSIVE),
        ({"watch.ambient_low": 19.9}, Verdict.INCONCLUSIVE),
        ({"watch.ambient_high": 30.1}, Verdict.INCONCLUSIVE),
        ({"entry.humidity": 0.91}, Verdict.INCONCLUSIVE),
        ({"entry.air_pressure": 85.0}, Verdict.INCONCLUSIVE),
        ({"run.longest_log_interval": 16.0}, Verdict.INCONCLUSIVE),
        ({"run.calibration_margin": -1.0}, Verdict.INCONCLUSIVE),
        ({"run.sample_mass": float("nan")}, Verdict.INCONCLUSIVE),
        ({"result.capacity": (54.0,) * 3, "entry.humidity": 0.95}, Verdict.INCONCLUSIVE),  # void, so no failure
    ],
)
def test_verdicts_on_paper(wanted: str, current_a: float, changes: dict[str, Any], verdict: Verdict) -> None:
    assert verdict_of(sequences.load(wanted), measured(current_a, **changes)) is verdict


def test_the_editions_differ_where_they_do() -> None:
    new, old = sequences.load(NEW), sequences.load(OLD)
    warm = {"watch.ambient_high": 28.0}  # inside 25 +- 5, outside 25 +- 2
    assert verdict_of(new, measured(20.0, **warm)) is Verdict.INCONCLUSIVE
    assert verdict_of(old, measured(60.0, **warm)) is Verdict.PASS
    slow = {"result.discharge_current": (20.0, 20.0, 20.0)}  # I3 is no 1 I1
    assert verdict_of(old, measured(60.0, **slow)) is Verdict.INCONCLUSIVE
    assert new.standard is not None
    assert old.standard is not None
    assert "2025-04-01" in new.standard.status.en
    assert "2025-04-01" in new.standard.status.zh
    assert "Replaced by GB/T 31486-2024" in old.standard.status.en


@pytest.mark.parametrize(("wanted", "current_a"), RATES)
def test_the_steps(wanted: str, current_a: float) -> None:
    """GB 38031-2025, 7.1.1 and 7.1.2: discharge to Vmin, rest; then charge CC to Vmax and CV to 0.05 I1, rest 1 h,
    discharge to Vmin, rest, at most five times, until three in a row agree within 3 % of the rated capacity."""
    sequence = sequences.load(wanted)
    values = measured(current_a)
    assert sequence.class_ is SequenceClass.PERFORMANCE
    kinds = [step.kind for _, step in walk_steps(sequence.steps)]
    turn = ["charge", "rest", "discharge", "rest"]
    assert kinds == ["confirm", "chamber", "soak", "discharge", "rest", "repeat_until_stable", *turn]
    confirm, _, soak, down, _, repeat = sequence.steps
    assert isinstance(confirm, Confirm)
    assert isinstance(soak, Soak)
    assert isinstance(down, Discharge)
    assert isinstance(repeat, RepeatUntilStable)
    assert (soak.of, soak.temperature.evaluate({}), soak.duration.evaluate({})) == ("surface", 25.0, 3600.0)
    assert not confirm.hazardous
    assert (repeat.at_most, repeat.stable.last) == (5, 3)
    assert repeat.stable.within.evaluate(values) == pytest.approx(1.8)
    charge, rest, again, _ = repeat.steps
    assert isinstance(charge, Charge)
    assert isinstance(rest, Rest)
    assert isinstance(again, Discharge)
    assert charge.mode == "cccv"
    assert charge.current is not None
    assert charge.end is not None
    assert charge.voltage.evaluate(values) == 4.3
    assert charge.current.evaluate(values) == current_a
    assert charge.end.names == {"current", "cell.rated_capacity"}
    assert rest.duration.evaluate(values) == 3600.0
    for step in (down, again):
        assert step.current is not None
        assert step.voltage.evaluate(values) == 2.5
        assert step.current.evaluate(values) == current_a
        # half as long again as a full discharge takes
        assert step.timeout.evaluate(values) == pytest.approx(1.5 * 60.0 / current_a * 3600)


@pytest.mark.parametrize(("wanted", "rate"), [(NEW, 20.0), (OLD, 60.0)])
def test_parameters_stay_inside_the_clause(wanted: str, rate: float) -> None:
    for parameter in sequences.load(wanted).parameters.values():
        worth = parameter.default.evaluate(CELL)
        assert worth in (rate, 3600.0)
        assert parameter.source is not None
        assert parameter.source.grade in (Grade.A, Grade.B)
        assert parameter.at_least is not None or parameter.at_most is not None


@pytest.mark.parametrize("wanted", [NEW, OLD])
def test_rows_stay_moderate_and_meet_the_logging_condition(wanted: str) -> None:
    rule = sequences.load(wanted).log
    assert rule.every.evaluate({}) <= 15.0 / 1.25  # a poll late is still inside 15 s
    assert 30 * 3600 / rule.every.evaluate({}) < 20_000
    assert rule.current is not None
    # the step of the current is between an instrument's noise and the smallest current that matters, 0.05 I1
    assert rule.current.evaluate({"cell.rated_capacity": 138.0}) == pytest.approx(2.76)
    assert rule.current.evaluate({"cell.rated_capacity": 5.0}) == pytest.approx(0.5)


@pytest.mark.parametrize("wanted", [NEW, OLD])
def test_every_text_is_in_both_languages(wanted: str) -> None:
    sequence = sequences.load(wanted)
    texts = [sequence.title, sequence.summary, *(item.title for item in sequence.criteria)]
    texts += [step.title for _, step in walk_steps(sequence.steps) if step.title]
    for text in texts:
        assert text.en.isascii()
        assert any("\u4e00" <= character <= "\u9fff" for character in text.zh)
