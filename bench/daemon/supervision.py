"""One guardian for all runs of a bench: it holds the safe plans of all that may be energised, as one.

It is to hear a beat only while every run is watched: each run's guard beats after its own checks, and the beat goes out
once all of them have. A run that is ending beats no more and is waited for as long as it said.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from bench.guardian.link import ENDING_S, Supervised
from bench.safe_plan import OwedObservation, SafeDevice, SafePlan, SafeStep
from drivers.errors import DeviceError


class Keeper(Supervised, Protocol):
    """The link to the guardian. ``holding`` names the locks that go over with the next plan."""

    def holding(self, handles: Sequence[int]) -> None: ...


class Supervision:
    """Shares one link among runs. ``folder`` takes the guardian's records, one folder a run."""

    def __init__(self, link: Keeper, folder: Path) -> None:
        self.link = link
        self._folder = folder
        self._shares: dict[str, Share] = {}
        self._turn = asyncio.Lock()
        self._beaten: set[str] = set()
        self._stimulated: set[str] = set()
        self._handed = False
        self._ending = False
        link.lost.add_done_callback(self._lost)

    def share(self, run: str) -> Share:
        """A run's part of it."""
        return Share(self, run)

    async def arm(self, share: Share, plan: SafePlan) -> None:
        """Hand all plans over, this one among them. Raises DeviceError; the others are then armed as before."""
        async with self._turn:
            folder = self._folder / share.run
            folder.mkdir(parents=True, exist_ok=True)
            plans = [*(other.plan for other in self._shares.values() if other.plan is not None), plan]
            await self.link.arm(together(plans), folder)
            if not self._handed:
                self.link.holding(())  # it has the locks for good
                self._handed = True
            share.plan = plan
            self._shares[share.run] = share
            if self._ending:  # the beats that an earlier end was given say nothing of this run
                self.link.ending(0.0)
                self._ending = False

    async def release(self, share: Share) -> None:
        """This run is over; the others stay armed. A guardian that does not take the smaller plan keeps the one that it
        has, which makes more safe; one that is gone has been told to every run."""
        async with self._turn:
            if self._shares.pop(share.run, None) is None:
                return
            self._beaten.discard(share.run)
            self.stimulated(share, on=False)
            plans = [other.plan for other in self._shares.values() if other.plan is not None]
            if plans:
                with contextlib.suppress(DeviceError):
                    await self.link.arm(together(plans), self._folder / share.run)
            else:
                await self.link.release()
            self.look()

    def beat(self, share: Share) -> None:
        self._beaten.add(share.run)
        self.look()

    def look(self) -> None:
        """Beat if every run that has to has beaten."""
        now_s = asyncio.get_running_loop().time()
        ends_s = [share.ends_s for share in self._shares.values()]
        watched = {share.run for share in self._shares.values() if share.ends_s <= now_s}
        if not watched:
            if ends_s:
                self._ending = True
                self.link.ending(max(ends_s) - now_s)
        elif watched <= self._beaten:
            self._beaten.clear()
            self.link.beat()

    def stimulated(self, share: Share, *, on: bool) -> None:
        """Whether the stimulus of any run has reached its sample."""
        before = bool(self._stimulated)
        if on:
            self._stimulated.add(share.run)
        else:
            self._stimulated.discard(share.run)
        if before is not bool(self._stimulated):
            (self.link.stimulated if on else self.link.observed)()

    def _lost(self, lost: asyncio.Future[str]) -> None:
        if not lost.cancelled():
            for share in self._shares.values():
                if not share.lost.done():
                    share.lost.set_result(lost.result())


class Share:
    """A :class:`bench.guardian.link.Supervised`: what one run sees of the guardian."""

    def __init__(self, supervision: Supervision, run: str) -> None:
        self.run = run
        self.plan: SafePlan | None = None
        self.ends_s = -math.inf
        self._all = supervision
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def name(self) -> str:
        return self._all.link.name

    @property
    def every_s(self) -> float:
        return self._all.link.every_s

    @property
    def lost(self) -> asyncio.Future[str]:
        return self._lost

    def beat(self) -> None:
        if self.plan is not None:
            self._all.beat(self)

    def ending(self, within_s: float = ENDING_S) -> None:
        self.ends_s = asyncio.get_running_loop().time() + within_s
        self._all.look()

    def stimulated(self) -> None:
        self._all.stimulated(self, on=True)

    def observed(self) -> None:
        self._all.stimulated(self, on=False)

    async def arm(self, plan: SafePlan, folder: Path) -> None:  # noqa: ARG002 - the guardian's record is the bench's
        await self._all.arm(self, plan)

    async def release(self) -> None:
        self.plan = None
        await self._all.release(self)


def together(plans: Iterable[SafePlan]) -> SafePlan:
    """One plan for all: every device with the points that any of them uses, every cycler before any contactor.

    The observation that is owed is the longest of theirs, to the strictest end.
    """
    all_plans = list(plans)
    first = all_plans[0]
    devices: dict[str, SafeDevice] = {}
    steps: dict[str, SafeStep] = {}
    for plan in all_plans:
        for device in plan.devices:
            known = devices.get(device.name, device)
            points = tuple(dict.fromkeys((*known.points, *device.points)))
            devices[device.name] = replace(device, points=points)
        for step in plan.steps:
            before = steps.get(step.device, step)
            after = tuple(dict.fromkeys((*before.after, *step.after)))
            steps[step.device] = SafeStep(step.device, step.what, step.deadline_s, after, step.latest_s)
    return SafePlan(
        bench=first.bench,
        channel=", ".join(plan.channel for plan in all_plans),
        devices=tuple(devices.values()),
        steps=tuple(steps.values()),
        feedbacks=_each(plan.feedbacks for plan in all_plans),
        contactors=_each(plan.contactors for plan in all_plans),
        detectors=_each(plan.detectors for plan in all_plans),
        surfaces=_each(plan.surfaces for plan in all_plans),
        distributions=_each(plan.distributions for plan in all_plans),
        observation=_longest([plan.observation for plan in all_plans if plan.observation is not None]),
        mode=first.mode,
    )


def _each(several: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in several for name in names))


def _longest(owed: list[OwedObservation]) -> OwedObservation | None:
    if not owed:
        return None
    return OwedObservation(
        duration_s=max(each.duration_s for each in owed),
        at_most_s=max(each.at_most_s for each in owed),
        until_c=min(each.until_c for each in owed),
        rate_k_s=min(each.rate_k_s for each in owed),
    )
