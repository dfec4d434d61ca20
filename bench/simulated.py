"""The one place where the product meets the simulators: a bench file becomes a simulated bench on one plant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from bench.config import BenchFile, CellFile
from bench.notebook import TruthTotals
from drivers.clock import Clock
from drivers.errors import ConfigError, Fault
from drivers.wires import Flight
from drivers.wires.url import parse_url
from simulators.models import model_names, simulator_model
from simulators.plant.presets import PRESETS
from simulators.scene import Scene
from simulators.spec import CellSpec, ChannelSpec, DeviceSpec, PlaceSpec, SceneSpec, Signal, SignalKind
from simulators.spec import Flight as ServerFlight
from simulators.virtual_time import run_virtual, virtual_loop

T = TypeVar("T")

_INTERLOCKS: Mapping[str, SignalKind] = {
    "door_closed": "door_closed",
    "estop_released": "estop_released",
    "smoke_clear": "smoke",
    "flame_clear": "flame",
}


def cell_spec(cell: CellFile, mass_kg: float) -> CellSpec | None:
    """The cell's plant truth; None if its file says that there is no cell. Raises ConfigError."""
    simulation = cell.simulation
    if simulation is None:
        raise ConfigError(
            [
                Fault(
                    "the cell file has no [simulation] table", cell.where(), 'add [simulation] with preset = "nmc-25ah"'
                )
            ]
        )
    if simulation.preset not in PRESETS:
        where, fix = cell.where("simulation", "preset"), f"use one of {', '.join(sorted(PRESETS))}"
        raise ConfigError([Fault(f"unknown preset {simulation.preset!r}", where, fix)])
    if simulation.missing:
        return None
    size = cell.dimensions
    return CellSpec(
        preset=simulation.preset,
        mass_kg=mass_kg,
        thickness_mm=size.thickness_mm or size.diameter_mm or size.length_mm,
        capacity_factor=simulation.capacity_factor,
        short_resistance_ohm=simulation.short_resistance_ohm,
        ignites=simulation.ignites,
        start_soc=simulation.start_soc,
        reversed_=simulation.reversed,
    )


def scene_spec(bench: BenchFile, cell: CellFile, *, channel: str, mass_kg: float, seed: int) -> SceneSpec:
    """A simulator of the same model behind every device, wired as the bench file says, the cell in ``channel``."""
    wiring = _wiring(bench)
    gain_error = cell.simulation.current_gain_error if cell.simulation is not None else 0.0
    chambers = {place.chamber.partition(".")[0]: name for name, place in bench.places.items() if place.chamber}
    feeds = {entry.cycler.partition(".")[0]: name for name, entry in bench.channels.items()}
    devices = tuple(
        DeviceSpec(
            name=name,
            model=entry.model,
            scheme=parse_url(entry.url).scheme,
            line=parse_url(entry.url).key,
            unit=entry.unit,
            serial=entry.serial,
            rating=entry.rating,
            points=wiring.get(name, {}),
            place=chambers.get(name),
            channel=feeds.get(name),
            current_gain_error=gain_error,
            mains_hz=bench.mains_hz,
        )
        for name, entry in bench.devices.items()
    )
    places = tuple(
        PlaceSpec(name, place.chamber.partition(".")[0] if place.chamber else None)
        for name, place in bench.places.items()
    )
    channels = tuple(
        ChannelSpec(name, entry.place, cell_spec(cell, mass_kg) if name == channel else None)
        for name, entry in bench.channels.items()
    )
    return SceneSpec(devices, places, channels, seed)


def _wiring(bench: BenchFile) -> dict[str, dict[str, Signal]]:
    """Device to point to what is wired to it."""
    wiring: dict[str, dict[str, Signal]] = {}

    def wire(reference: str, kind: SignalKind, of: str) -> None:
        device, _, point = reference.partition(".")
        wiring.setdefault(device, {})[point] = Signal(kind, of)

    for name, place in bench.places.items():
        if place.ambient is not None:
            wire(place.ambient, "air", name)
        for reference in place.surface:
            wire(reference, "surface", name)
        for interlock, reference in place.interlocks.items():
            if interlock not in _INTERLOCKS:
                where = bench.where("places", name, "interlocks", interlock)
                fix = f"leave it out of a simulated bench; known: {', '.join(_INTERLOCKS)}"
                raise ConfigError([Fault(f"the simulators have no {interlock} detector", where, fix)])
            wire(reference, _INTERLOCKS[interlock], name)
    for name, entry in bench.channels.items():
        wire(entry.cell_voltage, "cell_voltage", name)
        wire(entry.contactor, "contactor", name)
        wire(entry.contactor_feedback, "feedback", name)
    return wiring


@dataclass(frozen=True, slots=True)
class SceneTruth:
    """The plant's book-keeping, brought up to now at each look."""

    scene: Scene

    def totals(self, channel: str) -> TruthTotals:
        plant = self.scene.plant
        plant.advance(asyncio.get_running_loop().time())
        totals = plant.totals(channel)
        return TruthTotals(
            totals.charged_ah, totals.discharged_ah, totals.charged_wh, totals.discharged_wh, totals.peak_surface_c
        )


@dataclass(frozen=True, slots=True)
class SimulatedBench:
    """A scene that is up: where its devices listen, and what the product needs to run against it."""

    scene: Scene
    urls: Mapping[str, str]
    flight: Flight
    clock: Clock
    truth: SceneTruth
    forced_jumps: Callable[[], int]


@asynccontextmanager
async def virtual_bench(spec: SceneSpec, *, start_utc_s: float) -> AsyncIterator[SimulatedBench]:
    """A simulated bench in the running virtual loop; its wall clock starts at ``start_utc_s`` and moves with it."""
    loop = virtual_loop()
    counted = loop.flight
    scene = Scene(spec, flight=ServerFlight(counted.left, counted.arrived))
    begun_s = loop.time()
    urls = await scene.start()
    try:
        yield SimulatedBench(
            scene=scene,
            urls=urls,
            flight=Flight(counted.left, counted.arrived),
            clock=Clock(loop.time, lambda: start_utc_s + loop.time() - begun_s),
            truth=SceneTruth(scene),
            forced_jumps=lambda: len(loop.forced_jumps),
        )
    finally:
        await scene.close()


@asynccontextmanager
async def standing_scene(spec: SceneSpec) -> AsyncIterator[Mapping[str, str]]:
    """The same bench in real time, for other processes. Gives the url of each device."""
    scene = Scene(spec)
    urls = await scene.start()
    try:
        yield urls
    finally:
        await scene.close()


#: What a lone simulated device is rated at and wired to.
_LONE_RATING: Mapping[str, Mapping[str, float]] = {
    "ea-psb10000": {"voltage_v": 60.0, "current_a": 170.0, "power_w": 5000.0},
    "espec-p300": {"high_c": 150.0, "low_c": -40.0},
}
_LONE_POINTS: Mapping[str, Mapping[str, Signal]] = {
    "icpdas-m-7018": {f"ai{at}": Signal("surface" if at < 3 else "air", "place") for at in range(8)},
    "icpdas-m-7017": {"ai0": Signal("cell_voltage", "1")},
    "icpdas-m-7002": {
        "do0": Signal("contactor", "1"),
        "di0": Signal("feedback", "1"),
        "di1": Signal("door_closed", "place"),
        "di2": Signal("estop_released", "place"),
        "di3": Signal("smoke", "place"),
        "di4": Signal("flame", "place"),
    },
}


def lone_spec(model: str, listen: str, cell: CellFile, *, seed: int) -> SceneSpec:
    """One device with a cell, a place and a contactor of its own. Raises ConfigError for an unknown model."""
    if model not in model_names():
        raise ConfigError(
            [Fault(f"no simulator of model {model!r}", "command line", f"use one of {', '.join(model_names())}")]
        )
    schemes = simulator_model(model).schemes
    kinds = ("serial", "modbus-rtu") if listen.startswith("pty:") else ("tcp", "serial", "modbus-tcp", "modbus-rtu")
    scheme = next((kind for kind in kinds if kind in schemes), schemes[0])
    chamber = model if model == "espec-p300" else None
    device = DeviceSpec(
        name=model,
        model=model,
        scheme=scheme,
        line=model,
        rating=_LONE_RATING.get(model, {}),
        points=_LONE_POINTS.get(model, {}),
        place="place",
        channel="1",
        current_gain_error=cell.simulation.current_gain_error if cell.simulation is not None else 0.0,
    )
    channel = ChannelSpec("1", "place", cell_spec(cell, cell.mass_kg))
    return SceneSpec((device,), (PlaceSpec("place", chamber),), (channel,), seed)


@asynccontextmanager
async def lone_device(model: str, listen: str, cell: CellFile, *, seed: int) -> AsyncIterator[str]:
    """One simulated device in real time at ``listen`` (``tcp://host:port`` or ``pty:PATH``); gives its url.

    The contactor is closed unless the device is the one that drives it. Raises ConfigError for an address that
    cannot be listened on.
    """
    spec = lone_spec(model, listen, cell, seed=seed)
    scene = Scene(spec, listen={model: listen})
    try:
        urls = await scene.start()
    except (OSError, ValueError) as error:
        await scene.close()
        fix = "write tcp://127.0.0.1:5025 or pty:/tmp/device, free and writable"
        raise ConfigError([Fault(f"cannot listen on {listen}: {error}", "--listen", fix)]) from None
    try:
        scene.plant.contactor("1", closed=model != "icpdas-m-7002")
        yield urls[model]
    finally:
        await scene.close()


def clock_held() -> AbstractContextManager[None]:
    """Stops the simulated bench's clock while a person thinks; the running loop must be a virtual one."""
    return virtual_loop().standing_still()


def in_virtual_time(main: Coroutine[Any, Any, T], *, speed: float | None) -> T:
    """Run to the end in virtual time; ``speed`` None is as fast as the machine can."""
    return run_virtual(main, speed=speed)


__all__ = [
    "SceneSpec",
    "SceneTruth",
    "SimulatedBench",
    "cell_spec",
    "clock_held",
    "in_virtual_time",
    "lone_device",
    "lone_spec",
    "scene_spec",
    "standing_scene",
    "virtual_bench",
]
