"""A cycler that reads its current wrong: the result is as wrong, the plant is not, and the next cell ends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.daemon.front_desk import FrontDesk
from bench.daemon.house import BenchHouse
from bench.results import RunResult
from bench.shipped import examples
from tests.daemon.houses import CELL, asked, ended, in_house, started

pytestmark = pytest.mark.scenario

WRONG_BY = 0.01


def shown_of_true(result: RunResult | None) -> float:
    """Charge as it was measured, of what truly left the cell."""
    assert result is not None
    assert result.plant_truth is not None
    return result.results["out_ah"].value / result.plant_truth["out_ah"].value


def test_a_gain_error_shifts_the_result_of_its_own_channel_and_not_the_plant(tmp_path: Path) -> None:
    text = (examples() / "cells" / f"{CELL}.toml").read_text()
    assert text.count("[simulation]") == 1
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(text.replace("[simulation]", f"[simulation]\ncurrent_gain_error = {WRONG_BY}"))

    async def visit(house: BenchHouse, desk: FrontDesk) -> None:
        one = await started(desk, asked("1").model_copy(update={"cell": "wrong"}), key="1")
        beside = await started(desk, asked("3"), key="3")
        for run, expected in ((one, 1.0 + WRONG_BY), (beside, 1.0)):
            assert (await ended(house, run.run_id)).faults == ()
            tenancy = house.runs.of(run.run_id)
            assert tenancy is not None
            assert shown_of_true(tenancy.result) == pytest.approx(expected, abs=2e-3)
        after = await started(desk, asked("1"), key="2")
        await ended(house, after.run_id)
        tenancy = house.runs.of(after.run_id)
        assert tenancy is not None
        assert shown_of_true(tenancy.result) == pytest.approx(1.0, abs=2e-3)

    in_house(tmp_path, visit, cells={"wrong": wrong})
