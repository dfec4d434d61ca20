"""A house in virtual time, with simulated people, and the short sequences that its tests run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from bench.answers import Answers, simulated_operator
from bench.daemon.far_sides import SimulatedSide
from bench.daemon.front_desk import FrontDesk
from bench.daemon.house import BenchHouse
from bench.daemon.opening import simulated_house
from bench.daemon.settings import DeskSettings
from bench.daemon.views import RunView, StartRequest
from bench.plan import Plan
from bench.shipped import examples
from bench.simulated import in_virtual_time
from simulators.plant.plant import Plant

T = TypeVar("T")

LINE = examples() / "benches" / "line.toml"
CELL = "nmc-21700"
CYCLE = Path(__file__).parent / "cycle.yaml"


def people(plan: Plan) -> Answers:
    return simulated_operator(plan.simulated_entries)


def settings(
    data: Path, *, bench: Path = LINE, staffed: bool = True, cells: Mapping[str, Path] | None = None
) -> DeskSettings:
    """``cells`` are the known ones and these."""
    own = {f"tests/{path.stem}": path for path in Path(__file__).parent.glob("*.yaml")}
    answering = people if staffed else None
    made = DeskSettings(bench, data, "simulated", sequences=own, answering=answering, start_utc_s=1.8e9)
    return replace(made, cells={**made.cells, **(cells or {})})


def in_house(
    data: Path,
    visit: Callable[[BenchHouse, FrontDesk], Awaitable[T]],
    *,
    bench: Path = LINE,
    staffed: bool = True,
    cells: Mapping[str, Path] | None = None,
) -> T:
    """Open a house, let ``visit`` do what it does there, and close it."""

    async def main() -> T:
        async with simulated_house(settings(data, bench=bench, staffed=staffed, cells=cells)) as house:
            return await visit(house, FrontDesk(house))

    return in_virtual_time(main(), speed=None)


def asked(channel: str, *, sequence: str = "tests/cycle", **overrides: str) -> StartRequest:
    """A short sequence of these tests."""
    return StartRequest(sequence=sequence, channel=channel, cell=CELL, overrides=overrides)


async def started(desk: FrontDesk, request: StartRequest, *, key: str, by: str = "lin") -> RunView:
    found = await desk.check(request)
    assert found.plan_hash is not None, found.faults
    return await desk.start(request, plan_hash=found.plan_hash, key=key, by=by)


async def until(is_so: Callable[[], bool], *, within_s: float = 6 * 3600.0) -> None:
    """Wait, in virtual time, until something is so."""
    async with asyncio.timeout(within_s):
        while not is_so():  # noqa: ASYNC110 - what is looked at tells nobody
            await asyncio.sleep(1.0)


async def ended(house: BenchHouse, run_id: str) -> RunView:
    """Wait until a run is over."""
    tenancy = house.runs.of(run_id)
    assert tenancy is not None
    await tenancy.over_with()
    return tenancy.view()


def plant_of(house: BenchHouse) -> Plant:
    side = house.far_side
    assert isinstance(side, SimulatedSide)
    plant = side.bench.scene.plant
    plant.advance(asyncio.get_running_loop().time())
    return plant


async def in_step(house: BenchHouse, run_id: str, name: str) -> None:
    def is_there() -> bool:
        tenancy = house.runs.of(run_id)
        assert tenancy is not None
        assert not tenancy.over, tenancy.view()
        step = tenancy.step_view()
        return step is not None and step.name == name

    await until(is_there)
