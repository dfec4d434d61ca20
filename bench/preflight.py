"""Before the first energy: is the bench as it must be, and is the sample the one and the way round it should be?

Order. Everything is read once. What is found energised is made safe. With the contactors open, by their feedbacks, the
interlocks, the sensors and the sample's own voltage are judged. Then the device's limits and every watchdog are armed
(and read back by the drivers), the guard watches all but terminal and contactor, and the sample is connected: the set
voltage becomes the measured OCV with all currents 0, the contactor closes with the output off, and the terminal must
show the sample's voltage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.energy import Energy
from bench.found_on import carries_current, found_on
from bench.plan import Plan
from bench.poller import Poller
from bench.seat import Seat
from bench.stream import Stream
from bench.wiring_proof import WiringProof, needs_pulse
from drivers.capabilities import Cycler, Switches
from drivers.errors import DeviceError
from sequences.language import Phase


@dataclass(frozen=True, slots=True)
class Preflight:
    """One run's preflight. Nothing is energised while it works but the contactor, at the very end, and, on a bench with
    several channels, a short pulse that shows where the current goes."""

    plan: Plan
    cycler: Cycler
    switches: tuple[Switches, ...]
    pollers: tuple[Poller, ...]
    stream: Stream
    seat: Seat
    energy: Energy
    event: Callable[..., Any]

    async def run(self) -> float:
        """Do it all and give the OCV in V. Afterwards the contactor is closed, the output off, the guard fully armed.

        Raises SampleRefused (the sample's side; every fault at once) or DeviceError (the bench's side).
        """
        for poller in self.pollers:
            poller.hurry()
        await self.seat.heard(channel for poller in self.pollers for channel in poller.device.channels)
        await self._adopt_what_is_energised()
        ocv_v = self.seat.judge(rested=True)
        self.event("preflight_passed", ocv_v=ocv_v)
        await self._arm()
        self.seat.hold_to(Phase.CONDITIONING)
        await self.seat.heard(self.plan.channel.interlocks.values(), after_s=asyncio.get_running_loop().time())
        await self.seat.connect(ocv_v)
        if needs_pulse(self.plan):
            await WiringProof(self.plan, self.cycler, self.seat, self.energy, self.event).run(ocv_v)
        return ocv_v

    async def _adopt_what_is_energised(self) -> None:
        """Make safe what somebody left on (a crashed host, a person at the front panel), before anything else."""
        latest = self.stream.latest
        found = await found_on(self.plan, latest, self.cycler)
        if not found:
            return
        self.event("found_energised", found=list(found.values()))
        await self.cycler.make_safe()
        for switches in self.switches:
            await switches.make_safe()
        feedbacks = self.plan.feedbacks
        now_s = asyncio.get_running_loop().time()
        await self.seat.heard((self.plan.channel.current, *feedbacks, self.plan.channel.cell_voltage), after_s=now_s)
        for feedback in feedbacks:
            if latest[feedback].value != 0.0:
                raise DeviceError(
                    feedback.split(".", 1)[0],
                    "opening the sample's contactor",
                    f"the feedback {feedback} says closed although the contactor is commanded open",
                    "isolate the sample by hand; mend the contactor or its feedback before anything is energised",
                )
        if carries_current(self.plan, latest[self.plan.channel.current]):
            raise DeviceError(self.cycler.name, "switching off what was found on", "current goes on flowing")

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
        for switches in self.switches:
            watchdog_s = self.plan.watchdogs.get(switches.name)
            if watchdog_s is not None:
                self.event("arming", device=switches.name, watchdog_s=watchdog_s)
                await switches.arm_watchdog(watchdog_s)
