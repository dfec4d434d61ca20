"""Before the first energy: is the bench as it must be, and is the sample the one and the way round it should be?

Order. Everything is read once. What is found energised is made safe. With the contactor open, by its feedback, the
interlocks, the sensors and the sample's own voltage are judged. Then the device's limits and both watchdogs are armed
(and read back by the drivers), the guard watches all but terminal and contactor, the set voltage becomes the measured
OCV with all currents 0, and the contactor closes with the output off. Last, the terminal must show the sample's
voltage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bench.cause import Cause, EndKind
from bench.energy import Energy
from bench.found_on import carries_current, found_on
from bench.guard import Guard
from bench.plan import Plan
from bench.poller import Poller
from bench.stream import Batch, Stream
from bench.waiting import wait_for_end
from drivers.capabilities import Cycler, Setpoints, Switches
from drivers.errors import DeviceError, Fault, PreflightRefused
from drivers.reading import Quality, Reading

#: Below this magnitude there is no cell: an open input shows its noise only.
NO_CELL_V = 0.1
#: How far outside its operating window a resting sample may be read: the accuracy of a +-5 V input of 0.1 %, fourfold.
WINDOW_MARGIN_V = 0.02
#: The terminal must show the sample's voltage this closely once the contactor is closed, beyond both accuracies.
SAME_VOLTAGE_V = 0.1
CONTACTOR_S = 2.0
#: A first reading may take this many rest periods, and this long on top.
FIRST_READING_PERIODS = 3.0
FIRST_READING_S = 2.0


class SampleRefused(PreflightRefused):
    """Preflight on the sample's side: every fault found, and the first as the cause."""

    def __init__(self, found: list[tuple[Cause, Fault]]) -> None:
        self.cause, first = found[0]
        super().__init__(first.error, first.where, first.fix)
        self.faults = tuple(fault for _, fault in found)


@dataclass(frozen=True, slots=True)
class Preflight:
    """One run's preflight. Nothing is energised while it works but the contactor, at the very end."""

    plan: Plan
    cycler: Cycler
    switches: Switches
    pollers: tuple[Poller, ...]
    stream: Stream
    energy: Energy
    guard: Guard
    event: Callable[..., Any]

    async def run(self) -> float:
        """Do it all and give the OCV in V. Afterwards the contactor is closed, the output off, the guard fully armed.

        Raises SampleRefused (the sample's side; every fault at once) or DeviceError (the bench's side).
        """
        await self._first_readings()
        await self._adopt_what_is_energised()
        ocv_v = self._judge()
        self.event("preflight_passed", ocv_v=ocv_v)
        await self._arm()
        channel = self.plan.channel
        self.guard.arm(self.guard.limited - {channel.voltage, channel.current, channel.contactor_feedback})
        await self._close_contactor(ocv_v)
        self.guard.arm()
        return ocv_v

    async def _first_readings(self) -> None:
        for poller in self.pollers:
            poller.hurry()
        wanted_s = FIRST_READING_S + FIRST_READING_PERIODS * max(poller.period_s for poller in self.pollers)
        await self._heard((channel for poller in self.pollers for channel in poller.device.channels), wanted_s)

    async def _adopt_what_is_energised(self) -> None:
        """Make safe what somebody left on (a crashed host, a person at the front panel), before anything else."""
        channel, latest = self.plan.channel, self.stream.latest
        found = await found_on(self.plan, latest, self.cycler)
        if not found:
            return
        self.event("found_energised", found=list(found.values()))
        await self.cycler.make_safe()
        await self.switches.make_safe()
        now_s = asyncio.get_running_loop().time()
        await self._heard(
            (channel.current, channel.contactor_feedback, channel.cell_voltage), self._patience_s(), after_s=now_s
        )
        if latest[channel.contactor_feedback].value != 0.0:
            raise DeviceError(
                self.switches.name,
                "opening the sample's contactor",
                f"the feedback {channel.contactor_feedback} says closed although the contactor is commanded open",
                "isolate the sample by hand; mend the contactor or its feedback before anything is energised",
            )
        if carries_current(self.plan, latest[channel.current]):
            raise DeviceError(self.cycler.name, "switching off what was found on", "current goes on flowing")

    def _judge(self) -> float:
        """The OCV, if everything on the sample's side is as it must be. Raises SampleRefused with all that is not."""
        channel, latest = self.plan.channel, self.stream.latest
        found: list[tuple[Cause, Fault]] = []
        terminal = {channel.voltage, channel.current}
        for limit in self.plan.limits:
            reading = latest[limit.channel]
            if limit.channel in terminal or limit.channel == channel.cell_voltage or not _good(reading):
                continue
            if limit.low is not None and reading.value < limit.low:
                found.append(_outside(limit.subject, limit.rule, reading, limit.low))
            elif limit.high is not None and reading.value > limit.high:
                found.append(_outside(limit.subject, limit.rule, reading, limit.high))
        sensors = (*channel.surface, *([channel.ambient] if channel.ambient is not None else ()), channel.cell_voltage)
        found += [_broken(latest[name]) for name in (*sensors, *channel.interlocks.values()) if not _good(latest[name])]
        ocv = latest[channel.cell_voltage]
        if _good(ocv):
            found += self._voltage_faults(ocv)
        if found:
            raise SampleRefused(found)
        return ocv.value

    def _voltage_faults(self, ocv: Reading) -> Iterable[tuple[Cause, Fault]]:
        low_v = self.plan.values["cell.v_min"] - WINDOW_MARGIN_V
        high_v = self.plan.values["cell.v_max"] + WINDOW_MARGIN_V
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

    async def _arm(self) -> None:
        limits = self.plan.device_limits
        self.event(
            "arming",
            device=self.cycler.name,
            over_voltage_v=limits.over_voltage_v,
            over_current_a=limits.over_current_a,
            watchdog_s=limits.watchdog_s,
        )
        await self.cycler.arm(limits)
        name = self.switches.name
        watchdog_s = self.plan.watchdogs.get(name)
        if watchdog_s is not None:
            self.event("arming", device=name, watchdog_s=watchdog_s)
            await self.switches.arm_watchdog(watchdog_s)

    async def _close_contactor(self, ocv_v: float) -> None:
        channel, loop = self.plan.channel, asyncio.get_running_loop()
        self.event("setpoint", device=self.cycler.name, voltage_v=ocv_v, source_current_a=0.0, sink_current_a=0.0)
        await self.cycler.apply(Setpoints(ocv_v, 0.0, 0.0, 0.0, 0.0))
        self.energy.begin("contactor")
        self.event("contactor_close", device=channel.contactor.device, point=channel.contactor.point)
        closed_s = loop.time()
        await self.switches.write(channel.contactor.point, on=True)
        closed = _Sees(channel.contactor_feedback, lambda value: value == 1.0, closed_s)
        if await wait_for_end(self.stream, closed, until_s=loop.time() + max(CONTACTOR_S, self._patience_s())) is None:
            raise DeviceError(
                self.switches.name,
                "closing the sample's contactor",
                f"the feedback {channel.contactor_feedback} says open although the contactor is commanded closed",
                "check the contactor's coil supply and its feedback contact",
            )
        await self._heard((channel.voltage, channel.current), self._patience_s(), after_s=loop.time())
        terminal_v = self.stream.latest[channel.voltage].value
        if not abs(terminal_v - ocv_v) <= SAME_VOLTAGE_V + (self.plan.reach.volts.accuracy or 0.0):
            raise DeviceError(
                self.cycler.name,
                "comparing its terminal with the sample",
                f"it shows {terminal_v:.3f} V, the sample's own leads {ocv_v:.3f} V",
                "check the power and sense leads between cycler, contactor and sample",
            )
        self.energy.end("contactor")

    def _patience_s(self) -> float:
        return FIRST_READING_S + FIRST_READING_PERIODS * max(poller.period_s for poller in self.pollers)

    async def _heard(self, channels: Iterable[str], wanted_s: float, *, after_s: float = 0.0) -> None:
        """Wait until each of these channels has a reading later than ``after_s``. Raises DeviceError for the first."""
        missing = _Missing({name for name in channels if not self._is_after(name, after_s)}, after_s)
        if not missing.channels:
            return
        until_s = asyncio.get_running_loop().time() + wanted_s
        if await wait_for_end(self.stream, missing, until_s=until_s) is None:
            raise self._unheard(sorted(missing.channels)[0])

    def _is_after(self, channel: str, after_s: float) -> bool:
        reading = self.stream.latest.get(channel)
        return reading is not None and reading.mono_s > after_s

    def _unheard(self, channel: str) -> DeviceError:
        device = channel.split(".", 1)[0]
        lost = next((poller.lost for poller in self.pollers if poller.device.name == device), None)
        return lost or DeviceError(device, "waiting for a reading", f"nothing came of {channel}")


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
                and _good(reading)
                and self.wanted(reading.value)
            ):
                return "seen"
        return None

    def text(self) -> str:
        return f"until {self.channel} is as commanded"


def _good(reading: Reading) -> bool:
    return reading.quality is Quality.GOOD


def _cause(rule: str, reading: Reading, limit: float) -> Cause:
    return Cause(EndKind.SAMPLE_EVENT, rule, reading.channel.split(".", 1)[0], reading.value, limit)


def _outside(subject: str, rule: str, reading: Reading, limit: float) -> tuple[Cause, Fault]:
    kinds = {"interlock": EndKind.INTERLOCK, "bench": EndKind.BENCH_LIMIT}
    cause = Cause(
        kinds.get(subject, EndKind.SAMPLE_EVENT),
        rule,
        reading.channel.split(".", 1)[0],
        reading.value,
        limit,
    )
    if subject == "interlock":
        fault = Fault(f"interlock {rule} is not healthy", reading.channel, "make the place safe, then start again")
    else:
        fault = Fault(
            f"{rule}: {reading.value:.4g} is already beyond {limit:.4g}", reading.channel, "bring it inside, then start"
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
