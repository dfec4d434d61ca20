"""Twelve channels on three I/O modules, six thermocouple modules and two voltage modules, all under current at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.daemon.front_desk import FrontDesk
from bench.daemon.house import BenchHouse
from tests.daemon.houses import asked, ended, in_house, started
from tests.daemon.many import bench_of

pytestmark = pytest.mark.scenario

CHANNELS = 12


def test_twelve_runs_that_share_their_modules_all_pass(tmp_path: Path) -> None:
    bench = tmp_path / "many.toml"
    bench.write_text(bench_of(CHANNELS))

    async def visit(house: BenchHouse, desk: FrontDesk) -> None:
        requests = [asked(str(at), sequence="tests/hours", length="1 min") for at in range(CHANNELS)]
        runs = [await started(desk, request, key=request.channel) for request in requests]
        views = [await ended(house, run.run_id) for run in runs]
        assert {view.verdict for view in views} == {"pass"}
        assert [view.faults for view in views] == [()] * CHANNELS
        last_begun = max(view.begun_utc_s or 0.0 for view in views)
        assert all((view.ended_utc_s or 0.0) > last_begun for view in views)  # they were all at it at once

    in_house(tmp_path / "data", visit, bench=bench)
