"""What a person sees of a run: the step tree, a line a step without a terminal, and the end."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from bench.cli.view import RunView, show_result, tree_of
from bench.observing import Message, Progress, StepEnded, StepStarted
from bench.results import CriterionRow, EndedByRow, FaultRow, Limit, RunResult, SampleUsed, Value
from bench.run import Order, Prepared, prepare
from bench.shipped import examples

NOW = Progress("4/2/1", "until voltage <= 2.5 V", 3.71, -20.004, 25.04, None, 61.0, 7261.0, 59.0)


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(
        Order(
            sequence="gbt31486-2024/room-capacity",
            bench=examples() / "benches" / "demo.toml",
            cell=examples() / "cells" / "solid-state-gen1.toml",
            simulate=True,
        ),
        {},
    )


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    paper = io.StringIO()
    return Console(file=paper, width=160, force_terminal=terminal, highlight=False, _environ={}), paper


def repeat_of(prepared: Prepared) -> tuple[int, ...]:
    """The number of the first repeat."""
    return next(node.key for node in tree_of(prepared.plan.sequence.steps) if node.at_most is not None)


def test_the_tree_numbers_every_step_a_repeat_before_its_own(prepared: Prepared) -> None:
    nodes = tree_of(prepared.plan.sequence.steps)
    keys = [node.key for node in nodes]
    assert keys == sorted(set(keys))
    assert [key[0] for key in keys if len(key) == 1] == list(range(1, len(prepared.plan.sequence.steps) + 1))
    repeat = repeat_of(prepared)
    assert (*repeat, 1) in keys
    assert {node.at_most for node in nodes if node.key == repeat} == {5}


def test_without_a_terminal_a_line_a_step(prepared: Prepared) -> None:
    screen, paper = console(terminal=False)
    with RunView(prepared, screen) as view:
        view.observe(StepStarted(1, "1", 1, "chamber_set", "", "conditioning", "at once"))
        view.observe(NOW)
        view.observe(StepEnded(1, "1", 1, "set", 3725.0, {"capacity": 62.20697}))
        view.observe(Message("the guard tripped", loud=True))
    said = paper.getvalue()
    assert "SIMULATED" in said
    assert "1 h 02 min, set" in said
    assert "capacity 62.207" in said
    assert "the guard tripped" in said
    assert "3.71" not in said


def test_on_a_terminal_turns_and_values_of_now(prepared: Prepared) -> None:
    screen, paper = console(terminal=True)
    repeat = repeat_of(prepared)
    path = "/".join(map(str, (*repeat, 2, 1)))  # the repeat's second turn, its first step
    with RunView(prepared, screen) as view:
        view.observe(StepStarted(7, path, 3, "charge", "", "conditioning", NOW.ends))
        view.observe(NOW)
    said = paper.getvalue()
    assert "turn 2 of at most 5" in said
    assert "3.71 V" in said
    assert "-20.00 A" in said
    assert "air — degC" in said
    assert "step 0:01:01, 0:00:59 left" in said
    assert "test 2:01:01 of about" in said


def ended(verdict: str, **changes: object) -> RunResult:
    row = CriterionRow(
        id="c", kind="condition", title="Ambient", title_zh="环境", source="S-1", clause="5.1", verdict="inconclusive",
        value=None, unit="degC", limit=Limit(at_least=20.0, at_most=30.0), grade="U",
    )  # fmt: skip
    known = {
        "exit_code": 0, "run_id": "0001-x", "bundle": "runs/0001-x", "mode": "simulated", "verdict": verdict,
        "ended_by": EndedByRow(phase="conditioning", kind="bench_limit", rule="bench.voltage", device="psb", value=5.01,
                               limit=5.0),
        "criteria": [row], "results": {"energy_density_wh_kg": Value(value=299.5, unit="Wh/kg")},
        "plant_truth": {"energy_density_wh_kg": Value(value=299.25, unit="Wh/kg")}, "test_s": 7200.0, "wall_s": 2.0,
        "faults": [FaultRow(error="door <opened> [now]", where="io1", fix="close it")],
    }  # fmt: skip
    return RunResult.model_validate({**known, **changes})


def test_the_end_says_everything(prepared: Prepared) -> None:
    screen, paper = console(terminal=False)
    show_result(ended("aborted"), prepared, screen)
    said = paper.getvalue()
    for words in (
        "SIMULATED - nothing below was measured on hardware", "20 … 30", "UNVERIFIED", "299.5 Wh/kg", "299.25 Wh/kg",
        "300 Wh/kg", "ABORTED 中止", "ended by bench limit bench.voltage on psb (5.01, limit 5)", "door <opened> [now]",
        "2 h 00 min of test time in 2.0 s of wall time (3,600 times real time)", "cellbench report runs/0001-x",
    ):  # fmt: skip
        assert words in said
    assert "NOMINAL" not in said
    assert "runs/0001-x/report.html" not in said


def test_a_report_is_named_where_the_bundle_is_sealed(prepared: Prepared, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    screen, paper = console(terminal=False)
    show_result(ended("pass", bundle=str(tmp_path)), prepared, screen)
    assert f"{tmp_path}/report.html" in paper.getvalue()


def test_a_nominal_mass_is_said_beside_what_was_divided_by_it(prepared: Prepared) -> None:
    screen, paper = console(terminal=False)
    used = SampleUsed(id="S-1", mass_kg=0.8, mass_is_nominal=True)
    values = {
        "capacity_ah": Value(value=60.0, unit="Ah"),
        "energy_density_wh_kg": Value(value=299.5, unit="Wh/kg"),
        "claimed_energy_density_wh_kg": Value(value=300.0, unit="Wh/kg"),
    }
    show_result(ended("pass", sample=used, results=values), prepared, screen)
    marked = [line for line in paper.getvalue().splitlines() if "NOMINAL" in line]
    assert len(marked) == 1
    assert "299.5 Wh/kg" in marked[0]


def test_a_live_run_is_not_called_simulated(prepared: Prepared) -> None:
    screen, paper = console(terminal=False)
    show_result(ended("pass", mode="live", plant_truth=None, criteria=[], results={}), prepared, screen)
    assert "SIMULATED" not in paper.getvalue()
