"""A channel's values carry the limits that the guard holds them to, while a run uses it and no longer."""

from __future__ import annotations

from pathlib import Path

from bench.daemon.front_desk import FrontDesk
from bench.daemon.house import BenchHouse
from tests.daemon.houses import asked, ended, in_house, in_step, started


def test_the_values_of_a_run_carry_the_cells_limits(tmp_path: Path) -> None:
    async def visit(house: BenchHouse, desk: FrontDesk) -> None:
        name = desk.now().channels[0].name
        run = await started(desk, asked(name), key="k")
        await in_step(house, run.run_id, "out")
        house.refresh()
        voltage = next(each for each in desk.now().channels[0].values if each.quantity == "voltage_v")
        assert voltage.low is not None
        assert voltage.high is not None
        # the cell file's 2.5 V to 4.2 V and a margin beyond, which is at most a tenth of that window
        assert 2.5 - 0.17 <= voltage.low <= 2.5
        assert 4.2 <= voltage.high <= 4.2 + 0.17
        await desk.stop(run.run_id, by="lin")
        await ended(house, run.run_id)
        house.refresh()
        after = next(each for each in desk.now().channels[0].values if each.quantity == "voltage_v")
        assert (after.low, after.high) == (None, None)

    in_house(tmp_path, visit)
