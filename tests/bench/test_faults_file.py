"""Fault scripts: what is read, what is refused, and that a run of one's own meets them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.faults_file import StepNames, read_faults, written
from bench.run import prepare
from bench.simulated import FAULTS, SceneSpec, scene_spec
from drivers import ConfigError
from sequences import parse
from simulators.strikes import Strike
from tests.scenarios.runs import order, run

HEAD = "schema: cellbench/faults/1\nfaults:\n"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> SceneSpec:
    plan = prepare(order(tmp_path_factory.mktemp("plan")), {}).plan
    return scene_spec(plan.bench, plan.cell, channel="1", mass_kg=plan.cell.mass_kg, seed=1)


def read(text: str, scene: SceneSpec) -> tuple[Strike, ...]:
    return read_faults(HEAD + text, "faults.yaml", scene)


def refused(text: str, scene: SceneSpec) -> str:
    with pytest.raises(ConfigError) as error:
        read(text, scene)
    return str(error.value)


def test_a_strike_is_read_in_base_units(scene: SceneSpec) -> None:
    assert read("  - {fault: late_reply, where: psb, when: {at: 2 min}, by: 0.7 s, count: 3}\n", scene) == (
        Strike("late_reply", "psb", at_s=120.0, params={"by": 0.7, "count": 3.0}),
    )


def test_the_three_ways_to_say_when(scene: SceneSpec) -> None:
    found = read(
        "  - {fault: estop, where: chamber1, when: {at: 1 s}, for: 2 s}\n"
        "  - {fault: estop, where: chamber1, when: {step: charge, after: 3 s}}\n"
        "  - {fault: person_stops, when: {exchange: 40}}\n",
        scene,
    )
    assert [(it.at_s, it.step, it.after_s, it.exchange, it.for_s) for it in found] == [
        (1.0, None, 0.0, None, 2.0),
        (None, "charge", 3.0, None, None),
        (None, None, 0.0, 40, None),
    ]


def test_an_unknown_name_is_refused_with_the_known_ones(scene: SceneSpec) -> None:
    said = refused("  - {fault: no_replie, where: psb, when: {at: 1 s}}\n", scene)
    assert "did you mean `no_reply`" in said
    assert all(name in said for name in FAULTS)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{fault: no_reply, where: psx, when: {at: 1 s}}", "no device 'psx'"),
        ("{fault: sensor_open, where: th1, when: {at: 1 s}}", "no point"),
        ("{fault: sensor_open, where: psb.out, when: {at: 1 s}}", "cannot have it"),
        ("{fault: foreign_reply, where: psb, when: {at: 1 s}}", "cannot have it"),
        ("{fault: door_opens, where: chamber9, when: {at: 1 s}}", "no place 'chamber9'"),
        ("{fault: chamber_stalls, where: rig1, when: {at: 1 s}}", "rig1 has no chamber"),
        ("{fault: tool_jams, where: psb, when: {at: 1 s}}", "cannot have it"),
        ("{fault: contactor_welded, where: '9', when: {at: 1 s}}", "no channel '9'"),
        ("{fault: person_stops, where: psb, when: {at: 1 s}}", "leave `where` out"),
        ("{fault: no_reply, where: psb}", "when"),
        ("{fault: no_reply, where: psb, when: {at: 1 s, step: charge}}", "when"),
        ("{fault: no_reply, where: psb, when: {exchange: 0}}", "when"),
        ("{fault: no_reply, where: psb, when: {at: -1 s}}", "before the beginning"),
        ("{fault: late_reply, where: psb, when: {at: 1 s}, by: 3}", "no unit"),
        ("{fault: late_reply, where: psb, when: {at: 1 s}, by: 3 V}", "voltage"),
        ("{fault: late_reply, where: psb, when: {at: 1 s}, volume: 3}", "no `volume`"),
        ("{fault: restarts, where: psb, when: {at: 1 s}, for: 3 s}", "happens once"),
        ("{where: psb, when: {at: 1 s}}", "no fault is named"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(scene: SceneSpec, line: str, said: str) -> None:
    error = refused(f"  - {line}\n", scene)
    assert said in error
    assert "faults.yaml:3" in error


def test_every_slip_is_told_at_once(scene: SceneSpec) -> None:
    said = refused("  - {fault: a, when: {at: 1 s}}\n  - {fault: b, when: {at: 1 s}}\n", scene)
    assert "`a`" in said
    assert "`b`" in said


def test_another_schema_is_refused(scene: SceneSpec) -> None:
    with pytest.raises(ConfigError, match="cellbench/answers/1"):
        read_faults("schema: cellbench/answers/1\nfaults: []\n", "faults.yaml", scene)


def test_what_is_written_is_read_again(scene: SceneSpec) -> None:
    strikes = (
        Strike("late_reply", "psb", at_s=12.5, params={"by": 0.25, "count": 2.0}),
        Strike("setpoint_drifts", "psb", step="charge", after_s=1.5, for_s=4.0, params={"by": 0.4}),
        Strike("sensor_noisy", "th1.ai0", exchange=77, for_s=3.0),
        Strike("contactor_welded", "1", at_s=0.0),
        Strike("clock_steps", at_s=3.0, params={"by": -10.0}),
    )
    assert read_faults(written(strikes, "seed 1"), "plan.yaml", scene) == strikes


def test_what_ends_the_program_itself_is_not_for_a_run_of_ones_own(tmp_path: Path) -> None:
    script = tmp_path / "faults.yaml"
    script.write_text(HEAD + "  - {fault: killed, when: {at: 1 s}}\n")
    asked = order(tmp_path)
    with pytest.raises(ConfigError, match="killed"):
        prepare(type(asked)(**{**vars(asked), "faults": script}), {})


REPEATED = """\
schema: cellbench/sequence/1
id: test/turns
title: {en: Turns, zh: 循环}
summary: {en: Turns., zh: 循环。}
log: {every: 1 s}
steps:
  - rest: {duration: 1 s, title: {en: At first, zh: 先}}
  - repeat:
      count: 3
      steps:
        - rest: {id: pause, duration: 1 s}
        - repeat:
            count: 2
            steps:
              - rest: {duration: 1 s}
"""


def test_a_step_is_named_by_kind_id_title_or_path() -> None:
    names = StepNames(parse(REPEATED, "turns.yaml").steps)
    for good in ("rest", "pause", "At first", "1", "2/1/1", "2/3/1", "2/3/2/2/1"):
        assert good in names, good
    for bad in ("charge", "repeat", "", "0", "3", "2", "1/1", "2/1", "2/4/1", "2/3/2", "2/3/2/3/1", "2/1/1/1", "-1"):
        assert bad not in names, bad


def test_a_step_that_the_sequence_has_not_is_refused_at_its_line(tmp_path: Path) -> None:
    script = tmp_path / "faults.yaml"
    script.write_text(
        HEAD
        + "  - {fault: estop, where: chamber1, when: {step: charge}}\n"
        + "  - {fault: estop, where: chamber1, when: {step: nosuchstep}}\n"
    )
    with pytest.raises(ConfigError) as refused:
        prepare(replace(order(tmp_path), faults=script), {})
    (fault,) = refused.value.faults
    assert "no step `nosuchstep`" in fault.error
    assert fault.where == f"{script}:4"
    for name in ("out", "in", "charge", "discharge", "rest"):
        assert name in fault.fix


def test_a_fault_that_never_struck_is_in_the_result(tmp_path: Path) -> None:
    """The short run takes some 27 minutes of its own time; one fault is for an hour later, one for its charge."""
    script = tmp_path / "faults.yaml"
    script.write_text(
        HEAD
        + "  - {fault: late_reply, where: psb, when: {step: charge, after: 1 s}, by: 0.1 s}\n"
        + "  - {fault: estop, where: chamber1, when: {at: 90 min}}\n"
    )
    result, _ = run(replace(order(tmp_path), faults=script))
    assert result.verdict == "pass"
    (missed,) = [fault for fault in result.faults if "never struck" in fault.error]
    assert "estop" in missed.error
    assert missed.where == "chamber1 at: 5400 s"
