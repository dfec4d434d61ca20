"""With every other device hung, a stop has reached the device that it is for within 0.75 s: told by the plant.

The devices hang as hung ones do: they take what is sent and say nothing. Each is polled meanwhile, so that the stop
meets exchanges under way. In virtual time, at many phases between the polls and the stop.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from bench.energy import Energy
from bench.run import prepare
from bench.safe_state import SafeState
from bench.shipped import examples
from bench.simulated import SimulatedBench, in_virtual_time, scene_spec, virtual_bench
from bench.station import Station
from drivers import DeviceError
from drivers.capabilities import Device, Setpoints, Stroke, Switches
from simulators.faults import Frames
from tests.bench.benchtop import cancel
from tests.scenarios.runs import START_UTC_S, order

#: From the beginning of the safe state to the device's doing, which comes after the frame that asks for it.
ON_THE_WIRE_S = 0.75
#: How often the plant is looked at.
LOOK_S = 0.001


def silent(_delay_s: float, _frame: bytes) -> Frames:
    return ()


async def polled(device: Device) -> None:
    """As a poller does, without a pause: the wire is never idle."""
    while True:
        with suppress(DeviceError):
            await device.read()
        await asyncio.sleep(0.001)


def on_one_line(folder: Path) -> Path:
    """The demonstration bench with the contactor's module on the line of two other modules."""
    text = (examples() / "benches" / "demo.toml").read_text()
    alone = 'usb-ICPDAS-io1?baud=9600"\nunit = 1'
    assert alone in text
    path = folder / "one-line.toml"
    path.write_text(text.replace(alone, 'usb-ICPDAS-line2?baud=9600"\nunit = 3'))
    return path


def took_s(folder: Path, target: str, phase_s: float, *, shared: bool = False) -> float:
    """How long after the safe state began the target was off in truth."""
    bench_file = on_one_line(folder) if shared else None
    plan = prepare(order(folder, sequence="gb38031-2025/needle-trigger", cell="nmc-25ah", bench=bench_file), {}).plan

    async def scene() -> float:
        loop = asyncio.get_running_loop()
        spec = scene_spec(plan.bench, plan.cell, channel="1", mass_kg=plan.cell.mass_kg, seed=1)
        async with (
            virtual_bench(spec, start_utc_s=START_UTC_S) as bench,
            Station(plan, bench.clock, urls=bench.urls, flight=bench.flight, simulated=True) as station,
        ):
            await (moving if target == "rig" else energised)(bench, station)
            for name in plan.devices:
                if name != target:
                    bench.scene.personality(name).faults.always = silent
            polls = [asyncio.create_task(polled(device)) for device in station.devices.values()]
            await asyncio.sleep(0.6 + phase_s)
            on = ON[target]
            assert on(bench), f"{target} is not on before the stop"
            begun_s = loop.time()
            safe = SafeState(
                tuple(station.devices.values()), feedbacks=plan.feedbacks, energy=Energy(), event=lambda *_, **__: None
            )
            making = safe.begin("a test")
            while on(bench):
                assert loop.time() - begun_s < 5.0, f"{target} is still on"
                await asyncio.sleep(LOOK_S)
            off_s = loop.time() - begun_s
            await making
            await cancel(*polls)
            return off_s

    return in_virtual_time(scene(), speed=None)


async def energised(bench: SimulatedBench, station: Station) -> None:
    """Current out of the cell, through a closed contactor."""
    cycler, io1 = station.cycler, station.devices["io1"]
    assert isinstance(io1, Switches)
    await io1.arm_watchdog(4.0)
    await io1.write("do0", on=True)
    await cycler.arm(station.plan.device_limits)
    await cycler.apply(Setpoints(3.0, 0.0, 5.0, 5000.0, 5000.0))
    await cycler.output(on=True)


async def moving(bench: SimulatedBench, station: Station) -> None:
    """A nail on its way to the cell."""
    rig, io2 = station.rig, station.devices["io2"]
    assert isinstance(io2, Switches)
    assert rig is not None
    await bench.hands.carry("1", "rig1")
    await io2.write("exhaust", on=True)
    await rig.exhaust(on=True)
    await rig.camera(on=True)
    await asyncio.sleep(5.0)
    await rig.prepare(Stroke("nail", 20.0, 25.0, 5.0, 5.0, 25.0, 20.0, 5000.0, 2.0))
    await rig.arm()
    await rig.start()


def _advanced(bench: SimulatedBench) -> SimulatedBench:
    bench.scene.plant.advance(asyncio.get_running_loop().time())
    return bench


ON: dict[str, Callable[[SimulatedBench], bool]] = {
    "psb": lambda bench: _advanced(bench).scene.plant.terminal("1").setting.on,
    "rig": lambda bench: _advanced(bench).scene.personality("rig").plc.state.name == "APPROACH",
    "io1": lambda bench: _advanced(bench).scene.plant.terminal("1").closed,
}


@pytest.mark.fault("F25")
@pytest.mark.parametrize("target", list(ON))
@pytest.mark.parametrize("phase_s", [0.0, 0.1, 0.23, 0.37, 0.49])
def test_a_stop_reaches_its_device_while_every_other_one_hangs(tmp_path: Path, target: str, phase_s: float) -> None:
    assert took_s(tmp_path, target, phase_s) <= ON_THE_WIRE_S


@pytest.mark.fault("F25")
@pytest.mark.parametrize(
    "phase_s", [0.02 * n for n in range(60)] if os.environ.get("CELLBENCH_ALL") else [0.04, 0.2, 0.5]
)
def test_it_does_so_on_a_line_that_it_shares_with_the_hung_ones(tmp_path: Path, phase_s: float) -> None:
    # One exchange of 8 bytes each way at 9600 Bd lies between the frame and the plant: 17 ms.
    assert took_s(tmp_path, "io1", phase_s, shared=True) <= ON_THE_WIRE_S + 0.02
