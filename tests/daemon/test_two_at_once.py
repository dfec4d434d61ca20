"""Two channels at once: each ends as it would have alone, and neither is touched by what the other does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.daemon.front_desk import FrontDesk
from bench.daemon.house import BenchHouse
from bench.daemon.views import RunView
from bench.results import RunResult
from bench.run import Order, prepare, run_simulated
from bench.shipped import examples
from tests.daemon.houses import CELL, CYCLE, LINE, asked, ended, in_house, people, started

pytestmark = pytest.mark.scenario


def alone(folder: Path, channel: str) -> RunResult:
    cell = examples() / "cells" / f"{CELL}.toml"
    order = Order(str(CYCLE), LINE, cell, simulate=True, channel=channel, data=folder, start_utc_s=1.8e9)
    prepared = prepare(order, os.environ)
    return run_simulated(prepared, people(prepared.plan))


def test_two_runs_at_once_end_as_each_would_alone(tmp_path: Path) -> None:
    async def visit(house: BenchHouse, desk: FrontDesk) -> list[tuple[RunView, RunResult]]:
        runs = [await started(desk, asked(channel), key=channel) for channel in ("1", "3")]
        views = [await ended(house, run.run_id) for run in runs]
        assert views[0].ended_utc_s is not None
        assert views[1].begun_utc_s is not None
        assert views[1].begun_utc_s < views[0].ended_utc_s  # they were at it at once
        tenancies = [house.runs.of(run.run_id) for run in runs]
        return [(view, it.result) for view, it in zip(views, tenancies, strict=True) if it is not None and it.result]

    both = in_house(tmp_path / "both", visit)
    assert [view.faults for view, _ in both] == [(), ()]
    for (view, result), channel in zip(both, ("1", "3"), strict=True):
        by_itself = alone(tmp_path / channel, channel)
        assert view.verdict == by_itself.verdict == "pass"
        assert [row.verdict for row in result.criteria] == [row.verdict for row in by_itself.criteria]
        for name in ("out_ah", "in_ah"):
            here, there = result.results[name], by_itself.results[name]
            assert here.value == pytest.approx(
                there.value, rel=5e-3
            )  # the two clocks' phases differ by a poll of 1 s in 120 s
