"""Where the sample is, and whether the cycler is connected to it there.

A sample is in one place at a time. Each place that a channel's leads reach has a contactor of its own there, with
feedback: at most one of them is closed, and only while the sample stands behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.binding.shapes import BoundChannel, GuardLimit, Point
from bench.cause import Cause, EndKind
from bench.energy import Energy
from bench.guard import Guard
from bench.plan import Plan
from bench.poller import Poller
from bench.stream import Batch, Stream
from bench.waiting import wait_for_end
from drivers.capabilities import Cycler, Device, Setpoints, Switches
from drivers.errors import DeviceError, Fault, PreflightRefused
from drivers.reading import Quality, Reading
from sequences.language import Phase

#: Below this magnitude there is no cell: an open input shows its noise only.
NO_CELL_V = 0.1
#: How far outside its operating window a resting sample may be read: the accuracy of a +-5 V input of 0.1 %, fourfold.
WINDOW_MARGIN_V = 0.02
#: The terminal must show the sample's voltage this closely once the contactor is closed, beyond both accuracies.
SAME_VOLTAGE_V = 0.1
#: A sample that nobody has energised yet is as warm as its place, within this. A chamber that was just set to another
#: temperature is waited for: a sample far from its air is not at rest.
WARM_K = 15.0
CONTACTOR_S = 2.0
#: A first reading may take this many rest periods, and this long on top.
FIRST_READING_PERIODS = 3.0
FIRST_READING_S = 2.0


class SampleRefused(PreflightRefused):
    """The sample's side is not as it must be: every fault found, and the first as the cause."""

    def __init__(self, found: list[tuple[Cause, Fault]]) -> None:
        self.cause, first = found[0]
        super().__init__(first.error, first.where, first.fix)
        self.faults = tuple(fault for _, fault in found)


class Seat:
    """One sample's place and connection. ``channel`` is the bench's channel as it stands there.

    ``connected`` is what was commanded and confirmed; the guard trips if the feedback disagrees later. ``charged_s`` is
    when the last charge ended.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        devices: Mapping[str, Device],
        cycler: Cycler,
        pollers: tuple[Poller, ...],
        stream: Stream,
        energy: Energy,
        guard: Guard,
        event: Callable[..., Any],
    ) -> None:
        self.channel: BoundChannel = plan.channel
        self.connected = False
        self.charged_s: float | None = None
        self._plan = plan
        self._devices = devices
        self._cycler = cycler
        self._pollers = pollers
        self._stream = stream
        self._energy = energy
        self._guard = guard
        self._event = event
        self._phase = Phase.CONDITIONING
        first = plan.limits_in(plan.channel.place, self._phase)
        guard.hold_to(first, without=[limit.channel for limit in first])  # known from the start, acted on later

    def enter(self, phase: Phase) -> None:
        """A step of this phase begins. What is energised after an observation is watched like anything else."""
        if phase is not Phase.OBSERVATION:
            self._guard.observed = False
        if phase is not self._phase:
            self.hold_to(phase)

    def hold_to(self, phase: Phase) -> None:
        """The guard's limits become those of this place and phase, and the devices that feed them are read closely; the
        terminal's limits count only while connected."""
        self._phase = phase
        channel = self.channel
        own = GuardLimit("contactor closed", channel.contactor_feedback, 0.5, None, "device", hard=True)
        limits = (*self._plan.limits_in(channel.place, phase), own)
        off = () if self.connected else (channel.voltage, channel.current, channel.contactor_feedback)
        near = {self._cycler.name, *(limit.channel.split(".", 1)[0] for limit in limits)}
        for poller in self._pollers:
            poller.near = poller.device.name in near
            poller.hurry()
        self._guard.hold_to(limits, without=off, rules=self._plan.rules_in(channel.place, phase))

    def taken_away(self) -> None:
        """The safe state has disconnected the sample: the terminal says nothing of it any more."""
        self.connected = False
        self.hold_to(self._phase)

    def hold_to_nothing(self) -> None:
        """The sample is being carried: nothing that is read belongs to it. Silence of a device still counts."""
        self._guard.hold_to(())

    def move(self, place: str) -> None:
        """The sample is at ``place`` now. Only while nothing is connected."""
        if self.connected:
            raise ValueError("a sample is not carried while it is connected")
        self.channel = self._plan.places[place]

    async def connect(self, ocv_v: float | None = None) -> None:
        """Close the contactor of this place with V set to the sample's own voltage and no current. Idempotent.

        Raises DeviceError if the feedback stays open or the terminal shows another voltage than the sample's leads.
        """
        if self.connected:
            return
        channel, loop = self.channel, asyncio.get_running_loop()
        if ocv_v is None:
            ocv_v = (await self.fresh(channel.cell_voltage)).value
        self._event("setpoint", device=self._cycler.name, voltage_v=ocv_v, source_current_a=0.0, sink_current_a=0.0)
        await self._cycler.apply(Setpoints(ocv_v, 0.0, 0.0, 0.0, 0.0))
        self._energy.begin("contactor")
        self._event("contactor_close", device=channel.contactor.device, point=channel.contactor.point)
        closed_s = loop.time()
        await self.switch(channel.contactor, on=True)
        await self._confirmed(channel.contactor, channel.contactor_feedback, closed=True, after_s=closed_s)
        await self.heard((channel.voltage, channel.current), after_s=loop.time())
        terminal_v = self._stream.latest[channel.voltage].value
        if not abs(terminal_v - ocv_v) <= SAME_VOLTAGE_V + (self._plan.reach.volts.accuracy or 0.0):
            raise DeviceError(
                self._cycler.name,
                "comparing its terminal with the sample",
                f"it shows {terminal_v:.3f} V, the sample's own leads {ocv_v:.3f} V",
                "check the power and sense leads between cycler, contactor and sample",
            )
        self._energy.end("contactor")
        self.connected = True
        self.hold_to(self._phase)

    async def isolate(self) -> None:
        """Open the contactor of this place and prove it by its feedback, whether it was closed or not.

        The cycler's output is off already. Raises DeviceError if the feedback does not say open.
        """
        channel = self.channel
        self.connected = False
        self.hold_to(self._phase)
        opened_s = asyncio.get_running_loop().time()
        self._event("contactor_open", device=channel.contactor.device, point=channel.contactor.point)
        await self.switch(channel.contactor, on=False)
        await self._confirmed(channel.contactor, channel.contactor_feedback, closed=False, after_s=opened_s)

    async def switch(self, point: Point, *, on: bool) -> None:
        """Switch one output of the bench, read back by its driver."""
        device = self._devices[point.device]
        if not isinstance(device, Switches):
            raise TypeError(f"{device.name} switches nothing")
        await device.write(point.point, on=on)

    async def switch_confirmed(self, point: Point, feedback: str, *, on: bool) -> None:
        """As :meth:`switch`, and wait until the feedback agrees. Raises DeviceError if it does not."""
        after_s = asyncio.get_running_loop().time()
        await self.switch(point, on=on)
        await self._confirmed(point, feedback, closed=on, after_s=after_s)

    def judge(self, *, rested: bool = False) -> float:
        """The sample's voltage, if sensors, interlocks and the sample here are as they must be before any energy. One
        that has ``rested`` is as warm as its place: a surface sensor that says otherwise is wrong, or the sample is.

        Raises SampleRefused with all that is not.
        """
        channel, latest = self.channel, self._stream.latest
        found: list[tuple[Cause, Fault]] = []
        without = {channel.voltage, channel.current, channel.cell_voltage}
        for limit in self._plan.limits_in(channel.place, Phase.CONDITIONING):
            reading = latest[limit.channel]
            if limit.channel in without or not is_good(reading) or limit.tier == "warn":
                continue
            if limit.low is not None and reading.value < limit.low:
                found.append(_outside(limit.subject, limit.rule, reading, limit.low))
            elif limit.high is not None and reading.value > limit.high:
                found.append(_outside(limit.subject, limit.rule, reading, limit.high))
        sensors = (*channel.surface, *([channel.ambient] if channel.ambient is not None else ()), channel.cell_voltage)
        found += [
            _broken(latest[name]) for name in (*sensors, *channel.interlocks.values()) if not is_good(latest[name])
        ]
        if rested and not found and channel.ambient is not None:
            air = latest[channel.ambient]
            found += [
                _warm(latest[name], air) for name in channel.surface if abs(latest[name].value - air.value) > WARM_K
            ]
        ocv = latest[channel.cell_voltage]
        if is_good(ocv):
            found += self._voltage_faults(ocv)
        if found:
            raise SampleRefused(found)
        return ocv.value

    def sensors(self) -> tuple[str, ...]:
        """The reading channels of this place that :meth:`judge` looks at."""
        channel = self.channel
        limited = (limit.channel for limit in self._plan.limits_in(channel.place, Phase.CONDITIONING))
        return tuple(dict.fromkeys((*limited, *channel.surface, channel.cell_voltage, *channel.interlocks.values())))

    async def heard(self, channels: Iterable[str], *, after_s: float = 0.0) -> None:
        """Wait until each of these channels has a reading later than ``after_s``. Raises DeviceError for the first."""
        missing = _Missing({name for name in channels if not self._is_after(name, after_s)}, after_s)
        if not missing.channels:
            return
        until_s = asyncio.get_running_loop().time() + self.patience_s()
        if await wait_for_end(self._stream, missing, until_s=until_s) is None:
            raise self._unheard(sorted(missing.channels)[0])

    async def watched(self) -> None:
        """Every channel of this place that feeds a hard limit shows a good reading once more: energy begins with the
        guard seeing.

        To be called once something counts as energised, so that the pollers are at their pace. Raises DeviceError.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self.patience_s()
        unseen = sorted({it.channel for it in self._plan.limits_in(self.channel.place, self._phase) if it.hard})
        while unseen:
            await self.heard(unseen, after_s=loop.time())
            unseen = [channel for channel in unseen if not is_good(self._stream.latest[channel])]
            if unseen and loop.time() >= until_s:
                await self.fresh(unseen[0])

    async def fresh(self, channel: str) -> Reading:
        """The next good reading of a channel. Raises DeviceError if none comes."""
        await self.heard((channel,), after_s=asyncio.get_running_loop().time())
        reading = self._stream.latest[channel]
        if not is_good(reading):
            device = channel.split(".", 1)[0]
            raise DeviceError(device, f"reading {channel}", f"it is {reading.quality.value.replace('_', ' ')}")
        return reading

    def patience_s(self) -> float:
        """How long a reading may take to come."""
        return FIRST_READING_S + FIRST_READING_PERIODS * max(poller.period_s for poller in self._pollers)

    async def _confirmed(self, point: Point, feedback: str, *, closed: bool, after_s: float) -> None:
        seen = _Sees(feedback, lambda value: value == float(closed), after_s)
        until_s = asyncio.get_running_loop().time() + max(CONTACTOR_S, self.patience_s())
        if await wait_for_end(self._stream, seen, until_s=until_s) is None:
            said, told = ("open", "closed") if closed else ("closed", "open")
            what = f"{'closing' if closed else 'opening'} the contactor {point}"
            if closed:
                fix = "check the contactor's coil supply and its feedback contact"
            else:
                fix = "isolate the sample by hand; mend the contactor or its feedback before anything is energised"
            error = f"the feedback {feedback} says {said} although the contactor is commanded {told}"
            raise DeviceError(point.device, what, error, fix)

    def _is_after(self, channel: str, after_s: float) -> bool:
        reading = self._stream.latest.get(channel)
        return reading is not None and reading.mono_s > after_s

    def _unheard(self, channel: str) -> DeviceError:
        device = channel.split(".", 1)[0]
        lost = next((poller.lost for poller in self._pollers if poller.device.name == device), None)
        return lost or DeviceError(device, "waiting for a reading", f"nothing came of {channel}")

    def _voltage_faults(self, ocv: Reading) -> Iterable[tuple[Cause, Fault]]:
        low_v = self._plan.values["cell.v_min"] - WINDOW_MARGIN_V
        high_v = self._plan.values["cell.v_max"] + WINDOW_MARGIN_V
        seen, where = f"{ocv.value:.3f} V", ocv.channel
        if abs(ocv.value) < NO_CELL_V:
            fault = Fault(f"no cell: the sample's leads show {seen}", where, "connect the sample, check its fuse")
            yield _cause("preflight: cell present", ocv, NO_CELL_V), fault
        elif ocv.value < 0.0:
            fault = Fault(f"the cell is reversed: {seen}", where, "swap the sample's leads; nothing was connected")
            yield _cause("preflight: polarity", ocv, 0.0), fault
        elif not low_v <= ocv.value <= high_v:
            fault = Fault(
                f"OCV {seen} is outside the cell file's operating window of {low_v:.3f} to {high_v:.3f} V",
                where,
                "check that this sample is of this type; a damaged or over-discharged cell is not charged here",
            )
            yield _cause("preflight: OCV", ocv, low_v if ocv.value < low_v else high_v), fault


@dataclass(slots=True)
class _Missing:
    """Ends when every one of ``channels`` was heard after an instant."""

    channels: set[str]
    after_s: float

    def __call__(self, batch: Batch) -> str | None:
        self.channels.difference_update(reading.channel for reading in batch if reading.mono_s > self.after_s)
        return None if self.channels else "all heard"

    def text(self) -> str:
        return f"until {', '.join(sorted(self.channels))} is heard"


@dataclass(frozen=True, slots=True)
class _Sees:
    """Ends when a channel's good value is as wanted, in a reading after an instant."""

    channel: str
    wanted: Callable[[float], bool]
    after_s: float

    def __call__(self, batch: Batch) -> str | None:
        for reading in batch:
            if (
                reading.channel == self.channel
                and reading.mono_s > self.after_s
                and is_good(reading)
                and self.wanted(reading.value)
            ):
                return "seen"
        return None

    def text(self) -> str:
        return f"until {self.channel} is as commanded"


def is_good(reading: Reading) -> bool:
    """Whether a reading may be believed."""
    return reading.quality is Quality.GOOD


def _cause(rule: str, reading: Reading, limit: float) -> Cause:
    return Cause(EndKind.SAMPLE_EVENT, rule, reading.channel.split(".", 1)[0], reading.value, limit)


def _outside(subject: str, rule: str, reading: Reading, limit: float) -> tuple[Cause, Fault]:
    kinds = {"interlock": EndKind.INTERLOCK, "detector": EndKind.INTERLOCK, "bench": EndKind.BENCH_LIMIT}
    kind = kinds.get(subject, EndKind.SAMPLE_EVENT)
    cause = Cause(kind, rule, reading.channel.split(".", 1)[0], reading.value, limit)
    if kind is EndKind.INTERLOCK:
        fault = Fault(f"interlock {rule} is not healthy", reading.channel, "make the place safe, then start again")
    else:
        fault = Fault(
            f"{rule}: {reading.value:.4g} is already beyond {limit:.4g}", reading.channel, "bring it inside, then start"
        )
    return cause, fault


def _warm(surface: Reading, air: Reading) -> tuple[Cause, Fault]:
    cause = Cause(
        EndKind.SAMPLE_EVENT, "preflight: at ambient", surface.channel.split(".", 1)[0], surface.value, air.value
    )
    fault = Fault(
        f"it shows {surface.value:.1f} degC in air of {air.value:.1f} degC before anything was energised",
        surface.channel,
        "check the sensor; if the sample is truly that warm or cold, wait until it has soaked",
    )
    return cause, fault


def _broken(reading: Reading) -> tuple[Cause, Fault]:
    cause = Cause(EndKind.SAMPLE_EVENT, "preflight: sensor", reading.channel.split(".", 1)[0])
    fault = Fault(
        f"its reading is {reading.quality.value.replace('_', ' ')}",
        reading.channel,
        "check the sensor and its leads; a run needs every surface, ambient and voltage point that its channel names",
    )
    return cause, fault
