"""One brief run that is disturbed at a chosen exchange or a chosen await; the plant says what is left energised."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from bench import engine
from bench.answers import simulated_operator
from bench.log import RunLog
from bench.observing import Observer, nobody
from bench.outcome import Outcome
from bench.recorder import RecordedChannels, Recorder
from bench.run import Prepared, prepare
from bench.simulated import SimulatedBench, in_virtual_time, scene_spec, virtual_bench
from bench.station import Station
from drivers.wires import Flight
from tests.scenarios.runs import START_UTC_S, order

BRIEF = Path(__file__).parent / "brief.yaml"
#: How long the bench is watched after the run has ended: longer than every watchdog.
AFTER_S = 20.0


@dataclass
class Disturbed:
    """What a disturbance may act on, and what was found afterwards."""

    bench: SimulatedBench
    station: Station
    log: RunLog
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    run: asyncio.Task[Outcome] | None = None
    exchanges: int = 0
    awaits: int = 0
    outcome: Outcome | None = None
    cancelled: bool = False
    left_on: list[str] = field(default_factory=list)

    def cancel(self) -> None:
        assert self.run is not None
        self.run.cancel()


Act = Callable[[Disturbed], object]


@dataclass(frozen=True)
class Disturbance:
    """``act`` at the ``at_exchange``-th request that leaves, or before the ``at_await``-th turn of the walk.

    ``always``: at every later one too.
    """

    act: Act
    at_exchange: int = 0
    at_await: int = 0
    always: bool = False

    def due(self, chosen: int, number: int) -> bool:
        return bool(chosen) and (number == chosen or (self.always and number > chosen))


class _Counted(Coroutine[Any, Any, None]):
    """The walk's coroutine, each of whose turns is announced before it begins."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], turn: Callable[[], None]) -> None:
        self._coroutine, self._turn = coroutine, turn

    def send(self, value: Any) -> Any:
        self._turn()
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, None, None]:
        return self._coroutine.__await__()


def prepared_brief(folder: Path) -> Prepared:
    return prepare(order(folder, sequence=BRIEF), {})


def disturbed(
    prepared: Prepared, folder: Path, disturbance: Disturbance | None, *, observer: Observer = nobody
) -> Disturbed:
    """Run in virtual time, disturb, end; watch the bench for AFTER_S more. ``left_on`` names what is energised."""
    plan = prepared.plan
    numbers = _numbers(folder)

    async def main() -> Disturbed:
        loop = asyncio.get_running_loop()
        spec = scene_spec(plan.bench, plan.cell, channel=plan.channel.name, mass_kg=plan.cell.mass_kg, seed=1)
        async with virtual_bench(spec, start_utc_s=START_UTC_S) as bench:
            found: Disturbed | None = None

            def left(size: int) -> None:
                if found is not None and found.run is not None:
                    found.exchanges += 1
                    if disturbance is not None and disturbance.due(disturbance.at_exchange, found.exchanges):
                        disturbance.act(found)
                bench.flight.left(size)

            def turn() -> None:
                assert found is not None
                found.awaits += 1
                if disturbance is not None and disturbance.due(disturbance.at_await, found.awaits):
                    disturbance.act(found)

            def make(its_loop: asyncio.AbstractEventLoop, coroutine: Any, **how: Any) -> asyncio.Task[Any]:
                walk = getattr(coroutine, "__qualname__", "") == "_Run._work"
                return asyncio.Task(_Counted(coroutine, turn) if walk else coroutine, loop=its_loop, **how)

            loop.set_task_factory(make)
            flight = Flight(left, bench.flight.arrived)
            async with Station(plan, bench.clock, urls=bench.urls, flight=flight, simulated=True) as station:
                header = {"run_id": "1", "mode": "simulated"}
                log = RunLog.create(folder / f"run-{next(numbers)}", bench.clock, durable=False, header=header)
                found = Disturbed(bench, station, log)
                channel = plan.channel
                recorder = Recorder(log, RecordedChannels(channel.voltage, channel.current))
                answers = simulated_operator({})
                running = engine.run(
                    plan, station, log, recorder,
                    answers=answers, truth=bench.truth, stop=found.stop, observer=observer,
                )  # fmt: skip
                found.run = loop.create_task(running, name="the run")
                with suppress(asyncio.CancelledError):
                    found.outcome = await found.run
                found.cancelled = found.run.cancelled()
            log.abandon()
            found.left_on += [f"{what} when the run ended" for what in energised(bench)]
            moved_ah = _moved_ah(bench)
            await asyncio.sleep(AFTER_S)
            found.left_on += [f"{what} {AFTER_S:g} s later" for what in energised(bench)]
            if _moved_ah(bench) != moved_ah:
                found.left_on.append("charge flowed after the run")
            return found

    return in_virtual_time(main(), speed=None)


def energised(bench: SimulatedBench) -> list[str]:
    """What the plant has on: by its own truth, not by what any driver was told."""
    plant = bench.scene.plant
    plant.advance(asyncio.get_running_loop().time())
    terminal, chamber = plant.terminal("1"), plant.chamber("chamber1")
    found = []
    if terminal.setting.on:
        found.append("output on")
    if terminal.current_a != 0.0:
        found.append(f"{terminal.current_a:g} A")
    if terminal.closed:
        found.append("contactor closed")
    if chamber.running and chamber.setpoint_c > 25.0:
        found.append(f"chamber to {chamber.setpoint_c:g} degC")
    return found


def _moved_ah(bench: SimulatedBench) -> float:
    totals = bench.scene.plant.totals("1")
    return totals.charged_ah + totals.discharged_ah


def _numbers(folder: Path) -> Iterator[int]:
    return count(len(list(folder.glob("run-*"))) + 1)
