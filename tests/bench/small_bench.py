"""A whole run on small devices: the demonstration bench and cell, bound for real, with fake instruments behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

import sequences
from bench import engine
from bench.answers import Answers, simulated_operator
from bench.config import load_bench, load_cell
from bench.guardian.link import Supervised
from bench.log import RunLog
from bench.observing import Observation
from bench.outcome import Outcome
from bench.plan import Plan, bind
from bench.recorder import RecordedChannels, Recorder
from bench.station import Station
from drivers import Clock
from tests.bench.benchtop import SmallChamber, SmallCycler, SmallInputs, SmallSwitches, World, in_virtual_time

ROOT = Path(__file__).parents[2]

HEAD = """
schema: cellbench/sequence/1
id: tests/small
title: {en: Small, zh: 小}
summary: {en: A small one, zh: 小}
log: {every: 10 s, current: 1 A}
"""

TAIL = """
results: {capacity_ah: result.capacity, energy_wh: result.energy, peak_temperature_c: watch.peak}
watch:
  - {name: peak, of: temperature, take: max}
criteria:
  - id: capacity
    kind: requirement
    title: {en: Capacity, zh: 容量}
    value: result.capacity
    at_least: 1 Ah
    source: {standard: tests, edition: '1', grade: ours}
  - id: log-interval
    kind: condition
    title: {en: Logging interval, zh: 记录间隔}
    value: run.longest_log_interval
    at_most: 10.5 s
    source: {standard: tests, edition: '1', grade: ours}
"""

ONE_CYCLE = """
steps:
  - chamber: {temperature: 25 degC}
  - soak: {temperature: 25 degC, tolerance: 2 K, duration: 30 s, timeout: 1 h}
  - charge: {mode: cc, voltage: 3.8 V, current: 1 I3, timeout: 5 h}
  - rest: {duration: 10 min}
  - discharge:
      mode: cc
      voltage: 3.3 V
      current: 1 I3
      timeout: 5 h
      results: {capacity: charge, energy: energy}
"""


class SmallStation(Station):
    """Fake instruments under the names of the demonstration bench, on no wire."""

    def __init__(self, plan: Plan, world: World) -> None:
        loop = asyncio.get_running_loop()
        self.plan = plan
        self.clock = Clock(mono_s=loop.time, utc_s=lambda: 1.8e9 + loop.time())
        self.cycler_device = SmallCycler("psb", world)
        self.switch_device = SmallSwitches("io1", world)
        self.chamber_device = SmallChamber("ch1", world)
        self.thermocouples = SmallInputs("th1", world)
        self.cell_voltage = SmallInputs("v1", world, cell_voltage=True)
        self.devices = {
            "psb": self.cycler_device,
            "io1": self.switch_device,
            "ch1": self.chamber_device,
            "th1": self.thermocouples,
            "v1": self.cell_voltage,
        }
        self.identities = {}
        self.wires = {}


@dataclass
class Scene:
    """What a test may reach into while the run goes on."""

    world: World
    station: SmallStation
    stop: asyncio.Event
    task: asyncio.Task[Outcome]
    log: RunLog
    seen: list[Observation]


@dataclass
class Ran:
    """A run that has ended, with its record."""

    outcome: Outcome
    world: World
    events: list[dict[str, Any]]
    seen: list[Observation] = field(default_factory=list)

    @property
    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.events]

    def data(self, kind: str) -> list[dict[str, Any]]:
        return [event["data"] for event in self.events if event["kind"] == kind]


def plan_of(steps: str, tail: str = TAIL) -> Plan:
    sequence = sequences.parse(HEAD + steps + tail, "small.yaml")
    bench = load_bench(ROOT / "examples/benches/demo.toml")
    cell = load_cell(ROOT / "examples/cells/solid-state-gen1.toml")
    return bind(sequence, bench, cell, mode="simulated")


def run_small(
    folder: Path,
    steps: str = ONE_CYCLE,
    *,
    tail: str = TAIL,
    world: World | None = None,
    answers: Answers | None = None,
    meanwhile: Callable[[Scene], Awaitable[None]] | None = None,
    truth: bool = True,
    link: Supervised | None = None,
) -> Ran:
    """Run ``steps`` to their end in virtual time, with ``meanwhile`` beside them."""
    plan, its_world = plan_of(steps, tail), world or World()

    async def scene() -> Ran:
        station = SmallStation(plan, its_world)
        log = RunLog.create(folder, station.clock, durable=False, header={"run_id": "r1", "mode": "simulated"})
        channel = plan.channel
        roles = RecordedChannels(channel.voltage, channel.current, channel.ambient, channel.surface)
        seen: list[Observation] = []
        stop = asyncio.Event()
        task = asyncio.create_task(
            engine.run(
                plan,
                station,
                log,
                Recorder(log, roles),
                answers=answers or simulated_operator(plan.simulated_entries),
                truth=its_world if truth else None,
                stop=stop,
                observer=seen.append,
                link=link,
            )
        )
        try:
            if meanwhile is not None:
                await meanwhile(Scene(its_world, station, stop, task, log, seen))
            outcome = await task
        finally:
            log.abandon() if log.failed else log.close()
        events = [orjson.loads(line) for line in (folder / "events.jsonl").read_bytes().splitlines()]
        return Ran(outcome, its_world, events, seen)

    return in_virtual_time(scene())


async def energised(scene: Scene) -> None:
    """Return as soon as current flows. Fails if the run ends before."""
    while abs(scene.world.current_a()) < 1.0:
        assert not scene.task.done(), "the run ended before anything was energised"
        await asyncio.sleep(0.25)
