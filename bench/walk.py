"""Walks the steps of a plan in order, with their repeats, and keeps what they leave behind."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.house import Gate, open_gate
from bench.live import Carried
from bench.means import Means
from bench.notebook import TruthTotals
from bench.observing import Observer, StepEnded, StepStarted
from bench.recorder import LogRuleSI, Recorder
from bench.replay import as_data, restore
from bench.resumption import Resumption
from bench.return_to import come_back
from bench.steps import Leaf, StepRun
from sequences.language import (
    Call,
    Charge,
    Discharge,
    Hold,
    Judge,
    LogRule,
    Measure,
    Observe,
    Phase,
    Quarantine,
    Repeat,
    RepeatUntilStable,
    Rest,
    Step,
)
from sequences.tree import walk_steps


@dataclass(frozen=True, slots=True)
class _Where:
    """The place of a step in the tree: its path, the ids that enclose it, and whether it stands in a repeat."""

    path: tuple[int, ...] = ()
    ids: frozenset[str] = frozenset()
    repeated: bool = False

    def below(self, number: int, step: Step) -> _Where:
        ids = self.ids if step.id is None else self.ids | {step.id}
        return _Where((*self.path, number), ids, self.repeated)

    def turn(self, number: int) -> _Where:
        return _Where((*self.path, number), self.ids, repeated=True)

    def __str__(self) -> str:
        return "/".join(map(str, self.path))


class Walk:
    """One walk through a sequence. ``under_way`` is the step that runs now, for whoever shows progress.

    ``phase`` is that of the newest step, None before the first. Raises whatever ends a step.
    """

    def __init__(
        self,
        means: Means,
        recorder: Recorder,
        observer: Observer,
        resumed: Resumption | None = None,
        gate: Gate = open_gate,
    ) -> None:
        self.phase: Phase | None = None
        self.under_way: StepRun | None = None
        self.path = ""
        self.longest_log_interval_s = 0.0
        self.reached = 1
        self._means = means
        self._recorder = recorder
        self._observer = observer
        self._gate = gate
        self._count = 0
        self._observed: set[int] = set()
        self._took_s: dict[int, float] = {}
        self._here: _Where | None = None
        self._resumed = resumed
        self._carried: Carried | None = None
        #: What is left of the way to where a resumed run goes on: step, turn, step, ...
        self._way: tuple[int, ...] = ()

    async def run(self) -> None:
        """Every step in order. Afterwards, or when a step was broken off, ``reached`` is the top step it came to.

        A resumed run first brings back what it knew and the temperature that its sample had, then goes on.
        """
        if self._resumed is not None:
            await self._take_up(self._resumed)
        first = self._way[0] if self._way else 1
        for number, step in enumerate(self._means.plan.sequence.steps, 1):
            if number < first:
                continue
            self.reached = number
            await self._steps((step,), _Where(), first=number)
        self.reached = len(self._means.plan.sequence.steps) + 1

    async def observe(self) -> None:
        """After a trip from the stimulus on: the observation that the sequence still asks for, from the step that was
        broken off. Nothing is energised and nothing moves, so nobody is waited for. Entered again it goes on with the
        step that it was broken off in."""
        self._gate = open_gate
        for number, top in enumerate(self._means.plan.sequence.steps, 1):
            for _, step in walk_steps((top,)) if number >= self.reached else ():
                still = isinstance(step, Observe | Judge | Quarantine | Hold | Rest | Measure)
                if still and step.phase is Phase.OBSERVATION and id(step) not in self._observed:
                    await self._steps((step,), _Where(), first=number)
                    self._observed.add(id(step))

    def last_took_s(self) -> float | None:
        """How long the step under way took in the turn before."""
        return None if self.under_way is None else self._took_s.get(id(self.under_way.step))

    def take_broken_off(self, more: Mapping[str, float]) -> None:
        """The results of the step that a trip broke off, now that ``more`` of it is known."""
        if self.under_way is not None and self._here is not None:
            self.under_way.more = dict(more)
            results = self._take_results(self.under_way, self._here)
            self._means.event("step_broken_off", path=self.path, results=results)

    async def _take_up(self, resumed: Resumption) -> None:
        self._way, self._count = resumed.path, resumed.index
        self._carried = restore(resumed, self._means.plan, self._means.notebook)
        self.longest_log_interval_s = resumed.longest_log_interval_s
        await come_back(self._means, resumed)

    async def _steps(self, steps: Sequence[Step], where: _Where, *, first: int = 1) -> None:
        for number, step in enumerate(steps, first):
            if self._way and number < self._way[0]:
                continue
            here = where.below(number, step)
            turn, self._way = (self._way[1], self._way[2:]) if len(self._way) > 1 else (1, ())
            match step:
                case Repeat():
                    for each in range(turn, step.count + 1):
                        await self._turn(step, here, each)
                case RepeatUntilStable():
                    await self._until_stable(step, here, turn)
                case Call():
                    raise ValueError(f"step {here}: the call of {step.sequence} was not expanded")
                case _:
                    await self._leaf(step, here)

    async def _turn(self, step: Repeat | RepeatUntilStable, here: _Where, turn: int) -> None:
        if not self._way:  # a resumed run is in its turn already
            self._means.event("turn_started", path=str(here), id=step.id, turn=turn)
        await self._steps(step.steps, here.turn(turn))

    async def _until_stable(self, step: RepeatUntilStable, here: _Where, first: int) -> None:
        notebook, stable = self._means.notebook, step.stable
        within = self._means.worth(stable.within)
        reached, turn = False, first - 1
        while not reached and turn < step.at_most:
            turn += 1
            await self._turn(step, here, turn)
            last = notebook.turns(stable.result)[-stable.last :]
            reached = len(last) == stable.last and max(last) - min(last) < within
            self._means.event("turn_ended", path=str(here), id=step.id, turn=turn, last=list(last), stable=reached)
        notebook.put_result(f"{step.id}_stable", 1.0 if reached else 0.0)
        notebook.put_result(f"{step.id}_turns", float(turn))

    async def _leaf(self, step: Leaf, here: _Where) -> None:
        means, notebook = self._means, self._means.notebook
        if self._is_done(here):
            return
        await self._gate(step)
        carried, self._carried = self._carried, None
        self._count += carried is None
        index, path, name = self._count, str(here), step.id or (step.title.en if step.title else step.kind)
        run = StepRun(step, means, carried=carried)
        if carried is not None and self._resumed is not None:
            run.row_s = self._resumed.row_s
        run.prepare()
        self.phase, self.path = step.phase, path
        means.seat.enter(step.phase)
        means.energy.watch(closely=step.phase is not Phase.CONDITIONING)
        begun = {"step": index, "path": path, "step_kind": step.kind, "id": step.id, "phase": step.phase}
        if carried is None:
            means.event("step_started", **begun, ends=run.ends)
        else:
            means.event("step_resumed", **begun, ends=run.ends, carried=as_data(carried))
        self._recorder.begin_step(index, path, self._log_rule(step.log))
        self._observer(StepStarted(index, path, len(here.path), step.kind, name, step.phase, run.ends))
        self.under_way, self._here = run, here
        notebook.begin_step(here.ids)
        begun_s = asyncio.get_running_loop().time()
        try:
            await run.run()
        finally:
            notebook.end_step(self._truth())
            self._note_log_interval(step)
        took_s = asyncio.get_running_loop().time() - begun_s
        self._took_s[id(step)] = took_s
        results = self._take_results(run, here)
        watched = {"watched": means.notebook.watched_state()} if means.notebook.watched else {}
        means.event(
            "step_ended", step=index, path=path, why=run.reason, took_s=round(took_s, 6), results=results, **watched
        )
        self._observer(StepEnded(index, path, len(here.path), run.reason, took_s, results))
        self.under_way = None

    def _is_done(self, here: _Where) -> bool:
        """Whether a resumed run had ended this step already."""
        resumed, done = self._resumed, False
        if resumed is not None and resumed.how == "next" and resumed.path == here.path:
            self._resumed, done = None, True
        return done

    def _take_results(self, run: StepRun, here: _Where) -> dict[str, float]:
        more = run.more or {}
        taken = {
            name: self._means.notebook.take(name, expr, repeated=here.repeated, more=more, truth=run.truth or {})
            for name, expr in run.step.results.items()
        }
        return {name: value for name, value in taken.items() if value is not None}

    def _log_rule(self, rule: LogRule | None) -> LogRuleSI:
        rule = rule or self._means.plan.sequence.log
        worth = self._means.worth
        return LogRuleSI(
            every_s=worth(rule.every),
            voltage_v=None if rule.voltage is None else worth(rule.voltage),
            current_a=None if rule.current is None else worth(rule.current),
            temperature_c=None if rule.temperature is None else worth(rule.temperature),
        )

    def _note_log_interval(self, step: Leaf) -> None:
        """The longest time between two stored rows, of the steps in which current flows."""
        longest_s = self._recorder.take_longest_interval_s()
        aftermath = self._means.aftermath
        if aftermath.begun and (aftermath.ended_s is None or isinstance(step, Observe)):
            aftermath.longest_interval_s = max(aftermath.longest_interval_s, longest_s)
        if isinstance(step, Charge | Discharge):
            longest_s = max(longest_s, 0.0 if self.under_way is None else self.under_way.gap_s)
            self.longest_log_interval_s = max(self.longest_log_interval_s, longest_s)
            self._means.notebook.put("run.longest_log_interval", self.longest_log_interval_s)

    def _truth(self) -> TruthTotals | None:
        truth = self._means.truth
        return None if truth is None else truth.totals(self._means.plan.channel.name)
