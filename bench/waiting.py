"""How a step waits: for a condition on the stream, never by asking a device.

A *judge* looks at every batch and gives the reason why the step ends, or None. All times are the readings' own.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Protocol

from bench.live import Live
from bench.stream import Batch, Stage, Stream
from drivers.errors import DeviceError
from sequences.expressions import AllOf, Condition, Expression, Values, When

Evaluate = Callable[[Expression], float]

#: Below this part of its set value the current (or power) is no longer what is being regulated.
REGULATED = 0.98
#: So many readings running must say so.
READINGS_RUNNING = 2
#: A condition on a regulated step is looked at from here on even if the set value was never reached.
SETTLING_READINGS = 3
#: Beyond this part of a set value the instrument does not hold what it was told.
EXCESS = 1.05
#: What current and power readings may stand off beyond either part: steps of the display and noise.
SLACK_A, SLACK_W = 0.05, 5.0
#: One part in 1e9: readings are decimal text, limits are sums of such.
_TINY = 1e-9


class StepTimeoutError(DeviceError):
    """A step did not end within the time its sequence allows. Which side is at fault is not known."""

    default_fix = "compare the step's timeout with the report's plots; look for a current or temperature never reached"


class InstrumentStoppedError(DeviceError):
    """The output gave up by itself, or left its set values: its own protection, its host watchdog, somebody else."""

    default_fix = (
        "read the alarm on the instrument's own display and look for another master of it; nothing is known against "
        "the sample"
    )


class Judge(Protocol):
    def __call__(self, batch: Batch) -> str | None:
        """Why the step ends with this batch, or None."""
        ...

    def text(self) -> str:
        """What will end the step, for a person, as things stand now."""
        ...


async def wait_for_end(stream: Stream, judge: Judge | None, *, until_s: float) -> str | None:
    """Wait until ``judge`` gives a reason, and give it; None if the loop's time reaches ``until_s`` first.

    What the judge raises is raised here, in the step that waits, not in the poller that delivered.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[str | None] = loop.create_future()

    def look(batch: Batch) -> None:
        if done.done() or judge is None:
            return
        try:
            reason = judge(batch)
        except (DeviceError, ArithmeticError, ValueError, LookupError) as error:
            done.set_exception(error)
            return
        if reason is not None:
            done.set_result(reason)

    def expire() -> None:
        if not done.done():
            done.set_result(None)

    unsubscribe = stream.subscribe(Stage.STEP, look)
    timer = loop.call_at(until_s, expire)
    try:
        return await done
    finally:
        timer.cancel()
        unsubscribe()


class _Sustained:
    """One comparison that must have held, reading after reading, for so long."""

    def __init__(self, when: When, evaluate: Evaluate) -> None:
        self._when = when
        self._for_s = evaluate(when.sustained) if when.sustained is not None else 0.0
        self._since_s = math.nan

    def met(self, values: Values, t_s: float) -> bool:
        if not self._when.holds(values):
            self._since_s = math.nan
            return False
        if math.isnan(self._since_s):
            self._since_s = t_s
        return t_s - self._since_s >= self._for_s - _TINY


class ConditionEnd:
    """A condition of the sequence, looked at whenever a batch brings something of what is live.

    ``any`` and ``all`` look at every part each time, so that each part's own "for" keeps counting.
    """

    def __init__(self, condition: Condition, live: Live, evaluate: Evaluate) -> None:
        self._live = live
        self._held = _evaluator(condition, evaluate)
        self._text = str(condition)

    def __call__(self, batch: Batch) -> str | None:
        if not self._live.seen:
            return None
        return self._held(self._live.values, batch[-1].mono_s)

    def text(self) -> str:
        return f"until {self._text}"


class RegulationEnd:
    """The end of a constant-current or constant-power phase (domain, "The instrument regulates").

    First of: the voltage within one resolution step of its limit; or the regulated magnitude (``of``: current or
    power), once it has reached its set value, below 98 % of it in two readings running, which is the instrument
    going over to hold the voltage. ``reached``: the set value was seen.
    """

    def __init__(
        self, live: Live, *, of: str, set_value: float, limit_v: float, resolution_v: float, direction: int
    ) -> None:
        self._live = live
        self._of = of
        self._floor = REGULATED * set_value
        self._set_value = set_value
        self._limit_v = limit_v
        self._near_v = limit_v - direction * resolution_v
        self._direction = direction
        self.reached = False
        self._below = 0

    def __call__(self, batch: Batch) -> str | None:  # noqa: ARG002 - live has taken the batch in before
        if not self._live.saw_terminal:
            return None
        values = self._live.values
        voltage_v, regulated = values["voltage"], values[self._of]
        if not isinstance(voltage_v, float) or not isinstance(regulated, float):
            return None
        if self._direction * (voltage_v - self._near_v) >= -_TINY:
            return f"voltage at its limit of {self._limit_v:.3f} V"
        magnitude = abs(regulated)
        if magnitude >= self._floor:
            self.reached = True
            self._below = 0
        elif self.reached and magnitude < self._floor:  # NaN is neither
            self._below += 1
            if self._below >= READINGS_RUNNING:
                return f"{self._of} below {100 * REGULATED:.0f} % of its set value"
        return None

    def text(self) -> str:
        return f"until voltage reaches {self._limit_v:.3f} V"


class SettledEnd:
    """``then`` counts only once the instrument has settled: set current reached, or the voltage at its limit, or three
    readings gone by. The first reading after switch-on may show the current still on its way up."""

    def __init__(self, then: Judge, live: Live, reached: RegulationEnd) -> None:
        self._then = then
        self._live = live
        self._reached = reached
        self._readings = 0

    def __call__(self, batch: Batch) -> str | None:
        if self._readings < SETTLING_READINGS:
            if not self._live.saw_terminal:
                return None
            self._readings += 1
            if self._reached(batch) is not None or self._reached.reached:
                self._readings = SETTLING_READINGS
            elif self._readings < SETTLING_READINGS:
                return None
        return self._then(batch)

    def text(self) -> str:
        return self._then.text()


class WhileRegulated:
    """``then`` is asked only while the instrument does what it was told: 98 % of its set current or power at least
    unless the voltage is within ``near_v`` of its limit, and never more than 105 % of either. An output that has gone
    off by itself, or was set lower by somebody else, looks like a current that has fallen, and would end a charge or a
    discharge as if the sample were full or empty; one that was set higher would test at another rate than it says.

    Raises InstrumentStoppedError after two such readings running, the first three after switch-on not counted.
    """

    def __init__(
        self,
        then: Judge,
        live: Live,
        *,
        device: str,
        direction: int,
        current_a: float,
        power_w: float,
        limit_v: float,
        near_v: float,
    ) -> None:
        self._then = then
        self._live = live
        self._device = device
        self._direction = direction
        self._least_a, self._most_a = REGULATED * current_a - SLACK_A, EXCESS * current_a + SLACK_A
        self._least_w, self._most_w = REGULATED * power_w - SLACK_W, EXCESS * power_w + SLACK_W
        self._limit_v = limit_v
        self._near_v = near_v
        self._readings = 0
        self._stopped = 0

    def __call__(self, batch: Batch) -> str | None:
        if self._live.saw_terminal:
            self._look()
        return None if self._stopped else self._then(batch)

    def text(self) -> str:
        return self._then.text()

    def _look(self) -> None:
        values = self._live.values
        voltage_v, current_a, power_w = values["voltage"], values["current"], values["power"]
        if not isinstance(voltage_v, float) or not isinstance(current_a, float) or not isinstance(power_w, float):
            return
        self._readings += 1
        flowing_a, given_w = self._direction * current_a, self._direction * power_w
        too_much = flowing_a > self._most_a or given_w > self._most_w
        held = flowing_a >= self._least_a or given_w >= self._least_w
        obeys = not too_much and (held or abs(voltage_v - self._limit_v) <= self._near_v)
        if obeys or self._readings <= SETTLING_READINGS:
            self._stopped = 0
        elif not math.isnan(power_w):
            self._stopped += 1
        if self._stopped >= READINGS_RUNNING:
            went = "rose" if too_much else "fell"
            raise InstrumentStoppedError(
                self._device,
                "regulating",
                f"its current {went} to {current_a:.3g} A at {voltage_v:.3f} V, limit {self._limit_v:.3f} V",
            )


class FirstOf:
    """Whichever of several judges gives a reason first; all of them see every batch."""

    def __init__(self, *judges: Judge) -> None:
        self._judges = judges

    def __call__(self, batch: Batch) -> str | None:
        reasons = [judge(batch) for judge in self._judges]
        return next((reason for reason in reasons if reason is not None), None)

    def text(self) -> str:
        return " or ".join(judge.text() for judge in self._judges)


class SoakEnd:
    """``of`` (ambient, or every good surface point) within ``target_c +- tolerance_k`` for ``duration_s`` on end.

    A reading outside, or none that is good, starts the time anew.
    """

    def __init__(self, live: Live, *, of: str, target_c: float, tolerance_k: float, duration_s: float) -> None:
        self._live = live
        self._of = of
        self._low_c = target_c - tolerance_k - _TINY
        self._high_c = target_c + tolerance_k + _TINY
        self._duration_s = duration_s
        self._since_s = math.nan
        self._last_s = math.nan
        self._text = f"{of} within {target_c:g} +- {tolerance_k:g} degC for {duration_s:g} s"

    def __call__(self, batch: Batch) -> str | None:
        if not self._live.saw(self._of):
            return None
        coolest_c, warmest_c = self._live.span_c(self._of)
        t_s = self._last_s = batch[-1].mono_s
        if not (self._low_c <= coolest_c and warmest_c <= self._high_c):
            self._since_s = math.nan
            return None
        if math.isnan(self._since_s):
            self._since_s = t_s
        return self._text if t_s - self._since_s >= self._duration_s - _TINY else None

    def text(self) -> str:
        return f"until {self._text}"

    @property
    def remaining_s(self) -> float | None:
        """What is left of the soak if nothing leaves the band; None while outside."""
        return None if math.isnan(self._since_s) else max(0.0, self._duration_s - (self._last_s - self._since_s))


def _evaluator(condition: Condition, evaluate: Evaluate) -> Callable[[Values, float], str | None]:
    """Gives, at each look, the part of the condition that holds: the branch of an ``any``, the whole of an ``all``."""
    if isinstance(condition, When):
        sustained, text = _Sustained(condition, evaluate), str(condition)
        return lambda values, t_s: text if sustained.met(values, t_s) else None
    parts = [_evaluator(part, evaluate) for part in condition.parts]
    whole = str(condition) if isinstance(condition, AllOf) else None

    def held(values: Values, t_s: float) -> str | None:
        reasons = [part(values, t_s) for part in parts]
        if whole is not None:
            return None if None in reasons else whole
        return next((reason for reason in reasons if reason is not None), None)

    return held
