"""Two channels whose leads are exchanged at the samples: each voltage looks right, and the current goes to another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench import record
from bench.answers import simulated_operator
from bench.results import RunResult
from bench.run import carry_out, far_end_of, prepare
from bench.shipped import examples
from bench.simulated import SceneSpec, in_virtual_time, scene_spec, virtual_bench
from simulators.spec import Signal
from tests.scenarios.runs import START_UTC_S, order

pytestmark = [pytest.mark.scenario, pytest.mark.fault("F36", "H5")]

SECOND = """
[devices.psb2]
model = "ea-psb10000"
url = "tcp://192.168.10.21:5025"
rating = { voltage = "60 V", current = "170 A", power = "5 kW" }
watchdog = "4 s"

[devices.io3]
model = "icpdas-m-7002"
url = "modbus-rtu:///dev/serial/by-id/usb-ICPDAS-io3?baud=9600"
unit = 1
watchdog = "4 s"

[places.position2]
kind = "position"
zone = "cell-b"
ambient = "th1.ai3"
surface = []

[places.position2.interlocks]
door_closed = "io3.di1"

[channels.2]
place = "position2"
cycler = "psb2.out"
cell_voltage = "v1.ai2"
contactor = "io3.do0"
contactor_feedback = "io3.di0"

[limits]
"""


def _bench(folder: Path, proof: str = "pulse") -> Path:
    text = (examples() / "benches" / "demo.toml").read_text()
    text = text.replace("[limits]\n", SECOND, 1).replace(
        "abuse = true\n", f'abuse = true\nwiring_proof = "{proof}"\n', 1
    )
    path = folder / "two.toml"
    path.write_text(text)
    return path


def _exchanged(spec: SceneSpec) -> SceneSpec:
    """The same type of cell sits in the second channel, and the first input shows that one's voltage."""
    cell = next(channel.cell for channel in spec.channels if channel.cell is not None)
    channels = tuple(replace(channel, cell=cell) for channel in spec.channels)
    devices = tuple(
        replace(device, points={**device.points, "ai0": Signal("cell_voltage", "2")}) if device.name == "v1" else device
        for device in spec.devices
    )
    return replace(spec, channels=channels, devices=devices)


def _as_drawn(spec: SceneSpec) -> SceneSpec:
    return spec


def _ran(folder: Path, wired: Callable[[SceneSpec], SceneSpec], *, proof: str = "pulse") -> RunResult:
    prepared = prepare(replace(order(folder, bench=_bench(folder, proof)), channel="1"), {})
    plan = prepared.plan
    spec = wired(scene_spec(plan.bench, plan.cell, channel="1", mass_kg=plan.cell.mass_kg, seed=1))

    async def main() -> RunResult:
        async with virtual_bench(spec, start_utc_s=START_UTC_S) as bench:
            return await carry_out(prepared, far_end_of(bench), simulated_operator({}))

    return in_virtual_time(main(), speed=None)


def test_leads_as_drawn_are_proven_by_a_pulse(tmp_path: Path) -> None:
    result = _ran(tmp_path, _as_drawn)
    assert result.verdict == "pass", result
    pulses = [event.data for event in record.load(Path(result.bundle)).events if event.kind == "wiring_pulse"]
    assert pulses
    assert pulses[-1]["moved_v"] >= pulses[-1]["wanted_v"] == pytest.approx(5 * 1e-3)


def test_exchanged_leads_are_refused_before_the_first_step(tmp_path: Path) -> None:
    result = _ran(tmp_path, _exchanged)
    assert (result.verdict, result.exit_code) == ("error", 4)
    assert "exchanged" in result.faults[0].fix
    kinds = [event.kind for event in record.load(Path(result.bundle)).events]
    assert "wiring_pulse" in kinds
    assert "step_started" not in kinds


def test_a_wiring_that_was_proven_by_hand_is_not_pulsed(tmp_path: Path) -> None:
    result = _ran(tmp_path, _as_drawn, proof="by hand")
    assert "wiring_pulse" not in [event.kind for event in record.load(Path(result.bundle)).events]
