"""The stimulus steps that no cycler gives: a stroke of the rig, a short circuit, heat."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from bench.answers import Permission
from bench.arming import Arming, Decisions
from bench.live import Live
from bench.means import HEAT, Means
from bench.stream import Batch
from bench.waiting import wait_for_end
from drivers.capabilities import RigState, Stroke
from drivers.errors import ConfigError
from sequences.language import Crush, Heat, Hold, Penetrate, Retract, Short, Text

if TYPE_CHECKING:
    from bench.steps import StepRun

#: A rig goes to the sample and away from it at this speed, or at the stroke's where that is slower.
APPROACH_MM_S = 5.0
#: A tool has made contact when this much force is on it.
CONTACT_N = 20.0
LINK_WATCHDOG_S = 0.5
#: A ramp is a row of setpoints: the chamber is told this often.
RAMP_S = 10.0

RETRACT = Text(
    en="Pull the tool out? The sample may still react. A separate decision of one person.",
    zh="是否退出针/压头？样品仍可能反应。须由人员单独决定。",
)
SHORT = Decisions(
    arm=Text(
        en="ARM the short circuit. Nobody is near the sample, the door is shut. First person's decision.",
        zh="短路预备（第一人确认）：样品周围无人，门已关闭。",
    ),
    start=Text(
        en="CLOSE the short circuit. Second person's decision: what follows cannot be undone.",
        zh="闭合短路（第二人确认）：之后的过程不可撤销。",
    ),
)
HEATING = Decisions(
    arm=Text(
        en="ARM the heating of the sample. Nobody is near it, the door is shut. First person's decision.",
        zh="加热预备（第一人确认）：样品周围无人，门已关闭。",
    ),
    start=Text(
        en="START the heating. Second person's decision: what follows cannot be undone.",
        zh="开始加热（第二人确认）：之后的过程不可撤销。",
    ),
)


async def stroke(run: StepRun, step: Penetrate | Crush) -> None:
    means = run.means
    run.begin(math.inf)
    await means.seat.isolate()
    timeout_s = means.worth(step.timeout)
    run.ends_s = _now_s() + timeout_s
    tool = means.needed_stroke()
    try:
        run.reason = await tool.run(_planned(means, step), run.judge, timeout_s=timeout_s)
    finally:
        run.more = dict(tool.values)
        means.notebook.live.end(_now_s())


def _planned(means: Means, step: Penetrate | Crush) -> Stroke:
    worth, thickness_mm = means.worth, means.plan.values["cell.thickness"]
    speed_mm_s = worth(step.speed)
    crush = isinstance(step, Crush)
    return Stroke(
        tool="crush" if crush else "nail",
        depth_mm=thickness_mm if isinstance(step, Crush) else worth(step.depth),
        speed_mm_s=speed_mm_s,
        approach_mm_s=min(APPROACH_MM_S, speed_mm_s) if crush else speed_mm_s,
        retract_mm_s=APPROACH_MM_S,
        thickness_mm=thickness_mm,
        contact_force_n=CONTACT_N,
        force_stop_n=worth(step.force),
        link_watchdog_s=LINK_WATCHDOG_S,
        deformation_stop=worth(step.deformation) if isinstance(step, Crush) else None,
        voltage_stop_v=worth(step.voltage) if isinstance(step, Crush) else None,
    )


async def hold(run: StepRun, step: Hold) -> None:
    run.begin(run.means.worth(step.duration))
    await wait_for_end(run.means.stream, None, until_s=run.ends_s)
    run.means.notebook.live.end(_now_s())
    run.reason = "duration"


async def retract(run: StepRun, step: Retract) -> None:
    """A person's separate decision, who may say no."""
    means, tool = run.means, run.means.needed_stroke()
    rig = tool.rig
    timeout_s = means.worth(step.timeout)
    run.begin(timeout_s)
    by = await means.answers.permit(Permission("retract", RETRACT))
    if by is None:
        means.event("not_permitted", what="retract")
        run.reason = "nobody gave leave: the tool stays in"
        return
    means.event("permitted", what="retract", by=by)
    means.energy.move(on=True)
    await rig.retract()
    until_s = _now_s() + timeout_s
    status = await rig.status()
    while status.state.moving and _now_s() < until_s:
        await asyncio.sleep(0.2)
        status = await rig.status()
    if status.state.moving:
        await rig.stop()
    means.energy.move(on=False)
    tool.tool_in = status.state not in (RigState.DONE, RigState.IDLE, RigState.READY)
    means.event("retracted", position_mm=status.position_mm, state=status.state.name.lower(), by=by)
    means.notebook.live.end(_now_s())
    run.reason = f"the rig reports {status.state.name.lower()}"


async def short(run: StepRun, step: Short) -> None:
    means, seat, what = run.means, run.means.seat, "short circuit"
    channel = seat.channel
    if channel.short is None or channel.short_feedback is None:
        raise ValueError("the sample's place has no short contactor")
    run.begin(math.inf)
    await seat.isolate()
    await _by_two(means, what, SHORT)
    means.energy.begin(what)
    await seat.watched()
    means.event("short_close", device=channel.short.device, point=channel.short.point)
    means.aftermath.begin("short closed", device=channel.short.device)
    await seat.switch_confirmed(channel.short, channel.short_feedback, on=True)
    run.begin(means.worth(step.duration))
    run.reason = await wait_for_end(means.stream, run.judge, until_s=run.ends_s) or "duration"
    means.event("short_open", device=channel.short.device, point=channel.short.point, why=run.reason)
    await seat.switch_confirmed(channel.short, channel.short_feedback, on=False)
    means.energy.end(what)
    means.notebook.live.end(_now_s())


async def heat(run: StepRun, step: Heat) -> None:
    means, worth = run.means, run.means.worth
    limit_s, target_c, within_k = worth(step.timeout), worth(step.temperature), worth(step.tolerance)
    run.begin(limit_s)
    await _by_two(means, HEAT, HEATING)
    run.begin(limit_s)
    means.energy.begin(HEAT)
    await means.seat.watched()
    means.aftermath.begin("heat", device=step.by)
    warm = _Warm(means.notebook.live, target_c, within_k, run.judge)
    feed = asyncio.get_running_loop().create_task(_feed(means, step, target_c), name="heat")
    waiting = asyncio.get_running_loop().create_task(
        _ended(wait_for_end(means.stream, warm, until_s=run.ends_s)), name="heat: end"
    )
    try:
        await asyncio.wait([feed, waiting], return_when=asyncio.FIRST_COMPLETED)
        if feed.done():
            feed.result()  # raises what went wrong
        reason = await waiting
    finally:
        feed.cancel()
        waiting.cancel()
        await asyncio.gather(feed, waiting, return_exceptions=True)
    if step.by == "chamber" and reason is not None:  # the last rung of the ramp may not have been the target
        means.event("setpoint", device=means.needed_chamber().name, temperature_c=target_c)
        await means.needed_chamber().run_at(target_c)
    means.notebook.live.end(_now_s())
    if reason is None:
        raise run.timed_out("the sample's place" if means.chamber is None else means.chamber.name, limit_s)
    run.reason = reason


async def _by_two(means: Means, what: str, decisions: Decisions) -> None:
    by = await Arming(means.answers, means.seat, means.event).by_two(decisions)
    means.event("stimulus_started", what=what, by=by)


async def _ended(waiting: Awaitable[str | None]) -> str | None:
    return await waiting


async def _feed(means: Means, step: Heat, target_c: float) -> None:
    """Move the chamber's setpoint along the ramp, or switch the heater on. Ends only when cancelled or failed."""
    if step.by == "heater":
        heater = means.seat.channel.heater
        if heater is None:
            raise ValueError("the sample's place has no heater")
        means.event("heater", device=heater.device, point=heater.point, on=True)
        await means.seat.switch(heater, on=True)
    else:
        await _ramp(means, step, target_c)
    await asyncio.Event().wait()


async def _ramp(means: Means, step: Heat, target_c: float) -> None:
    chamber = means.needed_chamber()
    faults = means.plan.check_setpoints(step, target_c)
    if faults:
        raise ConfigError(faults)
    ambient = means.notebook.live.values["ambient"]
    begun_s, start_c = _now_s(), ambient if isinstance(ambient, float) else math.nan
    rate_k_s = math.inf if step.ramp is None else means.worth(step.ramp)
    setpoint_c = math.nan
    while setpoint_c != target_c:
        ahead_s = _now_s() - begun_s + RAMP_S
        raised_c = start_c + rate_k_s * ahead_s
        setpoint_c = target_c if not raised_c < target_c else round(raised_c, 1)
        means.event("setpoint", device=chamber.name, temperature_c=setpoint_c)
        await chamber.run_at(setpoint_c)
        await asyncio.sleep(max(0.0, begun_s + ahead_s - _now_s()))


class _Warm:
    """Ends when the place's air is within reach of its target, or by the step's own condition."""

    def __init__(self, live: Live, target_c: float, within_k: float, end: Callable[[Batch], str | None] | None) -> None:
        self._live = live
        self._target_c = target_c
        self._within_k = within_k
        self._end = end

    def __call__(self, batch: Batch) -> str | None:
        if self._live.saw("ambient"):
            ambient_c = self._live.values["ambient"]
            if isinstance(ambient_c, float) and abs(ambient_c - self._target_c) <= self._within_k:
                return f"air at {ambient_c:.1f} degC"
        return None if self._end is None else self._end(batch)

    def text(self) -> str:
        return f"until the air is within {self._within_k:g} K of {self._target_c:g} degC"


def _now_s() -> float:
    return asyncio.get_running_loop().time()
