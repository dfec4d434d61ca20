"""What of a plan can hurt next, and in about how long: from the tree of steps and what each is expected to take."""

from __future__ import annotations

from dataclasses import dataclass

from bench.binding.steps import where_is
from bench.plan import Plan
from sequences.language import Phase, Repeat, RepeatUntilStable, Step

Steps = tuple[Step, ...]
Number = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ahead:
    """The next hazardous step, and the seconds from the end of the step under way to its begin. ``here_s`` is what the
    step under way is expected to take in all."""

    what: str
    after_s: float
    here_s: float

    def in_s(self, step_s: float, remaining_s: float | None) -> float:
        """Seconds from now, the step under way being ``step_s`` old. What people take to answer counts nothing."""
        left_s = max(0.0, self.here_s - step_s) if remaining_s is None else remaining_s
        return left_s + self.after_s


def ahead(plan: Plan, path: str) -> Ahead | None:
    """The next step of the stimulus after the one at ``path`` ("4/2/1": step 4, its second turn, step 1); None where
    there is none."""
    seen = _Seen(plan)
    found = seen.after(plan.sequence.steps, tuple(map(int, path.split("/"))), ())
    return None if seen.what is None else Ahead(seen.what, found, seen.here_s)


class _Seen:
    """One look along the steps. Each method gives the seconds that pass until what it finds, or until its end where it
    finds nothing; what is found is ``what``."""

    def __init__(self, plan: Plan) -> None:
        self.what: str | None = None
        self.here_s = 0.0
        self._plan = plan

    def after(self, steps: Steps, path: Number, above: Number) -> float:
        at, here, passed_s = path[0], steps[path[0] - 1], 0.0
        if isinstance(here, Repeat | RepeatUntilStable) and len(path) > 2:
            passed_s = self.after(here.steps, path[2:], (*above, at))
            left = max(0, _turns(here) - path[1])
            if self.what is None and left:
                turn_s = self.along(here.steps, (*above, at))
                passed_s += turn_s if self.what is not None else left * turn_s
        else:
            self.here_s = self._plan.step_seconds(here)
        return passed_s if self.what is not None else passed_s + self.along(steps, above, first=at + 1)

    def along(self, steps: Steps, above: Number, *, first: int = 1) -> float:
        passed_s = 0.0
        for at, step in enumerate(steps[first - 1 :], first):
            number = (*above, at)
            if step.phase is Phase.STIMULUS:
                self.what = where_is(self._plan.sequence, number, step)
            elif isinstance(step, Repeat | RepeatUntilStable):
                turn_s = self.along(step.steps, number)
                passed_s += turn_s if self.what is not None else _turns(step) * turn_s
            else:
                passed_s += self._plan.step_seconds(step)
            if self.what is not None:
                break
        return passed_s


def _turns(step: Repeat | RepeatUntilStable) -> int:
    """How many there are; where that is open, the fewest that can do."""
    return step.count if isinstance(step, Repeat) else step.stable.last
