"""The one place where the product meets the simulators: a bench file becomes a simulated bench on one plant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bench.config import BenchFile, CellFile
from bench.config.profiles import ProfileText, named_profile, profile_text
from bench.hands import lent_hands
from bench.notebook import TruthTotals
from drivers.clock import Clock
from drivers.errors import ConfigError, Fault
from drivers.wires import Flight
from drivers.wires.url import parse_url
from simulators.aims import slips
from simulators.fault_table import TABLE as FAULTS
from simulators.fault_table import FaultKind
from simulators.models import model_names, simulator_model
from simulators.plant.presets import PRESETS
from simulators.scene import Scene
from simulators.spec import CellSpec, ChannelSpec, DeviceSpec, PlaceSpec, SceneSpec, Signal, SignalKind
from simulators.spec import Flight as ServerFlight
from simulators.strikes import Host, Strike, Strikes
from simulators.turns import Turns
from simulators.virtual_time import run_virtual, virtual_loop

T = TypeVar("T")

_INTERLOCKS: Mapping[str, SignalKind] = {
    "door_closed": "door_closed",
    "door_locked": "door_locked",
    "estop_released": "estop_released",
    "exhaust_flow": "exhaust_flow",
    "smoke_clear": "smoke",
    "flame_clear": "flame",
    "gas_clear": "gas",
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


def _gain_error(cell: CellFile) -> float:
    return 0.0 if cell.simulation is None else cell.simulation.current_gain_error


def scene_spec(bench: BenchFile, cell: CellFile, *, channel: str, mass_kg: float, seed: int) -> SceneSpec:
    """A simulator of the same model behind every device, wired as the bench file says, the cell in ``channel``."""
    return _scene(bench, {channel: cell_spec(cell, mass_kg)}, gain_error=_gain_error(cell), seed=seed)


def empty_scene_spec(bench: BenchFile, *, seed: int) -> SceneSpec:
    """As :func:`scene_spec`, without a cell: :meth:`SceneHands.insert` puts one into a channel. Raises ConfigError."""
    return _scene(bench, {}, gain_error=0.0, seed=seed)


def _scene(bench: BenchFile, cells: Mapping[str, CellSpec | None], *, gain_error: float, seed: int) -> SceneSpec:
    wiring = _wiring(bench)
    chambers = {_device(place.chamber): name for name, place in bench.places.items() if place.chamber}
    rigs = {_device(place.rig): name for name, place in bench.places.items() if place.rig}
    feeds = {_device(entry.cycler): name for name, entry in bench.channels.items()}
    profiles = {name: profile_text(bench, name) for name in bench.devices}
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
            place=chambers.get(name, rigs.get(name)),
            channel=feeds.get(name),
            current_gain_error=gain_error,
            mains_hz=bench.mains_hz,
            profile=None if profile is None else profile.text,
            profile_where="" if profile is None else profile.where,
        )
        for name, entry in bench.devices.items()
        for profile in (profiles[name],)
    )
    places = tuple(
        PlaceSpec(
            name,
            chamber=_device(place.chamber) if place.chamber else None,
            rig=_device(place.rig) if place.rig else None,
        )
        for name, place in bench.places.items()
    )
    channels = tuple(
        ChannelSpec(
            name,
            entry.place,
            cells.get(name),
            reaches=tuple(entry.reaches),
        )
        for name, entry in bench.channels.items()
    )
    return SceneSpec(devices, places, channels, seed)


def _device(reference: str) -> str:
    return reference.partition(".")[0]


def _wiring(bench: BenchFile) -> dict[str, dict[str, Signal]]:
    """Device to point to what is wired to it. A tool is no signal: the rig's place says where it presses."""
    wiring: dict[str, dict[str, Signal]] = {}

    def wire(reference: str | None, kind: SignalKind, of: str, *, at: str = "", index: int = 0) -> None:
        if reference is not None:
            device, _, point = reference.partition(".")
            wiring.setdefault(device, {})[point] = Signal(kind, of, at, index)

    for name, place in bench.places.items():
        wire(place.ambient, "air", name)
        wire(place.exhaust, "exhaust", name)
        wire(place.heater, "heater", name)
        wire(place.pressure, "pressure", name)
        for index, reference in enumerate(place.surface):
            wire(reference, "surface", name, index=index)
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
        for at, reach in entry.reaches.items():
            wire(reach.cell_voltage, "cell_voltage", name, at=at)
            wire(reach.contactor, "contactor", name, at=at)
            wire(reach.contactor_feedback, "feedback", name, at=at)
            wire(reach.short_contactor, "short", name, at=at)
            wire(reach.short_contactor_feedback, "short_feedback", name, at=at)
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

    def seen(self, channel: str) -> Mapping[str, bool]:
        plant = self.scene.plant
        plant.advance(asyncio.get_running_loop().time())
        return plant.seen(channel)


@dataclass(frozen=True, slots=True)
class SceneHands:
    """Carries a simulated cell from place to place, and puts another one in, at once."""

    scene: Scene

    def insert(self, channel: str, cell: CellFile, *, mass_kg: float, seed: int) -> None:
        """Put a new cell of this type into a channel's own clamps; the channel's cycler reads the current as wrong as
        the cell's file says. Raises ConfigError, and ValueError while a contactor of the channel is closed."""
        plant = self.scene.plant
        plant.advance(asyncio.get_running_loop().time())
        plant.insert(channel, cell_spec(cell, mass_kg), seed=seed)
        self.scene.misread_current(channel, _gain_error(cell))

    async def carry(self, channel: str, place: str) -> None:
        """Put the cell of a channel into another place that its leads reach. Raises ValueError for any other."""
        plant = self.scene.plant
        plant.advance(asyncio.get_running_loop().time())
        plant.carry(channel, place)


@dataclass(frozen=True, slots=True)
class SimulatedBench:
    """A scene that is up: where its devices listen, and what the product needs to run against it."""

    scene: Scene
    urls: Mapping[str, str]
    flight: Flight
    clock: Clock
    truth: SceneTruth
    hands: SceneHands
    forced_jumps: Callable[[], int]
    step_clock: Callable[[float], None]


@asynccontextmanager
async def virtual_bench(spec: SceneSpec, *, start_utc_s: float) -> AsyncIterator[SimulatedBench]:
    """A simulated bench in the running virtual loop; its wall clock starts at ``start_utc_s`` and moves with it."""
    loop = virtual_loop()
    counted = loop.flight
    scene = Scene(spec, flight=ServerFlight(counted.left, counted.arrived))
    begun_s = loop.time()
    stepped_s = [0.0]
    urls = await scene.start()

    def step_clock(by_s: float) -> None:
        stepped_s[0] += by_s

    try:
        yield SimulatedBench(
            scene=scene,
            urls=urls,
            flight=Flight(counted.left, counted.arrived),
            clock=Clock(loop.time, lambda: start_utc_s + loop.time() - begun_s + stepped_s[0]),
            truth=SceneTruth(scene),
            hands=SceneHands(scene),
            forced_jumps=lambda: len(loop.forced_jumps),
            step_clock=step_clock,
        )
    finally:
        await scene.close()


def strike_slip(strike: Strike, spec: SceneSpec) -> str | None:
    """What is wrong with where a fault is aimed, on this bench; None if nothing is."""
    target = FAULTS[strike.fault].target
    known = {"place": [place.name for place in spec.places], "channel": [it.name for it in spec.channels], "": [""]}
    name = strike.where.partition(".")[0] if target == "channel" else strike.where
    if target in known and name not in known[target]:
        what = f"it strikes no {strike.where}; leave `where` out" if target == "" else f"no {target} {strike.where!r}"
        return f"{strike.fault}: {what}; there are: {', '.join(known[target]) or 'none'}"
    if strike.fault.startswith("chamber_"):
        conditioned = [place.name for place in spec.places if place.chamber is not None]
        if name not in conditioned:
            return f"{strike.fault}: {name} has no chamber; these have: {', '.join(conditioned) or 'none'}"
    return slips(strike, spec.devices)


@dataclass(frozen=True, slots=True)
class StandingBench:
    """A bench that stands for other processes: the url of each device, and of the hands that carry its sample."""

    urls: Mapping[str, str]
    hands: str


@asynccontextmanager
async def standing_scene(spec: SceneSpec) -> AsyncIterator[StandingBench]:
    """The same bench in real time, for other processes."""
    scene = Scene(spec)
    urls = await scene.start()
    try:
        async with lent_hands(SceneHands(scene)) as hands:
            yield StandingBench(urls, hands)
    finally:
        await scene.close()


#: What a lone simulated device is rated at, described by and wired to.
_LONE_RATING: Mapping[str, Mapping[str, float]] = {
    "ea-psb10000": {"voltage_v": 60.0, "current_a": 170.0, "power_w": 5000.0},
    "espec-p300": {"high_c": 150.0, "low_c": -40.0},
    "penetration-rig": {"stroke_mm": 300.0, "speed_mm_s": 50.0, "force_n": 150e3},
}
_LONE_PROFILE: Mapping[str, str] = {"penetration-rig": "reference", "modbus-points": "rig1-points"}
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
    "modbus-points": {
        "sample": Signal("contactor", "1"),
        "sample_closed": Signal("feedback", "1"),
        "short": Signal("short", "1"),
        "short_closed": Signal("short_feedback", "1"),
        **{name: Signal(kind, "place") for name, kind in _INTERLOCKS.items()},
        "exhaust": Signal("exhaust", "place"),
        "heater": Signal("heater", "place"),
        "pressure": Signal("pressure", "place"),
    },
    "penetration-rig": {name: Signal(kind, "place") for name, kind in _INTERLOCKS.items()},
}
#: These leave the sample's contactor open: they drive it themselves, or want it open.
_LONE_OPEN = frozenset({"icpdas-m-7002", "modbus-points", "penetration-rig"})


def lone_spec(model: str, listen: str, cell: CellFile, *, seed: int, profile: str | None = None) -> SceneSpec:
    """One device with a cell, a place and a contactor of its own. ``profile`` is a name that comes with Cellbench or
    a path, for a model whose registers a profile describes. Raises ConfigError for an unknown model or profile."""
    if model not in model_names():
        raise ConfigError(
            [Fault(f"no simulator of model {model!r}", "command line", f"use one of {', '.join(model_names())}")]
        )
    schemes = simulator_model(model).schemes
    kinds = ("serial", "modbus-rtu") if listen.startswith("pty:") else ("tcp", "serial", "modbus-tcp", "modbus-rtu")
    scheme = next((kind for kind in kinds if kind in schemes), schemes[0])
    chamber = model if model == "espec-p300" else None
    rig = model if model == "penetration-rig" else None
    text = _lone_profile(model, profile)
    device = DeviceSpec(
        name=model,
        model=model,
        scheme=scheme,
        line=model,
        rating=_LONE_RATING.get(model, {}),
        points=_LONE_POINTS.get(model, {}),
        place="place",
        channel="1",
        current_gain_error=_gain_error(cell),
        profile=None if text is None else text.text,
        profile_where="" if text is None else text.where,
    )
    channel = ChannelSpec("1", "place", cell_spec(cell, cell.mass_kg))
    return SceneSpec((device,), (PlaceSpec("place", chamber, rig=rig),), (channel,), seed)


def _lone_profile(model: str, profile: str | None) -> ProfileText | None:
    if profile is not None and model not in _LONE_PROFILE:
        fix = f"leave it out; {' and '.join(_LONE_PROFILE)} have one"
        raise ConfigError([Fault(f"{model} has no register profile", "--profile", fix)])
    name = profile or _LONE_PROFILE.get(model)
    return None if name is None else named_profile(name, Path(), "--profile")


@asynccontextmanager
async def lone_device(
    model: str, listen: str, cell: CellFile, *, seed: int, profile: str | None = None
) -> AsyncIterator[str]:
    """One simulated device in real time at ``listen`` (``tcp://host:port`` or ``pty:PATH``); gives its url.

    The contactor is closed unless the device is the one that drives it. Raises ConfigError for an address that
    cannot be listened on.
    """
    spec = lone_spec(model, listen, cell, seed=seed, profile=profile)
    scene = Scene(spec, listen={model: listen})
    try:
        urls = await scene.start()
    except (OSError, ValueError) as error:
        await scene.close()
        fix = "write tcp://127.0.0.1:5025 or pty:/tmp/device, free and writable"
        raise ConfigError([Fault(f"cannot listen on {listen}: {error}", "--listen", fix)]) from None
    try:
        scene.plant.contactor("1", closed=model not in _LONE_OPEN)
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
    "FAULTS",
    "FaultKind",
    "Host",
    "SceneHands",
    "SceneSpec",
    "SceneTruth",
    "SimulatedBench",
    "StandingBench",
    "Strike",
    "Strikes",
    "Turns",
    "cell_spec",
    "clock_held",
    "empty_scene_spec",
    "in_virtual_time",
    "lone_device",
    "lone_spec",
    "scene_spec",
    "standing_scene",
    "strike_slip",
    "virtual_bench",
]
