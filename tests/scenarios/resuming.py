"""One bench in virtual time that outlives its runs: a run dies on it, and another process takes it up again.

A run that dies leaves what stands on disk at that moment, and hardware that its watchdogs make safe. Here the folder is
copied at that moment; the run is then cancelled, which makes the bench safe as a guardian would, and the copy takes the
place of what it wrote afterwards.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from bench.answers import simulated_operator
from bench.cli.resume import order_of_run
from bench.observing import Message, Observation
from bench.results import RunResult
from bench.run import FarEnd, Order, carry_out, prepare
from bench.samples import Sample
from bench.shipped import examples
from bench.simulated import SimulatedBench, in_virtual_time, scene_spec, virtual_bench
from tests.scenarios.runs import SHORT, START_UTC_S

T = TypeVar("T")
BENCH = examples() / "benches" / "demo.toml"
#: Nobody is back sooner than this.
AWAY_S = 10.0
CELL = examples() / "cells" / "nmc-21700.toml"


@dataclass
class Standing:
    """The bench, its data folder, and what people were told."""

    bench: SimulatedBench
    folder: Path
    bench_file: Path
    cell: Path = CELL
    said: list[str] = field(default_factory=list)

    @property
    def far(self) -> FarEnd:
        bench = self.bench
        return FarEnd(bench.clock, bench.urls, bench.flight, simulated=False, hands=bench.hands)

    def order(self, sequence: Path) -> Order:
        return Order(
            sequence=str(sequence), bench=self.bench_file, cell=self.cell, simulate=False, sample="S-1", operator="Li",
            data=self.folder,
        )  # fmt: skip

    async def run(self, order: Order) -> RunResult:
        await asyncio.sleep(AWAY_S)
        answers = simulated_operator({})
        return await carry_out(prepare(order, {}), self.far, answers, self.hear)

    def hear(self, seen: Observation) -> None:
        if isinstance(seen, Message):
            self.said.append(seen.text)

    async def die(self, sequence: Path, when: Callable[[list[dict[str, Any]]], bool], *, after_s: float = 0.0) -> Path:
        """Run until ``when`` holds of the events on disk and ``after_s`` more have gone by; then the run dies there."""
        running = asyncio.get_running_loop().create_task(self.run(self.order(sequence)), name="the run")
        while not (self.bundles() and when(events(self.bundles()[-1]))):
            assert not running.done(), running.result()
            await asyncio.sleep(0.5)
        await asyncio.sleep(after_s)
        return await self._cut_off(running, self.bundles()[-1])

    async def die_again(self, bundle: Path, *, after_s: float) -> None:
        """Resume a run, and let it die once its output has been on for a while."""
        known = len(events(bundle))
        running = asyncio.get_running_loop().create_task(self.resume(bundle), name="the resumed run")
        while not any(it["kind"] == "output_on" for it in events(bundle)[known:]):
            assert not running.done(), running.result()
            await asyncio.sleep(0.5)
        await asyncio.sleep(after_s)
        await self._cut_off(running, bundle)

    async def _cut_off(self, running: asyncio.Task[RunResult], bundle: Path) -> Path:
        kept = bundle.with_name("kept")
        shutil.copytree(bundle, kept)
        shutil.copy(self.folder / "samples" / "S-1.json", self.folder / "sample-at-death.json")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        shutil.rmtree(bundle)
        kept.rename(bundle)
        return bundle

    async def resume(self, bundle: Path, *, scan: str | None = "S-1", auto: bool = False) -> RunResult:
        order = order_of_run(bundle, by="Wang", scan=scan, auto=auto, data=self.folder)
        return await self.run(order)

    def bundles(self) -> list[Path]:
        return sorted(path.parent for path in (self.folder / "runs").glob("*/events.jsonl"))

    def charge_unseen(self, part: float) -> None:
        """Somebody charges the sample with another charger, by this part of its capacity."""
        cell = self.bench.scene.plant.terminal("1").cell
        assert cell is not None
        cell.soc += part

    def moved_ah(self) -> tuple[float, float]:
        """Charged and discharged, in plant truth."""
        plant = self.bench.scene.plant
        plant.advance(asyncio.get_running_loop().time())
        totals = plant.totals("1")
        return totals.charged_ah, totals.discharged_ah


def on_standing(
    folder: Path, story: Callable[[Standing], Awaitable[T]], *, bench: Path = BENCH, cell: Path = CELL
) -> T:
    """Tell a story on one bench, in virtual time."""

    async def main() -> T:
        order = Order(sequence=str(SHORT), bench=bench, cell=cell, simulate=True, data=folder)
        plan = prepare(order, {}).plan
        spec = scene_spec(plan.bench, plan.cell, channel="1", mass_kg=plan.cell.mass_kg, seed=1)
        async with virtual_bench(spec, start_utc_s=START_UTC_S) as made:
            standing = Standing(made, folder, bench, cell)
            prepare(order, {}).data.samples.add(
                Sample(id="S-1", type=plan.cell.type, mass_kg=plan.cell.mass_kg, balance="B-3")
            )
            return await story(standing)

    return in_virtual_time(main(), speed=None)


def events(bundle: Path) -> list[dict[str, Any]]:
    found = []
    for line in (bundle / "events.jsonl").read_bytes().split(b"\n"):
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def in_step(kind: str, path: str) -> Callable[[list[dict[str, Any]]], bool]:
    """An event of this kind has come since the step at this path began."""

    def there(seen: list[dict[str, Any]]) -> bool:
        at = next((it["n"] for it in seen if it["kind"] == "step_started" and it["data"]["path"] == path), None)
        return at is not None and any(it["kind"] == kind and it["n"] >= at for it in seen)

    return there


def edited_sequence(folder: Path, more: str, *edits: tuple[str, str]) -> Path:
    """The short sequence with criteria added and texts replaced."""
    text = SHORT.read_text() + more
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    path = folder / "edited.yaml"
    path.write_text(text)
    return path
