"""What each kind of step does. A step commands devices, then waits on the stream; it never polls. Those of an abuse
test are in ``bench/abuse_steps.py``.

Every command is announced in the log before it leaves. A charge or discharge writes its set values while the output
is off, then switches the output on; at its end the output goes off first and the set currents to zero after, so that
no step can ever be energised with the set values of another.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass

from bench import abuse_steps
from bench.abuse_steps import AbuseStep
from bench.cause import NotConfirmedError
from bench.live import Carried, Follow
from bench.means import Means
from bench.notebook import StepTruth
from bench.stream import Batch, Stage
from bench.waiting import (
    ConditionEnd,
    FirstOf,
    Judge,
    RegulationEnd,
    SettledEnd,
    SoakEnd,
    StepTimeoutError,
    WhileRegulated,
    wait_for_end,
)
from drivers.capabilities import Setpoints
from drivers.errors import ConfigError
from drivers.reading import Quality
from sequences.language import ChamberSet, Charge, Confirm, Discharge, Measure, Phase, Rest, Soak

#: An instrument that holds its voltage reads it this closely, beyond its stated accuracy.
NEAR_LIMIT_V = 0.1

#: Nearer to its setpoint than this a chamber holds it.
HOLDS_K = 1.0

Regulated = Charge | Discharge
Leaf = Charge | Discharge | Rest | ChamberSet | Soak | Confirm | Measure | AbuseStep


@dataclass(slots=True)
class StepRun:
    """One step under way: what will end it, and what it leaves behind.

    ``more`` and ``truth`` stand in for live names when the step's results are taken.
    """

    step: Leaf
    means: Means
    reason: str = ""
    judge: Judge | None = None
    begun_s: float = 0.0
    ends_s: float = math.inf
    planned_s: float | None = None
    ends: str = ""
    more: dict[str, float] | None = None
    truth: dict[str, float] | None = None
    #: What a resumed step had counted, when its last row was stored, and how long it then was not recorded.
    carried: Carried | None = None
    row_s: float | None = None
    gap_s: float = 0.0

    async def run(self) -> None:
        """Do the step. Raises StepTimeoutError, DeviceError, ConfigError, EnergyForbiddenError, ValueError."""
        match self.step:
            case Charge() | Discharge():
                await self._regulate(self.step)
            case Rest():
                await self._rest(self.step)
            case ChamberSet():
                await self._chamber(self.step)
            case Soak():
                await self._soak(self.step)
            case Measure():
                await self._measure(self.step)
            case Confirm():
                await self._confirm(self.step)
            case _:
                await abuse_steps.carry_out(self, self.step)

    def prepare(self) -> None:
        """Work out what will end the step, so that it can be announced. Touches no device."""
        step, worth = self.step, self.means.worth
        match step:
            case Charge() | Discharge():
                self.judge = self._regulated_end(step)
                self.ends = f"{self.judge.text()}, at most {_span(worth(step.timeout))}"
            case Rest():
                self.planned_s = worth(step.duration)
                self.ends = f"after {_span(self.planned_s)}"
                if step.end is not None:
                    self.judge = ConditionEnd(step.end, self.means.notebook.live, worth)
                    self.ends += f" or {self.judge.text()}"
            case Soak():
                self.judge = SoakEnd(
                    self.means.notebook.live,
                    of=step.of,
                    target_c=worth(step.temperature),
                    tolerance_k=worth(step.tolerance),
                    duration_s=worth(step.duration),
                )
                self.ends = f"{self.judge.text()}, at most {_span(worth(step.timeout))}"
            case Measure():
                self.planned_s = worth(step.duration)
                self.ends = f"after {_span(self.planned_s)}"
            case ChamberSet():
                self.ends = "at once"
            case Confirm():
                self.ends = f"when answered by {self.means.answers.by}"
            case _:
                self.ends = abuse_steps.ends_of(self, step)

    def remaining_s(self, now_s: float, last_took_s: float | None) -> float | None:
        """An estimate: exact for a given duration, else from the turn before, else from the rated capacity."""
        gone_s = now_s - self.begun_s
        if self.planned_s is not None:
            return max(0.0, self.planned_s - gone_s)
        if isinstance(self.judge, SoakEnd):
            return self.judge.remaining_s
        if not isinstance(self.step, Charge | Discharge):
            return None
        if last_took_s is not None:
            return max(0.0, last_took_s - gone_s)
        current_a = self.means.notebook.live.values["current"]
        rated_ah = self.means.plan.values["cell.rated_capacity"]
        if not isinstance(current_a, float) or not abs(current_a) > 0.0:
            return None
        return max(0.0, 3600.0 * rated_ah / abs(current_a) - gone_s)

    async def _regulate(self, step: Regulated) -> None:
        if self.carried is not None and self.carried.ended is not None:
            self._was_over(self.carried, direction=_direction(step))
            return
        means, direction = self.means, _direction(step)
        setpoints, limit_s = self._setpoints(step), means.worth(step.timeout)
        cycler, live, what = means.cycler, means.notebook.live, f"{means.cycler.name} output"
        faults = means.plan.check_setpoints(step, setpoints)
        if faults:
            raise ConfigError(faults)
        await means.seat.connect()
        means.event("setpoint", device=cycler.name, **_as_fields(setpoints))
        await cycler.apply(setpoints)
        known = means.truth is not None and self.carried is None  # the plant counts from here, the step did before
        truth = StepTruth(means.truth, means.plan.channel.name, direction) if known and means.truth else None
        means.energy.begin(what)
        await means.seat.watched()
        means.event("output_on", device=cycler.name)
        await cycler.output(on=True)
        self.begin(limit_s, direction=direction)
        if step.phase is Phase.STIMULUS:
            means.aftermath.begin("first ampere", device=cycler.name)
        self.reason = await wait_for_end(means.stream, self.judge, until_s=self.ends_s) or "timeout"
        live.totals.freeze()
        means.event("output_off", device=cycler.name, why=self.reason)
        await cycler.output(on=False)
        live.end(_now_s())
        idle = Setpoints(setpoints.voltage_v, 0.0, 0.0, 0.0, 0.0)
        means.event("setpoint", device=cycler.name, **_as_fields(idle))
        await cycler.apply(idle)
        means.energy.end(what)
        if isinstance(step, Charge):
            means.seat.charged_s = _now_s()
        if truth is not None:
            self.truth = truth.values()
        if self.reason == "timeout":
            raise self.timed_out(cycler.name, limit_s)

    def _was_over(self, carried: Carried, *, direction: int) -> None:
        """The step had ended when the program died: its results are taken from what it had counted."""
        live = self.means.notebook.live
        self.begin(math.inf, direction=direction)
        self.gap_s = 0.0
        live.end(_now_s())
        live.values.update(carried.last)
        self.reason = carried.ended or ""

    async def _rest(self, step: Rest) -> None:
        self.begin(self.means.worth(step.duration))
        self.reason = await wait_for_end(self.means.stream, self.judge, until_s=self.ends_s) or "duration"
        self.means.notebook.live.end(_now_s())

    async def _chamber(self, step: ChamberSet) -> None:
        chamber = self.means.needed_chamber()
        temperature_c = self.means.worth(step.temperature)
        faults = self.means.plan.check_setpoints(step, temperature_c)
        if faults:
            raise ConfigError(faults)
        self.begin(math.inf)
        watch_heating(self.means, chamber.name, temperature_c)
        self.means.event("setpoint", device=chamber.name, temperature_c=temperature_c)
        await chamber.run_at(temperature_c)
        self.means.notebook.live.end(_now_s())
        self.reason = "set"

    async def _soak(self, step: Soak) -> None:
        limit_s = self.means.worth(step.timeout)
        self.begin(limit_s)
        reason = await wait_for_end(self.means.stream, self.judge, until_s=self.ends_s)
        self.means.notebook.live.end(_now_s())
        if reason is None:
            chamber = self.means.chamber
            raise self.timed_out(chamber.name if chamber is not None else "the sample's place", limit_s)
        self.reason = reason

    async def _measure(self, step: Measure) -> None:
        live = self.means.notebook.live
        means = {name: Follow(name, "mean") for name in ("voltage", "current", "power", "temperature", "ambient")}
        before = live.followed
        for follow in means.values():
            follow.resume()
        live.follow((*before, *means.values()))
        try:
            self.begin(self.means.worth(step.duration))
            await wait_for_end(self.means.stream, None, until_s=self.ends_s)
        finally:
            live.follow(before)
        live.end(_now_s())
        self.more = {name: math.nan if follow.value is None else follow.value for name, follow in means.items()}
        self.reason = "duration"

    async def _confirm(self, step: Confirm) -> None:
        self.begin(math.inf)
        answers = self.means.answers
        self.means.event("asked", text=step.text.en, entries=[entry.name for entry in step.entries])
        given = await answers.ask(step)
        self.means.notebook.live.end(_now_s())
        if given is None:
            self.means.event("unanswered", by=answers.by)
            raise NotConfirmedError(step.text.en)
        self.means.event("answered", by=answers.by, values=dict(given))
        for name, value in given.items():
            if isinstance(value, float):
                self.means.notebook.put(f"entry.{name}", value)
        self.reason = f"answered by {answers.by}"

    def begin(self, limit_s: float, *, direction: int = 0) -> None:
        """The step counts from now, and has ``limit_s`` at most."""
        carried = self.carried
        now_s = _now_s()
        self.begun_s = now_s - (0.0 if carried is None else carried.duration_s)
        self.ends_s = self.begun_s + limit_s
        if self.row_s is not None:
            self.gap_s = now_s - self.row_s
        self.means.notebook.live.begin(now_s, direction=direction, carried=carried)

    def _setpoints(self, step: Regulated) -> Setpoints:
        means = self.means
        current_a = means.worth(step.current) if step.current is not None else means.plan.max_current_a(step)
        power_w = means.worth(step.power) if step.power is not None else means.plan.max_power_w
        voltage_v = means.worth(step.voltage)
        if isinstance(step, Charge):
            return Setpoints(voltage_v, current_a, 0.0, power_w, 0.0)
        return Setpoints(voltage_v, 0.0, current_a, 0.0, power_w)

    def _regulated_end(self, step: Regulated) -> Judge:
        """cc and cp end by the instrument's own going over to constant voltage, or earlier by ``end``; cccv and cv by
        ``end`` alone, once the instrument has settled."""
        means, live, direction = self.means, self.means.notebook.live, _direction(step)
        setpoints = self._setpoints(step)
        power = step.mode == "cp"
        regulation = RegulationEnd(
            live,
            of="power" if power else "current",
            set_value=max(setpoints.source_power_w, setpoints.sink_power_w)
            if power
            else max(setpoints.source_current_a, setpoints.sink_current_a),
            limit_v=setpoints.voltage_v,
            resolution_v=means.plan.voltage_resolution_v,
            direction=direction,
        )
        end: Judge = regulation
        if step.end is not None:
            condition = SettledEnd(ConditionEnd(step.end, live, means.worth), live, regulation)
            end = FirstOf(regulation, condition) if power or step.mode == "cc" else condition
        return WhileRegulated(
            end,
            live,
            device=means.cycler.name,
            direction=direction,
            current_a=max(setpoints.source_current_a, setpoints.sink_current_a),
            power_w=max(setpoints.source_power_w, setpoints.sink_power_w),
            limit_v=setpoints.voltage_v,
            near_v=NEAR_LIMIT_V + (means.plan.reach.volts.accuracy or 0.0),
        )

    def timed_out(self, device: str, limit_s: float) -> StepTimeoutError:
        """What to raise when the step did not end within its time."""
        values = self.means.notebook.live.values
        now = ", ".join(f"{name} {value:.4g}" for name, value in values.items() if name in _SHOWN and _is_number(value))
        return StepTimeoutError(device, f"{self.step.kind} ({self.ends})", f"no end within {_span(limit_s)}; {now}")


def watch_heating(means: Means, device: str, target_c: float) -> None:
    """A chamber on its way counts as energised, one that holds its setpoint does not: the first good reading of its
    air near the setpoint ends it, in this step or a later one. A newer setpoint takes the place of an older."""
    channel = means.plan.channel.chamber_air
    if channel is None:
        return
    means.no_longer_heating()
    what = f"{device} to {target_c:g} degC"
    means.energy.begin(what)

    def look(batch: Batch) -> None:
        near = [
            reading
            for reading in batch
            if reading.channel == channel
            and reading.quality is Quality.GOOD
            and abs(reading.value - target_c) <= HOLDS_K
        ]
        if near or what not in means.energy.what:
            unsubscribe()
            means.energy.end(what)

    unsubscribe = means.stream.subscribe(Stage.STEP, look)


_SHOWN = ("voltage", "current", "temperature", "ambient")


def _is_number(value: float | tuple[float, ...]) -> bool:
    return isinstance(value, float) and not math.isnan(value)


def _direction(step: Regulated) -> int:
    return 1 if isinstance(step, Charge) else -1


def _as_fields(setpoints: Setpoints) -> dict[str, float]:
    return {name: getattr(setpoints, name) for name in Setpoints.__dataclass_fields__}


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _span(time_s: float) -> str:
    if time_s >= 5400.0:
        return f"{time_s / 3600.0:.3g} h"
    return f"{time_s / 60.0:.3g} min" if time_s >= 90.0 else f"{time_s:.3g} s"
