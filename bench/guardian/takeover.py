"""What a guardian does when its child can no longer be trusted with a bench: isolate, end it, make safe, go on reading.

In this order: the contactor opens through the port that the guardian owns; the child is killed, which frees its ports
and the sockets of devices that take one client only; the devices are opened and the safe plan is carried out with its
read-backs. What is not confirmed is tried again every ``AGAIN_S``, until it is or a person ends it. A sample that a
stimulus has reached is watched until its observation is over. Everything goes into the guardian's own record.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.energy import Energy
from bench.guardian.journal import Journal
from bench.safe_plan import OwedObservation, SafeDevice, SafePlan
from bench.safe_state import SafeResult, SafeState
from drivers.capabilities import Closes, Device, DeviceSettings
from drivers.clock import Clock
from drivers.errors import DeviceError
from drivers.models import driver_model
from drivers.reading import Quality, Reading
from drivers.wires import Wire

#: The contactor's module may take so long before the child is ended all the same.
ISOLATE_S = 1.0
#: What is not confirmed safe is tried again at this pace.
AGAIN_S = 5.0
#: How often the devices are read after that; a device that is slower is read as often as it can be.
READ_S = 1.0
#: How long one device's wire may take to open, and one look at the device.
OPEN_S = 1.5
LOOK_S = 3.0
#: The rate of an observation's end is taken over this time.
RATE_WINDOW_S = 60.0


@dataclass
class Bench:
    """The devices of a safe plan on their wires. ``wire(url)`` makes or finds one; those of the contactors' modules
    are the guardian's own already."""

    plan: SafePlan
    clock: Clock
    wire: Callable[[str], Wire]
    devices: dict[str, Device] = field(default_factory=dict)
    _wires: dict[str, Wire] = field(default_factory=dict)
    _unread: set[str] = field(default_factory=set)

    def add(self, name: str) -> None:
        """Make a device's driver. Raises what the driver's making raises."""
        entry = next(device for device in self.plan.devices if device.name == name)
        self._wires[name] = self.wire(entry.url)
        self.devices[name] = _made(entry, self.plan, self._wires[name], self.clock)
        self._unread.add(name)

    async def opened(self, name: str) -> str | None:
        """Open a device's wire, once more if need be: why it cannot be, or None."""
        try:
            async with asyncio.timeout(OPEN_S):
                await self._wires[name].open()
        except TimeoutError:
            return f"its wire did not open within {OPEN_S:g} s"
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are opened all the same
            return _said(error)
        return None

    async def read(self, name: str) -> Sequence[Reading]:
        """One look; some devices are read only after they have said what they are. Raises whatever the driver does."""
        device = self.devices[name]
        async with asyncio.timeout(LOOK_S):
            if name in self._unread:
                await device.connect()
                self._unread.discard(name)
            return await device.read()

    async def close(self) -> None:
        for device in self.devices.values():
            if isinstance(device, Closes):
                await device.close()
        for wire in dict.fromkeys(self._wires.values()):
            await wire.close()


class TakeOver:
    """Once, for one bench. ``end_child`` kills the child and waits for it; ``ended`` is a person's word to stop
    watching; ``told`` speaks to whoever sits at the terminal."""

    def __init__(
        self,
        bench: Bench,
        journal: Journal,
        *,
        end_child: Callable[[], Awaitable[str]],
        ended: asyncio.Event,
        told: Callable[[str], None],
    ) -> None:
        self._bench, self._journal, self._told = bench, journal, told
        self._end_child, self._ended = end_child, ended
        self._energy = Energy()

    async def run(self, why: str, *, stimulated: bool) -> bool:
        """Make the bench safe and stay until nothing more is owed. True if everything was confirmed in the end."""
        plan = self._bench.plan
        begun_s = asyncio.get_running_loop().time()
        self._journal.note("taking_over", why=why, stimulated=stimulated)
        await self._isolate()
        ended = await self._end_child()
        self._told(f"{why}: the run's process is ended, the bench is made safe")
        self._journal.note("child_ended", how=ended)
        self._journal.sync()
        result = await self._made_safe(why)
        self._tell(result)
        while not result.confirmed and not await self._read_for(AGAIN_S):
            result = await self._made_safe("not confirmed safe")
            if result.confirmed:
                self._tell(result)
        if stimulated and plan.observation is not None:
            await self._observe(plan.observation, begun_s)
        else:
            self._note_readings(await self._read_all())
        self._journal.note("ended", by="a person" if self._ended.is_set() else "nothing more is owed")
        return result.confirmed

    async def _isolate(self) -> None:
        """Open the contactors through the guardian's own ports, whatever the child is doing."""

        async def opened(name: str) -> None:
            error = await self._bench.opened(name) or await self._off(name)
            self._journal.note("contactor_opened", device=name, confirmed=error is None, error=error)

        await asyncio.gather(*(opened(name) for name in self._bench.plan.contactors))

    async def _off(self, name: str) -> str | None:
        """One module's outputs to their safe side: why that is not confirmed, or None."""
        try:
            async with asyncio.timeout(ISOLATE_S):
                await self._bench.devices[name].make_safe()
        except Exception as error:  # noqa: BLE001 - the safe plan tries again, with its read-back
            return _said(error)
        return None

    async def _made_safe(self, why: str) -> SafeResult:
        """The safe plan on every device that can be made and opened; the rest is confirmed by nobody."""
        bench, plan = self._bench, self._bench.plan
        for device in plan.devices:
            if device.name not in bench.devices:
                try:
                    bench.add(device.name)
                except Exception as error:  # noqa: BLE001 - a driver that cannot be made keeps no other from its work
                    self._journal.note("no_driver", device=device.name, error=_said(error))
        names = tuple(bench.devices)
        errors = await asyncio.gather(*(bench.opened(name) for name in names))
        for name, closed in zip(names, errors, strict=True):
            if closed is not None:
                self._journal.note("not_opened", device=name, error=closed)
        devices = {device.name: bench.devices[device.name] for device in plan.devices if device.name in bench.devices}
        safe = SafeState(
            tuple(devices.values()),
            feedbacks=tuple(name for name in plan.feedbacks if name.partition(".")[0] in devices),
            energy=self._energy,
            event=self._journal.note,
            detectors=tuple(dict.fromkeys(_device_of(name) for name in plan.detectors if _device_of(name) in devices)),
            burns=self._burns,
            steps=tuple(step for step in plan.steps if step.device in devices),
        )
        result = await safe.begin(why)
        self._journal.sync()
        return result

    def _burns(self, seen: Sequence[Reading]) -> bool:
        """Whether a detector speaks: it reads 1 while all is well."""
        watched = set(self._bench.plan.detectors)
        return any(it.channel in watched and it.quality is Quality.GOOD and it.value < 0.5 for it in seen)

    def _tell(self, result: SafeResult) -> None:
        if result.confirmed:
            self._told(f"every device is confirmed safe, {result.took_s:.1f} s after it was begun")
        for part in result.failures:
            self._told(f"SAFE STATE NOT CONFIRMED: {part.device}: {part.error}")
        if not result.confirmed:
            self._told(f"tried again every {AGAIN_S:g} s; isolate the sample by hand; Ctrl-C or SIGTERM ends this")

    async def _read_for(self, time_s: float) -> bool:
        """Read what can be read for so long, or until a person ends it: whether one did."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + time_s
        while not self._ended.is_set() and (left_s := until_s - loop.time()) > 0.0:
            round_s = loop.time()
            self._note_readings(await self._read_all())
            await self._person(min(left_s, max(0.0, round_s + READ_S - loop.time())))
        return self._ended.is_set()

    async def _person(self, within_s: float) -> bool:
        """Whether a person has ended it, waiting at most so long."""
        try:
            async with asyncio.timeout(within_s):
                await self._ended.wait()
        except TimeoutError:
            return False
        return True

    async def _observe(self, owed: OwedObservation, begun_s: float) -> None:
        """Keep reading what can be read until the observation is over. Its clock starts anew: nobody has proved what
        of it had passed."""
        self._told(f"the sample is observed for {owed.duration_s / 60:.0f} min more; Ctrl-C or SIGTERM ends it")
        loop, seen = asyncio.get_running_loop(), _Cooling(owed)
        while True:
            round_s = loop.time()
            readings = await self._read_all()
            self._note_readings(readings)
            good = [readings[name].value for name in self._bench.plan.surfaces if name in readings]
            if seen.over(loop.time() - begun_s, max(good, default=math.nan)):
                return
            if await self._person(max(0.0, round_s + READ_S - loop.time())):
                return

    async def _read_all(self) -> Mapping[str, Reading]:
        """Every good reading of one round; a device that does not answer is left out."""
        found = await asyncio.gather(*(self._bench.read(name) for name in self._bench.devices), return_exceptions=True)
        lists = [it for it in found if not isinstance(it, BaseException)]
        return {reading.channel: reading for it in lists for reading in it if reading.quality is Quality.GOOD}

    def _note_readings(self, readings: Mapping[str, Reading]) -> None:
        self._journal.note("readings", values={name: reading.value for name, reading in readings.items()})


class _Cooling:
    """Whether an observation is over: the clause's time, then low and hardly moving, at most so long in all."""

    def __init__(self, owed: OwedObservation) -> None:
        self._owed = owed
        self._seen: deque[tuple[float, float]] = deque()

    def over(self, elapsed_s: float, hottest_c: float) -> bool:
        owed, seen = self._owed, self._seen
        if math.isnan(hottest_c):
            seen.clear()
            return elapsed_s >= owed.at_most_s
        seen.append((elapsed_s, hottest_c))
        while elapsed_s - seen[0][0] > RATE_WINDOW_S:
            seen.popleft()
        values = [value for _, value in seen]
        still = max(values) - min(values) <= owed.rate_k_s * RATE_WINDOW_S
        return elapsed_s >= owed.at_most_s or (elapsed_s >= owed.duration_s and hottest_c <= owed.until_c and still)


def _made(entry: SafeDevice, plan: SafePlan, wire: Wire, clock: Clock) -> Device:
    model = driver_model(entry.model, frozenset(plan.distributions))
    if model.with_profile is not None and entry.profile is not None:
        model = model.with_profile(entry.profile, entry.profile_where)
    settings = DeviceSettings(
        name=entry.name,
        wire=wire,
        clock=clock,
        unit=entry.unit,
        serial=entry.serial,
        points=entry.points,
        rating=dict(entry.rating or {}),
        mains_hz=entry.mains_hz,
    )
    return model.create(settings)


def _device_of(channel: str) -> str:
    return channel.partition(".")[0]


def _said(error: BaseException) -> str:
    if isinstance(error, DeviceError):
        return error.faults[0].error
    return f"{type(error).__name__}: {error}"


__all__ = ["Bench", "TakeOver"]
