"""Carries a fault script out on a scene: each strike when its time comes, each heal when its time is over.

What the faults are stands in ``simulators/fault_table.py``. Everything here acts on the simulated bench or, through
:class:`Host`, on the computer and the people beside it; nothing here knows the program under test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random

from simulators.aims import slips
from simulators.fault_table import TABLE, FaultKind
from simulators.faults import Fault
from simulators.personalities.icpdas import ENGINEERING, HEX
from simulators.plant.chamber import HEATING_K_S
from simulators.scene import Scene
from simulators.spec import DeviceSpec
from simulators.strikes_on_devices import CONTACTS, RIGS, WELL, WRONG, Heal, nothing_more
from simulators.strikes_on_wires import REPLIES
from simulators.turns import BENCH


@dataclass(frozen=True, slots=True)
class Strike:
    """One line of a script. When: ``at_s`` of the bench's time, or ``after_s`` from the beginning of the step
    ``step`` (its kind, its name or its path), or at the ``exchange``-th request that reaches any device. ``for_s`` None
    lasts to the end. ``params`` are in base units."""

    fault: str
    where: str = ""
    at_s: float | None = None
    step: str | None = None
    after_s: float = 0.0
    exchange: int | None = None
    for_s: float | None = None
    params: Mapping[str, float] = field(default_factory=dict)

    @property
    def kind(self) -> FaultKind:
        """The table's row. Raises KeyError."""
        return TABLE[self.fault]

    def number(self, name: str) -> float:
        """A parameter, or its default. Raises KeyError."""
        return self.params.get(name, self.kind.params[name].default)


def _unsupported(*_: object) -> None:
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Host:
    """What can happen to the program's computer and the people at it; who runs the program says how."""

    stop: Callable[[], object] = _unsupported
    cancel: Callable[[], object] = _unsupported
    freeze: Callable[[], object] = _unsupported
    thaw: Callable[[], object] = _unsupported
    kill: Callable[[], object] = _unsupported
    step_clock: Callable[[float], object] = _unsupported
    fill_disk: Callable[[], object] = _unsupported
    break_sync: Callable[[], object] = _unsupported

    def can(self, fault: str) -> bool:
        """Whether this fault can be struck here."""
        needed = _NEEDS.get(fault)
        return needed is None or getattr(self, needed) is not _unsupported


_NEEDS = {
    "person_stops": "stop",
    "cancelled": "cancel",
    "frozen": "freeze",
    "killed": "kill",
    "clock_steps": "step_clock",
    "disk_full": "fill_disk",
    "disk_fails": "break_sync",
}


@dataclass(frozen=True, slots=True)
class Struck:
    """What was done: a strike, and the loop's time of it."""

    strike: Strike
    at_s: float


class Strikes:
    """One script on one scene. ``arm`` before the first byte; tell it each ``step`` that begins; ``heal`` ends all.

    ``struck`` lists what was done. A strike that names a step or exchange that never comes is never done. Raises
    ValueError from ``arm`` for a strike that this scene cannot have (see :func:`simulators.aims.slips`).
    """

    def __init__(self, scene: Scene, strikes: Iterable[Strike], host: Host | None = None, *, seed: int = 1) -> None:
        self.struck: list[Struck] = []
        self.on_strike: Callable[[Strike], object] = lambda _: None
        self._scene = scene
        self._host = host or Host()
        self._strikes = tuple(strikes)
        self._seed = seed
        self._heals: dict[int, Heal] = {}
        self._timers: list[asyncio.TimerHandle] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._exchanges = 0
        self._over = False

    def arm(self) -> None:
        """From now on the strikes come at their times; the scene is up."""
        wrong = [slip for strike in self._strikes if (slip := slips(strike, self._scene.spec.devices)) is not None]
        wrong += [
            f"{it.fault} cannot be struck in this kind of run" for it in self._strikes if not self._host.can(it.fault)
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        for index, strike in enumerate(self._strikes):
            if strike.at_s is not None:
                self._after(strike.at_s, lambda index=index: self._strike(index))  # type: ignore[misc]
        if any(strike.exchange is not None for strike in self._strikes):
            for device in self._scene.spec.devices:
                self._scene.attached(device.name).on_request = self._exchange

    def step(self, *names: str) -> None:
        """A step began; ``names`` are its kind, name and path."""
        for index, strike in enumerate(self._strikes):
            if strike.step is not None and strike.step in names:
                self._after(strike.after_s, lambda index=index: self._strike(index))  # type: ignore[misc]

    def strike_now(self, strike: Strike) -> None:
        """Strike what is in no script."""
        self._strikes = (*self._strikes, strike)
        self._strike(len(self._strikes) - 1)

    async def heal(self) -> None:
        """No fault any more, and none to come. Idempotent."""
        self.stop()
        for index in list(self._heals):
            self._heal(index)
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def stop(self) -> None:
        """No more strikes; what was struck stays so."""
        self._over = True
        for timer in self._timers:
            timer.cancel()

    def _after(self, delay_s: float, act: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(max(delay_s, 0.0), act))

    def _exchange(self) -> None:
        self._exchanges += 1
        for index, strike in enumerate(self._strikes):
            if strike.exchange == self._exchanges:
                self._strike(index)

    def _strike(self, index: int) -> None:
        if self._over or index in self._heals:
            return
        strike = self._strikes[index]
        loop = asyncio.get_running_loop()
        self._scene.plant.advance(loop.time())
        self.struck.append(Struck(strike, loop.time()))
        self.on_strike(strike)
        self._heals[index] = self._do(strike)
        if strike.for_s is not None and strike.kind.lasting:
            self._after(strike.for_s, lambda: self._heal(index))

    def _heal(self, index: int) -> None:
        heal = self._heals.pop(index, None)
        if heal is None:
            return
        self._scene.plant.advance(asyncio.get_running_loop().time())
        going_on = heal()
        if going_on is not None:
            self._later(going_on)

    def _later(self, going_on: Awaitable[None]) -> None:
        async def run() -> None:
            await going_on

        task = asyncio.get_running_loop().create_task(run(), name=f"{BENCH}heal")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _do(self, strike: Strike) -> Heal:
        kind, name = strike.kind, strike.fault
        if name in REPLIES:
            return self._on_replies(strike)
        if kind.strikes == "wire":
            return self._on_wire(strike)
        if kind.strikes == "device":
            return self._on_point(strike) if kind.target == "point" else self._on_device(strike)
        if kind.strikes == "plant":
            return self._on_plant(strike)
        return self._on_host(strike)

    # Between a device and its wire

    def _on_replies(self, strike: Strike) -> Heal:
        """A change to replies: to the next so many, or (count 0) to all until it heals."""
        attached, spec = self._scene.attached(strike.where), self._spec(strike.where)
        faults = attached.personality.faults
        fault: Fault = REPLIES[strike.fault](strike.number, spec.scheme, attached.byte_s > 0.0)
        left = strike.number("count")
        if not left:
            faults.layers.append(fault)
            return lambda: _take(faults.layers, fault)

        def some(delay_s: float, frame: bytes) -> tuple[tuple[float, bytes], ...]:
            nonlocal left
            left -= 1
            if left <= 0:
                _take(faults.layers, some)
            return fault(delay_s, frame)

        faults.layers.append(some)
        return lambda: _take(faults.layers, some)

    def _on_wire(self, strike: Strike) -> Heal:
        scene, device = self._scene, strike.where
        attached = scene.attached(device)
        faults = attached.personality.faults
        if strike.fault == "request_lost":
            faults.deaf += int(strike.number("count")) or 1_000_000_000
            return lambda: setattr(faults, "deaf", 0)
        if strike.fault == "burst":
            until_s = asyncio.get_running_loop().time() + (strike.for_s or 1.0)

            def hold(delay_s: float, frame: bytes) -> tuple[tuple[float, bytes], ...]:
                return ((max(delay_s, until_s - asyncio.get_running_loop().time()), frame),)

            faults.layers.append(hold)
            return lambda: _take(faults.layers, hold)
        if strike.fault == "garbage":
            noise = Random(f"{self._seed}/{device}/garbage").randbytes(int(strike.number("bytes")))  # noqa: S311
            scene.shout(device, noise)
            return None
        if strike.fault == "half_open":
            attached.cut = True
            return lambda: setattr(attached, "cut", False)
        if strike.fault == "reset":

            def fall(_delay_s: float, _frame: bytes) -> tuple[tuple[float, bytes], ...]:
                _take(faults.layers, fall)
                asyncio.get_running_loop().call_soon(scene.reset, device)
                return ()

            faults.layers.append(fall)
            return lambda: _take(faults.layers, fall)
        if strike.fault == "flapping":
            return self._flap(device, strike.number("period"))
        scene.cut(device)
        return lambda: scene.restore(device)

    def _flap(self, device: str, period_s: float) -> Heal:
        over = off = False

        def turn() -> None:
            nonlocal off
            if over:
                return
            off = not off
            if off:
                self._scene.cut(device)
            else:
                self._later(self._scene.restore(device))
            self._after(period_s, turn)

        def end() -> Awaitable[None]:
            nonlocal over
            over = True
            return self._scene.restore(device)

        turn()
        return end

    # Devices and their sensors

    def _on_device(self, strike: Strike) -> Heal:
        name, scene = strike.fault, self._scene
        device = scene.personality(strike.where)
        if name in WRONG:
            how = WRONG[name](strike)
            device.go_wrong(**how)
            return lambda: nothing_more(device.go_wrong(**{key: WELL[key] for key in how}))
        if name == "stuck_meter":
            device.stuck = True
            return lambda: setattr(device, "stuck", False)
        if name == "restarts":
            device.restart()
            scene.cut(strike.where)
            self._after(strike.number("down"), lambda: self._later(scene.restore(strike.where)))
            return lambda: scene.restore(strike.where)
        if name == "taken_over":
            device.take_over()
            return lambda: setattr(device, "local", False)
        if name == "other_device":
            device.rename("9999999999")
            return lambda: nothing_more(device.rename(self._spec(strike.where).serial or "0000000000"))
        if name == "found_on":
            device.leave_on(strike.number("current"))
            return None
        if name == "scale_changes":
            held = device.module.format
            before_format = held.value
            held.value = HEX if before_format == ENGINEERING else ENGINEERING
            return lambda: setattr(held, "value", before_format)
        if name in RIGS:
            return RIGS[name](device)
        if hasattr(device, "trip"):
            device.trip()
            return None
        device.raise_alarm(1)
        return lambda: nothing_more(device.clear_alarms())

    def _on_point(self, strike: Strike) -> Heal:
        device_name, _, point = strike.where.partition(".")
        device, name = self._scene.personality(device_name), strike.fault
        if name == "sensor_open":
            device.force(point, float("inf"))
        elif name == "sensor_wild":
            device.force(point, strike.number("value"))
        elif name == "sensor_off":
            device.force(point, strike.number("shows"))
        elif name == "sensor_stuck":
            seen: list[float] = []

            def stuck(value: float) -> float:
                if not seen:
                    seen.append(value)
                return seen[0]

            device.distort(point, stuck)
        elif name == "sensor_noisy":
            gauss, sigma = Random(f"{self._seed}/{strike.where}/noise").gauss, strike.number("sigma")  # noqa: S311
            device.distort(point, lambda value: gauss(value, sigma))
        else:
            device.force(point, on=name == "input_lies_on")
        return lambda: nothing_more(device.mend(point))

    # The plant

    def _on_plant(self, strike: Strike) -> Heal:
        plant, where, name = self._scene.plant, strike.where, strike.fault
        if name in ("contactor_welded", "contactor_jammed"):
            channel, _, place = where.partition(".")
            plant.stick_contactor(channel, closed=name == "contactor_welded", at=place)
            return lambda: plant.stick_contactor(channel, closed=None, at=place)
        if name == "short_welded":
            channel, _, place = where.partition(".")
            plant.stick_short(channel, closed=True, at=place)
            return lambda: plant.stick_short(channel, closed=None, at=place)
        if name == "cell_heats":
            plant.heater(where, on=True)
            return lambda: plant.heater(where, on=False)
        if name in ("chamber_welded", "chamber_stalls"):
            chamber = plant.chamber(where)
            chamber.forced_k_s = HEATING_K_S if name == "chamber_welded" else 0.0
            return lambda: setattr(chamber, "forced_k_s", None)
        contact = CONTACTS[name]
        plant.set_input(where, contact, 0.0)
        return lambda: plant.set_input(where, contact, 1.0)

    # People and the computer

    def _on_host(self, strike: Strike) -> Heal:
        host, name = self._host, strike.fault
        if name == "person_stops":
            for _ in range(int(strike.number("times"))):
                host.stop()
        elif name == "cancelled":
            host.cancel()
        elif name == "killed":
            host.kill()
        elif name == "clock_steps":
            host.step_clock(strike.number("by"))
        elif name == "disk_full":
            host.fill_disk()
        elif name == "disk_fails":
            host.break_sync()
        else:
            host.freeze()
            return lambda: nothing_more(host.thaw())
        return None

    def _spec(self, device: str) -> DeviceSpec:
        return next(spec for spec in self._scene.spec.devices if spec.name == device)


def _take(layers: list[Fault], fault: Fault) -> None:
    if fault in layers:
        layers.remove(fault)
