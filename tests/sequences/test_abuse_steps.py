"""The steps of an abuse test: their fields, their names, their phases and their order."""

from __future__ import annotations

import pytest

from drivers import ConfigError, Dimension, Fault
from sequences import Sequence, expand, parse
from sequences.expressions import When
from sequences.language import Judge, Repeat
from sequences.loader import parse as parse_with
from tests.sequences.texts import ABUSE, JUDGE, SMALL

OBSERVE = (
    "  - observe: {id: observation, phase: observation, duration: 1 h, until: 60 degC, rate: 1 K/min, at_most: 6 h}\n"
)
QUARANTINE = "  - quarantine: {phase: observation}\n"


def faults_of(text: str) -> tuple[Fault, ...]:
    with pytest.raises(ConfigError) as refused:
        parse(text, "x.yaml")
    return refused.value.faults


def changed(old: str, new: str) -> str:
    assert ABUSE.count(old) == 1, old
    return ABUSE.replace(old, new)


def test_a_sound_abuse_test_loads_and_its_names_are_settled() -> None:
    sequence = parse(ABUSE, "x.yaml")
    assert sequence.results["fire"].kind is Dimension.NUMBER
    assert sequence.results["speed_mm_s"].kind is Dimension.SPEED
    carried, needle, *_ = sequence.steps
    assert carried.results["age"].kind is Dimension.TIME
    assert carried.results["ocv_before"].kind is Dimension.VOLTAGE
    assert needle.results["deep"].evaluate({"stroke.depth": 24.3}) == 24.3


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("phase: stimulus\n", "phase: conditioning\n", "penetrate has no meaning in phase conditioning"),
        ("phase: stimulus\n", "phase: observation\n", "penetrate has no meaning in phase observation"),
        ("to: rig\n", "to: rig\n      phase: observation\n", "transfer has no meaning in phase observation"),
        ("quarantine: {phase: observation}", "quarantine: {phase: stimulus}", "quarantine has no meaning"),
        ("class: abuse", "class: performance", "penetrate is a stimulus, and this sequence is not of class abuse"),
        (OBSERVE, "", "no observe step follows"),
        (JUDGE + QUARANTINE, QUARANTINE, "no judge step follows"),
        (JUDGE + QUARANTINE, JUDGE, "no quarantine step follows"),
        (OBSERVE + JUDGE, JUDGE + OBSERVE, "no judge step follows"),
        (QUARANTINE, QUARANTINE + "  - rest: {duration: 1 h}\n", "rest stands behind the observation"),
        (
            QUARANTINE,
            "  - short: {phase: stimulus, duration: 10 min}\n" + QUARANTINE,
            "short stands behind the observation",
        ),
        ("speed: 1 mm/s", "speed: 1 mm", "speed wants a speed (mm/s)"),
        ("speed: 1 mm/s", "speed: 0 mm/s", "not more than zero"),
        ("force: 20 kN", "force: 2 kg", "force wants a force (N)"),
        ("ocv_within: 10 mV", "ocv_within: 10 K", "ocv_within wants a voltage (V)"),
        ("rate: 1 K/min", "rate: 1 K", "rate wants a temperature rate"),
        ("at_most: 6 h", "at_most: 30 min", "an observation of 1 h is cut off at 30 min"),
        ("ocv_before: voltage,", "ocv_before: stroke.speed,", "stroke.speed has no value here"),
        ("deep: stroke.depth", "deep: transfer.charge_age", "transfer.charge_age has no value here"),
        ("deep: stroke.depth", "deep: judgement.fire", "judgement.fire is known only when the run has ended"),
        ("fire: judgement.fire", "fire: judgement.leak", "nobody is asked for judgement.leak"),
        ("ocv_before: voltage,", "ocv_before: current,", "'current'"),
    ],
)  # fmt: skip
def test_one_slip_is_named(old: str, new: str, said: str) -> None:
    faults = faults_of(changed(old, new))
    assert said in faults[0].error
    assert faults[0].where.startswith("x.yaml:")
    assert faults[0].fix


def test_a_question_is_asked_once() -> None:
    (fault,) = faults_of(changed(QUARANTINE, JUDGE + QUARANTINE))
    assert "judgement.fire is already taken" in fault.error


def test_a_question_without_source_or_definition_is_refused() -> None:
    text = changed('          source: {standard: lab, edition: "1", grade: ours}\n', "")
    assert "source is missing" in faults_of(text)[0].error
    text = changed("          definition: {en: Burning for longer than 1 s., zh: 持续燃烧大于 1 s。}\n", "")
    faults = faults_of(text)
    assert "definition is missing" in faults[0].error
    assert len(faults) == 1  # the judgement that it would have given goes unquestioned


@pytest.mark.parametrize("phase", ["stimulus", "observation"])
def test_a_tool_may_be_held_in_stimulus_and_observation(phase: str) -> None:
    hold = f"  - hold: {{phase: {phase}, duration: 10 min}}\n"
    assert parse(changed(OBSERVE, hold + OBSERVE), "x.yaml").steps[2].kind == "hold"


def test_a_heater_follows_no_ramp() -> None:
    heat = "phase: stimulus, temperature: 130 degC, tolerance: 2 K, timeout: 2 h, ramp: 5 K/min"
    parse(changed(OBSERVE, f"  - heat: {{{heat}}}\n{OBSERVE}"), "x.yaml")
    (fault,) = faults_of(changed(OBSERVE, f"  - heat: {{by: heater, {heat}}}\n{OBSERVE}"))
    assert "no ramp" in fault.error


@pytest.mark.parametrize(
    ("watch", "said"),
    [
        ("of: ambient", "needs either of and take, or when"),
        ("take: max", "needs either of and take, or when"),
        ("during: [needle]", "needs either of and take, or when"),
        ("of: ambient, take: max, when: temperature > 60 degC", "needs either of and take, or when"),
        ("of: ambient, when: temperature > 60 degC", "needs either of and take, or when"),
        ("when: temperature > 60 K", "is compared with"),
        ("when: duration > 60 s", "'duration'"),
        ("when: temperature > start(temperature) + 5 K", "start() means nothing in a watch"),
    ],
)
def test_a_watch_is_of_one_kind(watch: str, said: str) -> None:
    faults = faults_of(f"{ABUSE}watch:\n  - {{name: hot, {watch}}}\n")
    assert said in faults[0].error


def test_a_watched_condition_is_a_number_and_may_use_results() -> None:
    watch = "watch:\n  - {name: dropped, when: cell_voltage < 0.75 * result.ocv_before, during: [needle]}\n"
    sequence = parse(ABUSE.replace("results:\n  fire", watch + "results:\n  dropped: watch.dropped\n  fire"), "x.yaml")
    (dropped,) = sequence.watch
    assert isinstance(dropped.when, When)
    assert dropped.when.holds({"cell_voltage": 3.0, "result.ocv_before": 4.2})  # 3.15 V is three quarters
    assert not dropped.when.holds({"cell_voltage": 3.2, "result.ocv_before": 4.2})
    assert not dropped.when.holds({"cell_voltage": 3.0})
    assert sequence.results["dropped"].kind is Dimension.NUMBER


CALLER = ABUSE[: ABUSE.index("steps:")].replace("lab/needle", "lab/caller") + (
    "steps:\n  - call: {id: one, sequence: lab/needle}\nresults:\n  fire: judgement.one_fire\n"
)


def library(wanted: str, inside: tuple[str, ...] = ()) -> Sequence:
    return parse({"lab/needle": ABUSE, "lab/small": SMALL}[wanted], wanted)


def test_a_called_abuse_test_brings_its_questions_along() -> None:
    sequence = expand(parse_with(CALLER, "x.yaml", library), library)
    assert sequence.results["fire"].kind is Dimension.NUMBER
    (repeat,) = sequence.steps
    assert isinstance(repeat, Repeat)
    judge = repeat.steps[3]
    assert isinstance(judge, Judge)
    assert [question.name for question in judge.questions] == ["one_fire"]


def test_the_order_counts_the_steps_of_a_call() -> None:
    call = "  - call: {id: again, sequence: lab/small}\n"
    with pytest.raises(ConfigError) as refused:
        parse_with(changed(QUARANTINE, QUARANTINE + call), "x.yaml", library)
    assert "stands behind the observation" in refused.value.faults[0].error
