"""Carrying the sample from one place to another, and finding it there as it was left."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from bench.answers import Permission
from bench.arming import permitted
from bench.cause import Cause, EndKind, NotConfirmedError
from bench.live import LiveChannels
from bench.means import Means
from bench.seat import SampleRefused, Seat
from drivers.errors import Fault
from sequences.language import Confirm, Entry, Phase, Text, Transfer

if TYPE_CHECKING:
    from bench.steps import StepRun

CARRY = Text(
    en="Carry the sample to the {place}: connect its leads and sensors there, shut the door. Then scan it again.",
    zh="将样品转移至 {place}：接好电缆和传感器，关门，然后再次扫描样品编号。",
)
SCAN = Entry(
    name="sample", prompt=Text(en="sample id, scanned at its new place", zh="新位置的样品编号（扫描）"), text=True
)


async def transfer(run: StepRun, step: Transfer) -> None:
    """See :class:`sequences.language.Transfer`."""
    means, seat = run.means, run.means.seat
    run.begin(math.inf)
    left = seat.channel
    await seat.isolate()
    before_v = (await seat.fresh(left.cell_voltage)).value
    if means.chamber is not None:
        means.event("setpoint", device=means.chamber.name, what="to ambient: the sample leaves it")
        means.no_longer_heating()
        await means.chamber.make_safe()
    place = next(name for name, channel in means.plan.places.items() if channel.kind == step.to)
    by = await _carried(means, seat, place)
    ocv_v = await _arrived(means, seat)
    age_s = math.nan if seat.charged_s is None else _now_s() - seat.charged_s
    means.event(
        "transferred",
        **{"from": left.place, "to": place},
        ocv_before_v=before_v,
        ocv_after_v=ocv_v,
        charge_age_s=_plain(age_s),
        by=by,
    )
    _check_arrival(means, step, seat.channel.cell_voltage, before_v, ocv_v, age_s)
    means.notebook.live.end(_now_s())
    run.more = {"transfer.charge_age": age_s, "voltage": ocv_v}
    run.reason = f"carried to {place} by {by}"


async def _carried(means: Means, seat: Seat, place: str) -> str:
    """Ask, have it carried, and scan it again. Gives the name of who did it."""
    target = means.plan.places[place]
    text = Text(en=CARRY.en.format(place=place), zh=CARRY.zh.format(place=place))
    seat.hold_to_nothing()
    by = await permitted(means.answers, means.event, Permission("carry", text))
    if means.hands is not None:
        await means.hands.carry(target.name, place)
    seat.move(place)
    means.notebook.live.move(LiveChannels.of(target))
    given = await means.answers.ask(Confirm(text=text, entries=(SCAN,)))
    if given is None:
        raise NotConfirmedError("the sample was not scanned at its new place")
    scanned, sample = given.get("sample"), means.plan.sample
    means.event("answered", by=means.answers.by, values={"sample": scanned})
    if sample is not None and scanned != sample.id:
        cause = Cause(EndKind.SAMPLE_EVENT, "transfer: sample", None)
        fault = Fault(f"{scanned!r} was scanned, this run is of {sample.id!r}", place, "carry the right sample")
        raise SampleRefused([(cause, fault)])
    return by


async def _arrived(means: Means, seat: Seat) -> float:
    """The OCV at the new place, once its exhaust runs and all of its sensors have been heard there."""
    exhaust = seat.channel.exhaust
    if exhaust is not None:
        means.event("exhaust", device=exhaust.device, point=exhaust.point, on=True)
        await seat.switch(exhaust, on=True)
    await seat.heard(seat.sensors(), after_s=_now_s())
    await seat.heard(seat.sensors(), after_s=_now_s())  # once more: an input's own delay, a fan's start
    ocv_v = seat.judge()
    seat.hold_to(Phase.CONDITIONING)
    return ocv_v


def _check_arrival(means: Means, step: Transfer, where: str, before_v: float, ocv_v: float, age_s: float) -> None:
    within_v, longest_s = means.worth(step.ocv_within), means.worth(step.charge_age)
    found: list[tuple[Cause, Fault]] = []
    device = where.split(".", 1)[0]
    if not abs(ocv_v - before_v) <= within_v:
        error = f"the OCV is {ocv_v:.4f} V here and was {before_v:.4f} V before it was carried"
        cause = Cause(EndKind.SAMPLE_EVENT, "transfer: OCV", device, ocv_v - before_v, within_v)
        found.append((cause, Fault(error, where, "check that it is the same sample, and its leads")))
    if age_s > longest_s:
        cause = Cause(EndKind.SAMPLE_EVENT, "transfer: age of charge", None, age_s, longest_s)
        error = f"its charge is {age_s / 3600:.1f} h old, at most {longest_s / 3600:.1f} h are allowed"
        found.append((cause, Fault(error, where, "charge it again")))
    if found:
        raise SampleRefused(found)


def _plain(value: float | tuple[float, ...]) -> float | None:
    return value if isinstance(value, float) and math.isfinite(value) else None


def _now_s() -> float:
    return asyncio.get_running_loop().time()
