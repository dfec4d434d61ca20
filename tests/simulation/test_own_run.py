"""``cellbench run --simulate --faults``: a run of one's own in which things go wrong as a script says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.observing import Message
from bench.results import RunResult
from tests.scenarios.runs import Watched, order, run
from tests.simulation.harness import SEQUENCE

pytestmark = pytest.mark.scenario


def ran(folder: Path, *lines: str) -> tuple[RunResult, Watched]:
    script = folder / "faults.yaml"
    script.write_text("schema: cellbench/faults/1\nfaults:\n" + "".join(f"  - {line}\n" for line in lines))
    return run(replace(order(folder, sequence=SEQUENCE), faults=script))


def messages(watched: Watched) -> list[str]:
    return [seen.text for seen in watched.seen if isinstance(seen, Message)]


def test_a_run_outlasts_small_faults_and_says_that_they_came(tmp_path: Path) -> None:
    result, watched = ran(
        tmp_path,
        "{fault: late_reply, where: psb, when: {step: charge, after: 2 s}, by: 0.6 s}",
        "{fault: garbled, where: th1, when: {exchange: 60}}",
        "{fault: clock_steps, when: {at: 12 s}, by: 1 h}",
    )
    assert result.verdict == "pass"
    assert {"FAULT late_reply psb", "FAULT garbled th1", "FAULT clock_steps"} <= set(messages(watched))


@pytest.mark.fault("F55", "F54")
@pytest.mark.parametrize("fault", ["estop", "door_opens"])
def test_an_input_that_opens_in_a_step_trips(tmp_path: Path, fault: str) -> None:
    result, watched = ran(tmp_path, f"{{fault: {fault}, where: chamber1, when: {{step: charge, after: 3 s}}}}")
    assert (result.verdict, result.ended_by.kind) == ("aborted", "interlock")
    assert watched.made_safe()


@pytest.mark.fault("F72", "F71")
def test_a_program_that_stands_still_too_long_ends_and_is_not_taken_for_a_pass(tmp_path: Path) -> None:
    result, watched = ran(tmp_path, "{fault: frozen, when: {step: charge, after: 3 s}, for: 8 s}")
    assert result.verdict in ("aborted", "error")
    assert watched.made_safe()


@pytest.mark.fault("F56")
def test_a_person_in_the_script_stops_the_run(tmp_path: Path) -> None:
    result, watched = ran(tmp_path, "{fault: person_stops, when: {step: discharge, after: 2 s}, times: 3}")
    assert (result.verdict, result.ended_by.kind) == ("aborted", "person")
    assert watched.made_safe()
