"""The values that a run gathers: results, entries and what was watched - as measured, and as the plant has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bench.live import Follow, Live
from bench.stream import Batch
from bench.waiting import ConditionEnd, Evaluate
from sequences.expressions import Expression, MissingValueError, Values
from sequences.language import Watch

#: What is neither measured nor true but given: the truth may rest on it.
_GIVEN = ("cell.", "param.", "run.sample_mass", "entry.")


@dataclass(frozen=True, slots=True)
class TruthTotals:
    """What really went through the cell's terminals since the plant began, and its highest surface temperature."""

    charged_ah: float
    discharged_ah: float
    charged_wh: float
    discharged_wh: float
    peak_surface_c: float


class TruthProbe(Protocol):
    """The simulated plant's own book-keeping. No device can read it, and no verdict uses it."""

    def totals(self, channel: str) -> TruthTotals:
        """Totals of one bench channel as of now."""
        ...

    def seen(self, channel: str) -> Mapping[str, bool]:
        """What has become of the cell until now: ``fire, explosion, rupture, leak, vent``."""
        ...


class StepTruth:
    """The plant's charge and energy over one step, in the step's direction."""

    def __init__(self, probe: TruthProbe, channel: str, direction: int) -> None:
        self._probe = probe
        self._channel = channel
        self._direction = direction
        self._before = probe.totals(channel)

    def values(self) -> dict[str, float]:
        now, before = self._probe.totals(self._channel), self._before
        charge_ah = (now.charged_ah - before.charged_ah) - (now.discharged_ah - before.discharged_ah)
        energy_wh = (now.charged_wh - before.charged_wh) - (now.discharged_wh - before.discharged_wh)
        sign = self._direction
        return {
            "charge": max(0.0, sign * charge_ah) if sign else abs(charge_ah),
            "energy": max(0.0, sign * energy_wh) if sign else abs(energy_wh),
        }


class Watched:
    """One ``watch`` of the sequence: on while a step that it covers is under way.

    A watch with a condition is ``held`` once the condition was; ``condition`` looks at each batch.
    """

    def __init__(self, watch: Watch, live: Live, evaluate: Evaluate) -> None:
        self.name = f"watch.{watch.name}"
        self.follow = Follow(watch.of or "", watch.take or "")
        self.true_peak = watch.of == "temperature" and watch.take == "max"
        self.condition = None if watch.when is None else ConditionEnd(watch.when, live, evaluate)
        self.held = False
        self._during = frozenset(watch.during)

    def look(self, batch: Batch) -> None:
        """Whether the condition holds now, while it is followed."""
        if self.condition is not None and self.follow.on and not self.held:
            self.held = self.condition(batch) is not None

    def covers(self, ids: frozenset[str]) -> bool:
        return not self._during or bool(self._during & ids)


class Notebook:
    """Everything an expression may ask for once a step has ended.

    ``live.values`` is where measured values stand, so that conditions find them there. A result that was taken in a
    repeat is a tuple, one value a turn. The plant tells charge, energy and the peak of the surface temperature (since
    the plant began); a result that rests on anything else that was measured has no truth.
    """

    def __init__(self, static: Mapping[str, float], live: Live, watches: tuple[Watch, ...]) -> None:
        self.live = live
        self.live.values.update(static)
        self.watched = tuple(Watched(watch, live, self._known) for watch in watches)
        self._conditions = tuple(watched for watched in self.watched if watched.condition is not None)
        self._truth: dict[str, float | tuple[float, ...]] = {}
        live.follow(watched.follow for watched in self.watched if watched.condition is None)

    def look(self, batch: Batch) -> None:
        """Ask the conditions that are watched. To be called with every batch, after ``live`` has it."""
        for watched in self._conditions:
            watched.look(batch)

    def _known(self, expression: Expression) -> float:
        value = self.evaluate(expression)
        return math.nan if value is None else value

    def evaluate(self, expression: Expression, more: Mapping[str, float] | None = None) -> float | None:
        """Its measured worth now; None if a value is missing, or if it comes to no number."""
        return _worth(expression, {**self.live.values, **more} if more else self.live.values)

    def evaluate_truth(self, expression: Expression, more: Mapping[str, float] | None = None) -> float | None:
        """Its true worth; None if it rests on anything that was measured and that the plant does not tell."""
        given = {name: value for name, value in self.live.values.items() if name.startswith(_GIVEN)}
        return _worth(expression, {**given, **self._truth, **(more or {})})

    def put(self, name: str, value: float) -> None:
        """Set one value (``entry.humidity``, ``run.sample_mass``) that does not come from readings."""
        self.live.values[name] = value

    def take(
        self,
        name: str,
        expression: Expression,
        *,
        repeated: bool,
        more: Mapping[str, float],
        truth: Mapping[str, float],
    ) -> float | None:
        """Take one result of a step, measured and true. Gives the measured one."""
        value = self.evaluate(expression, more)
        self._append(self.live.values, f"result.{name}", value, repeated=repeated)
        duration_s = self.live.values["duration"]  # the clock's, the same for both
        known = {**truth, "duration": duration_s if isinstance(duration_s, float) else math.nan}
        self._append(self._truth, f"result.{name}", self.evaluate_truth(expression, known), repeated=repeated)
        return value

    def put_truth(self, name: str, value: float) -> None:
        """Set what the plant says of a name."""
        self._truth[name] = value

    def put_result(self, name: str, value: float) -> None:
        self.live.values[f"result.{name}"] = value

    def restore(self, name: str, value: float | None, *, repeated: bool) -> None:
        """Put a result back that was taken before the program died. What is true of it is not known any more."""
        self._append(self.live.values, f"result.{name}", value, repeated=repeated)

    def watched_state(self) -> dict[str, dict[str, float | None]]:
        """Where every watch stands, for the record: enough to go on with."""
        return {
            watched.name: {**watched.follow.state, "held": float(watched.held)}
            for watched in self.watched
            if watched.held or watched.follow.value is not None
        }

    def restore_watched(self, states: Mapping[str, Mapping[str, float | None]]) -> None:
        """Go on with what ``watched_state`` said."""
        for watched in self.watched:
            state = states.get(watched.name)
            if state is None:
                continue
            watched.follow.restore(state)
            watched.held = bool(state.get("held"))
            if watched.condition is not None:
                self.live.values[watched.name] = float(watched.held)
            elif watched.follow.value is not None:
                self.live.values[watched.name] = watched.follow.value

    def turns(self, name: str) -> tuple[float, ...]:
        """The values of a result over its turns so far."""
        value = self.live.values.get(f"result.{name}", ())
        return value if isinstance(value, tuple) else (value,)

    def begin_step(self, ids: frozenset[str]) -> None:
        """Follow what the sequence watches during any of these steps."""
        for watched in self.watched:
            if watched.covers(ids):
                watched.follow.resume()

    def end_step(self, truth: TruthTotals | None) -> None:
        for watched in self.watched:
            follow = watched.follow
            if not follow.on:
                continue
            follow.pause()
            if watched.condition is not None:
                self.live.values[watched.name] = float(watched.held)
            elif follow.value is not None:
                self.live.values[watched.name] = follow.value
            if watched.true_peak and truth is not None:
                self._truth[watched.name] = truth.peak_surface_c

    @staticmethod
    def _append(
        values: dict[str, float | tuple[float, ...]], name: str, value: float | None, *, repeated: bool
    ) -> None:
        worth = math.nan if value is None else value
        if not repeated:
            values[name] = worth
            return
        before = values.get(name, ())
        values[name] = (*(before if isinstance(before, tuple) else (before,)), worth)


def _worth(expression: Expression, values: Values) -> float | None:
    try:
        value = expression.evaluate(values)
    except MissingValueError:
        return None
    return None if math.isnan(value) else value
