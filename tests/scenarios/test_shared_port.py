"""Another program that reads from a bench's port: what it takes, nobody misses, so nothing may hang on that port."""

from __future__ import annotations

import asyncio
from itertools import cycle
from pathlib import Path

import pytest

from bench.simulated import SimulatedBench
from tests.scenarios.runs import order, run

pytestmark = pytest.mark.scenario

TAKES_FROM_S = 300.0


@pytest.mark.fault("F20", "T18")
def test_a_port_that_is_shared_before_the_run_gives_no_energy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.wires.health.sharers", lambda _path, _owners: ("screen (4711)",))
    result, watched = run(order(tmp_path))
    assert (result.exit_code, result.ended_by.kind) == (4, "device")
    assert "screen (4711)" in (result.ended_by.rule or "")
    assert watched.moved_ah() == 0.0
    assert watched.made_safe()


@pytest.mark.fault("F20", "T18")
def test_a_program_that_comes_to_read_a_port_in_the_middle_of_a_run_trips_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes every third answer, so that no channel is ever silent for too long; the line is degraded, and looked
    at for others."""
    there: list[str] = []
    monkeypatch.setattr("drivers.wires.health.sharers", lambda _path, _owners: tuple(there))

    def arrange(bench: SimulatedBench) -> None:
        def take() -> None:
            there.append("modem-manager (815)")
            taken = cycle((True, False, False))
            bench.scene.personality("th1").faults.always = lambda delay_s, frame: (
                () if next(taken) else ((delay_s, frame),)
            )

        asyncio.get_running_loop().call_later(TAKES_FROM_S, take)

    result, watched = run(order(tmp_path), arrange=arrange)
    assert (result.exit_code, result.ended_by.kind, result.ended_by.device) == (4, "device", "th1")
    assert "modem-manager (815)" in (result.ended_by.rule or "")
    assert watched.moved_ah() > 0.0
    assert watched.made_safe()
