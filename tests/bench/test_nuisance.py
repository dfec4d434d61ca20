"""Whether the guard lets a healthy test alone: no trip and no alarm in charge, plateau, soak and rest.

The real guard with the limits and rules of the demonstration bench hears what real instruments would show of a cell's
physics: EA's 10 mV and 10 mA, ICP DAS's 1 mV and 0.1 K, ESPEC's 0.1 K, each with its noise. Silence is left out: it has
no noise. A part of the 1 000 virtual hours here, all of them under CELLBENCH_ALL.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import pytest

import sequences
from bench.config import load_bench, load_cell
from bench.energy import Energy
from bench.guard import Guard
from bench.plan import Plan, bind
from bench.shipped import examples
from bench.stream import Stream
from drivers import Reading
from sequences.language import Phase
from simulators.plant.cell import Cell
from simulators.plant.presets import PRESETS
from tests.bench.benchtop import Events, in_virtual_time

pytestmark = pytest.mark.scenario

CELLS = ("nmc-21700", "lfp-block", "solid-state-gen1", "nmc-25ah")
ALL = bool(os.environ.get("CELLBENCH_ALL"))
HOURS = 1000.0 if ALL else 48.0
SEED = os.environ.get("CELLBENCH_SEED", "1")
#: One standard deviation, before rounding: as the simulated instruments have it, and a little more.
NOISE_V, NOISE_A, NOISE_CELL_V, NOISE_K, NOISE_AIR_K = 0.004, 0.02, 0.0008, 0.06, 0.05
LEADS_OHM = 2e-4


@dataclass
class Bench:
    """One cell in the chamber, seen through its instruments, and the guard that listens."""

    plan: Plan
    cell: Cell
    draw: Random
    stream: Stream
    energy: Energy
    guard: Guard
    now_s: float = 0.0
    air_c: float = 25.0
    readings: int = 0
    connected: bool = False
    surfaces_k: tuple[float, ...] = (0.0, 0.15, -0.1)

    def hold(self) -> None:
        channel = self.plan.channel
        without = () if self.connected else (channel.voltage, channel.current)
        place, phase = channel.place, Phase.CONDITIONING
        self.guard.hold_to(self.plan.limits_in(place, phase), without=without, rules=self.plan.rules_in(place, phase))

    def second(self, current_a: float) -> None:
        """One second of the cell at this current, and what is read of it."""
        cell, channel, gauss = self.cell, self.plan.channel, self.draw.gauss
        before_v = cell.voltage_v
        cell.prepare(1.0)
        cell.commit(current_a, before_v, cell.voltage(current_a), self.air_c)
        self.now_s += 1.0
        now_s, volts = self.now_s, cell.voltage_v + LEADS_OHM * current_a
        shown_v = volts if self.connected else 0.0
        self.say(now_s, (channel.voltage, gauss(shown_v, NOISE_V), 2), (channel.current, gauss(current_a, NOISE_A), 2))
        warm = cell.temperature_c
        surface = tuple(
            (name, gauss(warm + off, NOISE_K), 1) for name, off in zip(channel.surface, self.surfaces_k, strict=True)
        )
        empty = tuple((f"th1.ai{at}.temperature_c", gauss(23.0, NOISE_K), 1) for at in (4, 5, 6))
        self.say(now_s + 0.1, *surface, (channel.ambient or "", gauss(self.air_c, NOISE_K), 1), *empty)
        self.say(now_s + 0.2, *((name, 1.0, 0) for name in channel.interlocks.values()))
        if int(now_s) % 5 == 0:
            self.say(now_s + 0.3, (channel.cell_voltage, gauss(cell.voltage_v, NOISE_CELL_V), 3))
            self.say(now_s + 0.4, (channel.chamber_air or "", gauss(self.air_c, NOISE_AIR_K), 1))

    def say(self, mono_s: float, *shown: tuple[str, float, int]) -> None:
        self.readings += len(shown)
        self.stream.publish(tuple(Reading(name, round(value, digits), mono_s, mono_s) for name, value, digits in shown))

    def soak(self, target_c: float, seconds: int) -> None:
        """The chamber goes to a temperature by 1 K a minute and stays there."""
        self.energy.begin("ch1 to it")
        for _ in range(seconds):
            step_k = max(-1 / 60, min(1 / 60, target_c - self.air_c))
            self.air_c += step_k
            if step_k == 0.0:
                self.energy.end("ch1 to it")
            self.second(0.0)
        self.energy.end("ch1 to it")

    def rest(self, seconds: int) -> None:
        for _ in range(seconds):
            self.second(0.0)

    def run(self, current_a: float, limit_v: float, end_a: float) -> None:
        """Constant current to a voltage, then that voltage until the current has fallen to ``end_a``."""
        self.energy.begin("psb output")
        upwards = 1.0 if current_a > 0 else -1.0
        present_a = current_a
        while abs(present_a) > end_a:
            self.cell.prepare(1.0)
            present_a = current_a
            for _ in range(8):  # the current that ends the second at the limit
                beyond_v = self.cell.voltage(present_a) - limit_v
                if upwards * beyond_v <= 0.0 and present_a == current_a:
                    break
                present_a -= beyond_v / self.cell.slope_ohm
                present_a = upwards * min(abs(current_a), max(0.0, upwards * present_a))
            self.second(present_a)
        self.energy.end("psb output")


def bench_of(name: str) -> tuple[Bench, Events]:
    """The demonstration bench with one cell of the examples, its guard armed; and what the guard puts on the log."""
    plan = bind(
        sequences.load("gbt31486-2024/room-capacity"),
        load_bench(examples() / "benches" / "demo.toml"),
        load_cell(examples() / "cells" / f"{name}.toml"),
        mode="simulated",
    )
    stream, energy, events = Stream(plan.spans), Energy(), Events()
    guard = Guard(
        channels={},
        period_s=lambda _: 1.0,
        lost=lambda _: None,
        stream=stream,
        energy=energy,
        event=events.event,
        take_energy_away=lambda _, **__: None,
    )
    cell = Cell(PRESETS[name], mass_kg=plan.cell.mass_kg, soc=0.3, temperature_c=25.0)
    bench = Bench(plan, cell, Random(f"nuisance/{SEED}/{name}"), stream, energy, guard)
    bench.hold()
    return bench, events


def cycles(bench: Bench) -> Iterator[None]:
    """Soak, charge, rest, discharge, rest, at the cell's own values: for ever."""
    charge = bench.plan.cell.charge
    low_v, rated_ah = bench.plan.cell.operating.voltage.low_v, bench.plan.cell.rated_capacity_ah
    at = 0
    while True:
        bench.soak((25.0, 40.0, 25.0, 5.0)[at % 4], 5400)
        bench.connected = True
        bench.hold()
        yield
        bench.run(charge.current_a, charge.voltage_v, charge.end_current_a)
        yield
        bench.rest(3600)
        yield
        bench.run(-rated_ah / (3.0 if at % 2 else 1.0), low_v, rated_ah / (3.01 if at % 2 else 1.01))
        yield
        bench.rest(1800)
        bench.connected = False
        bench.hold()
        at += 1
        yield


@pytest.mark.fault("H17", "F33", "F32", "F34", "F35")
@pytest.mark.parametrize("name", CELLS)
def test_a_healthy_test_is_let_alone(name: str) -> None:
    hours = HOURS / len(CELLS)

    async def scene() -> None:
        bench, events = bench_of(name)
        part = cycles(bench)
        while bench.now_s < hours * 3600.0 and not events.all:
            next(part)
        done_h = bench.now_s / 3600.0
        told = [(kind, fields.get("rule"), fields.get("channel")) for kind, fields in events.all]
        print(
            f"{name}, seed {SEED}: {len(told)} false trips and alarms in {done_h:.1f} of "
            f"{1000.0 / len(CELLS):.0f} virtual hours, n = {bench.readings} readings"
        )
        assert told == []
        assert done_h >= hours
        assert bench.guard.cause is None

    in_virtual_time(scene())


def test_the_same_bench_does_trip_when_something_is_wrong() -> None:
    """The other side of the budget: a guard that never speaks would pass it, too."""

    async def scene() -> None:
        bench, _ = bench_of("nmc-21700")
        bench.connected = True
        bench.hold()
        bench.run(5.0 / 3.0, 4.33, 0.25)  # 60 mV of margin and 70 mV too much
        assert bench.guard.cause is not None
        assert bench.guard.cause.rule in ("sample.voltage", "sample.cell_voltage")

    in_virtual_time(scene())
