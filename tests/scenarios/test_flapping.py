"""A link that comes and goes for an hour while a run goes on: one trip at most, and nothing energises by itself."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.answers import simulated_operator
from bench.latch import Latches
from bench.results import RunResult, VerifyStatus
from bench.run import carry_out, far_end_of, prepare
from bench.simulated import SimulatedBench, in_virtual_time, scene_spec, virtual_bench
from bench.verify import verify
from drivers import BenchHeld
from tests.scenarios.runs import START_UTC_S, order

pytestmark = pytest.mark.scenario

BEGINS_S = 120.0
LASTS_S = 3600.0
#: A limit's channel may be silent for three polls of 1 s.
TRIPS_FROM_S = 3.0


class Hour:
    """One hour of it, and what the plant and the cycler saw meanwhile: the oracle is not the controller."""

    def __init__(self, bench: SimulatedBench, device: str, period_s: float) -> None:
        self.bench = bench
        self.device = device
        self.period_s = period_s
        self.loop = asyncio.get_running_loop()
        self.currents: list[tuple[float, float]] = []
        self.switched_on_s: list[float] = []
        self.connected_s: list[float] = []
        cycler = bench.scene.personality("psb")
        answer = cycler.answer

        def overheard(request: bytes, now_s: float) -> Any:
            if request.startswith(b"OUTP ON"):
                self.switched_on_s.append(now_s)
            return answer(request, now_s)

        cycler.answer = overheard

    async def flap(self) -> None:
        await asyncio.sleep(BEGINS_S)
        scene = self.bench.scene
        until_s = self.loop.time() + LASTS_S
        while self.loop.time() < until_s:
            scene.cut(self.device)
            await self._watch()
            await scene.restore(self.device)
            await self._watch()

    async def _watch(self) -> None:
        until_s = self.loop.time() + self.period_s
        while self.loop.time() < until_s:
            await asyncio.sleep(0.5)
            plant = self.bench.scene.plant
            plant.advance(self.loop.time())
            self.currents.append((self.loop.time(), plant.terminal("1").current_a))


def events(bundle: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (bundle / "events.jsonl").read_text().splitlines()]


@pytest.mark.fault("F16", "F2", "T11", "T21")
@pytest.mark.parametrize("period_s", [1.0, 5.0])
@pytest.mark.parametrize("device", ["psb", "io1", "th1"])
def test_a_link_that_flaps_for_an_hour_trips_once_at_most(tmp_path: Path, device: str, period_s: float) -> None:
    """Shorter than A it may be ridden out; longer it trips once. Either way the second run needs a person."""
    prepared = prepare(order(tmp_path), {})

    async def main() -> tuple[Hour, RunResult]:
        plan = prepared.plan
        spec = scene_spec(plan.bench, plan.cell, channel=plan.channel.name, mass_kg=plan.cell.mass_kg, seed=1)
        async with virtual_bench(spec, start_utc_s=START_UTC_S) as bench:
            hour = Hour(bench, device, period_s)
            flapping = asyncio.create_task(hour.flap())
            far_end = replace(far_end_of(bench), truth=None)  # a bench that does not go with the run: it is latched
            result = await carry_out(prepared, far_end, simulated_operator({}))
            await flapping
            return hour, result

    hour, result = in_virtual_time(main(), speed=None)
    bundle = Path(result.bundle)
    told = events(bundle)
    trips = [event for event in told if event["kind"] == "trip"]
    ours = [event for event in told if event["kind"] == "output_on"]
    assert len(trips) <= 1
    assert len(hour.switched_on_s) <= len(ours), "the cycler was switched on more often than the run meant to"
    assert verify(bundle).status is VerifyStatus.INTACT
    if period_s >= TRIPS_FROM_S:
        assert result.exit_code != 0
    if result.exit_code:
        with pytest.raises(BenchHeld):  # the next run has to wait for a person
            Latches(prepared.data.path).refuse("demo")
        # What is over after the first disturbance stays over: from then on no current in truth.
        ended_s = next(at_s for at_s, amperes in hour.currents if amperes == 0.0)
        assert all(amperes == 0.0 for at_s, amperes in hour.currents if at_s >= ended_s)
        assert ended_s <= BEGINS_S + LASTS_S / 2
    assert hour.currents[-1][1] == 0.0
    assert not hour.bench.scene.plant.terminal("1").closed
