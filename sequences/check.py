"""The check of a whole sequence, once each field is well-formed: names, units, limits, order, calls."""

from __future__ import annotations

from collections.abc import Callable, Collection

from drivers import BASE, ConfigError, Dimension, unit_of
from sequences.calls import expand
from sequences.check_order import check_order
from sequences.check_resume import check_resume
from sequences.check_tables import FIELDS, LOG_FIELDS, MODES, RESULTS_OF
from sequences.check_values import Finding, ValueChecker, surely_more
from sequences.dimensions import name_of
from sequences.expressions import Symbols
from sequences.language import (
    Call,
    Charge,
    Confirm,
    Criterion,
    Discharge,
    Entry,
    Heat,
    Judge,
    LogRule,
    Observe,
    Parameter,
    Repeat,
    RepeatUntilStable,
    Sequence,
    SequenceClass,
    Soak,
    Step,
    StepBase,
    Watch,
)
from sequences.names import FIXED, INSTANT, JUDGEMENT, RUN, START, nearest
from sequences.tree import Path, declared, stable_names, walk_steps, watch_kind

#: Gives a sequence by its id; ``inside`` are the ids that are being read, outermost first. Raises ConfigError.
Library = Callable[[str, tuple[str, ...]], Sequence]


def check(
    sequence: Sequence, library: Library, *, inside: tuple[str, ...] = (), unsure: Collection[str] = ()
) -> tuple[list[Finding], Symbols]:
    """Every slip of a sequence, and what each of its names is.

    ``unsure`` are names whose declaration is itself at fault: they pass unquestioned. ``inside`` are the ids of the
    sequences that called this one.
    """
    checker = _Checker(sequence, library, (*inside, sequence.id), unsure)
    checker.check()
    return checker.findings, {**FIXED, **checker.known}


class _Checker(ValueChecker):
    """The walk, and the checks of each part."""

    def __init__(self, sequence: Sequence, library: Library, inside: tuple[str, ...], unsure: Collection[str]) -> None:
        taken = {name for _, step in walk_steps(sequence.steps) for name in declared(step)}
        answers = {name for name in taken if name.startswith(JUDGEMENT)}
        later = taken - answers
        at_end = {f"watch.{watch.name}" for watch in sequence.watch} | set(RUN) | answers
        super().__init__(unsure=set(unsure) - taken, later=later, at_end=at_end)
        self._sequence = sequence
        self._whole = not unsure
        self._library = library
        self._inside = inside
        self._ids: set[str] = set()
        self._judged: set[str] = set()
        self._answers: dict[str, Dimension | None] = {}

    def check(self) -> None:
        """Walk the whole sequence once, in the order in which it runs."""
        sequence = self._sequence
        for name, parameter in sequence.parameters.items():
            self._parameter(name, parameter)
        self._log(sequence.log, ("log",))
        self._steps(sequence.steps, ("steps",))
        for index, watch in enumerate(sequence.watch):
            self._watch(watch, ("watch", index))
        self.known |= self._answers
        self._results(sequence)
        for index, criterion in enumerate(sequence.criteria):
            self._criterion(criterion, ("criteria", index))
        self.findings += check_order(sequence, self._callee, whole=self._whole)

    # -- the parts of a sequence -------------------------------------------------------------------------------

    def _parameter(self, name: str, parameter: Parameter) -> None:
        path: Path = ("parameters", name)
        kind = self._infer(parameter.default, (*path, "default"), {})
        for key, bound in (("at_least", parameter.at_least), ("at_most", parameter.at_most)):
            if bound is None:
                continue
            if kind is not None:
                self._field(bound, (*path, key), kind)
            low, high = (bound, parameter.default) if key == "at_least" else (parameter.default, bound)
            if surely_more(low, high):
                error = f"the default {parameter.default} is outside {key} {bound}"
                self._slip((*path, "default"), error, "move the default or the bound")
        self.known[f"param.{name}"] = kind

    def _log(self, rule: LogRule, path: Path) -> None:
        for name, (wanted, positive) in LOG_FIELDS.items():
            value = getattr(rule, name)
            if value is not None:
                self._field(value, (*path, name), wanted, positive=positive)

    def _steps(self, steps: tuple[Step, ...], path: Path) -> None:
        for index, step in enumerate(steps):
            here = (*path, index, step.kind)
            self._step(step, here)
            if isinstance(step, Repeat | RepeatUntilStable):
                self._steps(step.steps, (*here, "steps"))
            self._take_results(step, here)

    def _step(self, step: Step, path: Path) -> None:
        if step.id is not None:
            if step.id in self._ids:
                self._slip((*path, "id"), f"the id {step.id!r} is already taken", "give every step an id of its own")
            self._ids.add(step.id)
        if step.log is not None:
            self._log(step.log, (*path, "log"))
        if step.resume is not None:
            self.findings += check_resume(step, self._sequence, path)
        for name, (wanted, positive) in FIELDS.get(step.kind, {}).items():
            value = getattr(step, name)
            if value is not None:
                self._field(value, (*path, name), wanted, positive=positive)
        end = getattr(step, "end", None)
        if end is not None:
            self._condition(end, (*path, "end"))
        self._own_rules(step, path)

    def _own_rules(self, step: Step, path: Path) -> None:
        match step:
            case Charge() | Discharge():
                self._mode(step, path)
            case Soak():
                self._soak(step, path)
            case Confirm():
                self._confirm(step, path)
            case Call():
                self._call(step, path)
            case Heat(by="heater", ramp=ramp) if ramp is not None:
                error = "a heater is switched on, it follows no ramp"
                self._slip((*path, "ramp"), error, "remove it, or write by: chamber", key=True)
            case Observe():
                self._observe(step, path)
            case Judge():
                for index, question in enumerate(step.questions):
                    self._declare(f"{JUDGEMENT}{question.name}", Dimension.NUMBER, (*path, "questions", index, "name"))
            case _:
                pass

    def _mode(self, step: Charge | Discharge, path: Path) -> None:
        needs, refuses = MODES[step.mode]
        for name in needs:
            if getattr(step, name) is None:
                example = "'end: current <= 0.05 I1'" if name == "end" else f"'{name}: ...'"
                self._slip(path, f"{step.kind} in mode {step.mode} needs {name}", f"add {example}", key=True)
        for name in refuses:
            if getattr(step, name) is not None:
                error = f"{name} has no meaning in mode {step.mode}"
                self._slip((*path, name), error, "remove it, or use mode cp", key=True)

    def _soak(self, step: Soak, path: Path) -> None:
        if surely_more(step.duration, step.timeout):
            error = f"a soak of {step.duration} can never end within {step.timeout}"
            self._slip((*path, "timeout"), error, "make timeout longer than duration")

    def _observe(self, step: Observe, path: Path) -> None:
        if surely_more(step.duration, step.at_most):
            error = f"an observation of {step.duration} is cut off at {step.at_most}"
            self._slip((*path, "at_most"), error, "make at_most longer than duration")

    def _confirm(self, step: Confirm, path: Path) -> None:
        for index, entry in enumerate(step.entries):
            here = (*path, "entries", index)
            if (entry.example is None) is not entry.text:
                fix = "give an example such as '45 %' for a value, or text: true for words"
                self._slip(here, f"entry {entry.name} needs either an example or text: true", fix)
            kind = None if entry.example is None else self._infer(entry.example, (*here, "example"), {})
            self._bounds(entry, kind, here)
            if entry.example is not None:
                self._declare(f"entry.{entry.name}", kind, (*here, "name"))

    def _bounds(self, entry: Entry, kind: Dimension | None, here: Path) -> None:
        """What an entry can be at all is known before anything runs, and holds its own example."""
        for key, bound in (("at_least", entry.at_least), ("at_most", entry.at_most)):
            if bound is None:
                continue
            if entry.example is None:
                self._slip((*here, key), f"entry {entry.name} is words", "remove the bound", key=True)
                continue
            if kind is not None:
                self._field(bound, (*here, key), kind)
            if bound.names - self._unsure.keys():
                self._slip((*here, key), f"{bound} is no fixed quantity", "write a quantity such as 10 %")
            low, high = (bound, entry.example) if key == "at_least" else (entry.example, bound)
            if surely_more(low, high):
                error = f"the example {entry.example} is outside {key} {bound}"
                self._slip((*here, "example"), error, "move the example or the bound")

    def _take_results(self, step: Step, path: Path) -> None:
        """A step ends: its results get their values, which do not see each other."""
        if step.results and isinstance(step, Repeat | RepeatUntilStable | Call):
            error = f"a {step.kind.replace('_', ' ')} takes no results of its own"
            self._slip((*path, "results"), error, "write them in its steps, or in the sequence's results", key=True)
        also = RESULTS_OF.get(step.kind, {})
        kinds = {name: self._infer(value, (*path, "results", name), also) for name, value in step.results.items()}
        for name, kind in kinds.items():
            self._declare(f"result.{name}", kind, (*path, "results", name))
        if isinstance(step, RepeatUntilStable):
            self._stable(step, path)
            for name in stable_names(step.id):
                self._declare(f"result.{name}", Dimension.NUMBER, (*path, "id"))

    def _declare(self, name: str, kind: Dimension | None, path: Path) -> None:
        """A name gets its value. A person's answers wait for the run's end: nothing in a run may hang on them."""
        names = self._answers if name.startswith(JUDGEMENT) else self.known
        if name in names:
            self._slip(path, f"{name} is already taken", "give every result and entry a name of its own", key=True)
        else:
            names[name] = kind

    def _stable(self, step: RepeatUntilStable, path: Path) -> None:
        name = f"result.{step.stable.result}"
        own = {taken for inner in step.steps for taken in (*declared(inner), *self._called(inner))}
        if name not in own and name not in self._unsure:
            near = nearest(name, own)
            fix = f"did you mean {near.removeprefix('result.')}?" if near else "name a result of its own steps"
            self._slip((*path, "stable", "result"), f"{name} is not taken once a turn by this repeat", fix)
        if step.stable.last > step.at_most:
            error = f"{step.stable.last} turns are to agree, but there are at most {step.at_most}"
            self._slip((*path, "at_most"), error, "allow as many turns as are to agree")
        kind = self.known.get(name)
        if kind is not None:
            wanted = Dimension.TEMPERATURE_CHANGE if kind is Dimension.TEMPERATURE else kind
            self._field(step.stable.within, (*path, "stable", "within"), wanted, positive=True)

    # -- calls -------------------------------------------------------------------------------------------------

    def _callee(self, step: Call) -> Sequence | None:
        """The called sequence without calls of its own, or None if it cannot be had."""
        if step.sequence in self._inside:
            return None
        try:
            return expand(self._library(step.sequence, self._inside), lambda name: self._library(name, self._inside))
        except ConfigError:
            return None

    def _called(self, step: StepBase) -> dict[str, Dimension | None]:
        """The names that a call brings along."""
        callee = self._callee(step) if isinstance(step, Call) else None
        if callee is None:
            return {}
        prefix = f"{step.id}_" if step.id else ""
        names = {name: kind for _, inner in walk_steps(callee.steps) for name, kind in declared(inner).items()}
        return {name.replace(".", f".{prefix}", 1): kind for name, kind in names.items()}

    def _call(self, step: Call, path: Path) -> None:
        if step.sequence in self._inside:
            way = " -> ".join((*self._inside, step.sequence))
            self._slip((*path, "sequence"), f"the calls go round in a circle: {way}", "remove one of the calls")
            return
        try:
            callee = self._library(step.sequence, self._inside)
        except ConfigError as refused:
            for fault in refused.faults:
                self._slip((*path, "sequence"), fault.error, fault.fix)
            return
        if callee.class_ is SequenceClass.ABUSE and self._sequence.class_ is not SequenceClass.ABUSE:
            error = f"{step.sequence} is of class abuse, this sequence is not"
            self._slip((*path, "sequence"), error, "write class: abuse, if that is what is meant")
        for name, value in step.parameters.items():
            here = (*path, "parameters", name)
            wanted = callee.parameters.get(name)
            if wanted is None:
                near = nearest(name, callee.parameters)
                known = f"it has {', '.join(callee.parameters) or 'none'}"
                fix = f"did you mean {near}?" if near else known
                self._slip(here, f"{step.sequence} has no parameter {name!r}", fix, key=True)
            elif wanted.default.kind is not None:
                self._field(value, here, wanted.default.kind)
        for name, kind in self._called(step).items():
            self._declare(name, kind, path)

    # -- what is judged ----------------------------------------------------------------------------------------

    def _watch(self, watch: Watch, path: Path) -> None:
        for index, step_id in enumerate(watch.during):
            if step_id not in self._ids and f"step.{step_id}" not in self._unsure:
                near = nearest(step_id, self._ids)
                fix = f"did you mean {near}?" if near else "give the step that is meant this id"
                self._slip((*path, "during", index), f"no step has the id {step_id!r}", fix)
        whole = watch.of is not None and watch.take is not None
        if whole is (watch.when is not None) or (watch.of is None) is not (watch.take is None):
            fix = "write 'of: ambient, take: max', or 'when: temperature >= 60 degC'"
            self._slip(path, f"watch {watch.name} needs either of and take, or when", fix)
        if watch.when is not None:
            # No step of its own: nothing counts from its beginning.
            self._condition(watch.when, (*path, "when"), INSTANT)
            if any(name.startswith(START) for name in watch.when.names):
                error = "start() means nothing in a watch, which has no beginning of its own"
                self._slip((*path, "when"), error, "take the reading as a result of an earlier step, and use that")
        self._declare(f"watch.{watch.name}", watch_kind(watch), (*path, "name"))

    def _results(self, sequence: Sequence) -> None:
        kinds = {name: self._infer(value, ("results", name), RUN) for name, value in sequence.results.items()}
        for name, kind in kinds.items():
            if kind is not None and unit_of(name) != BASE[kind]:
                said = f"in {unit_of(name)}" if unit_of(name) else "without unit"
                error = f"{name} is {name_of(kind)}, but its name says {said}"
                self._slip(("results", name), error, f"let the name end as {_ending(kind)}", key=True)
            self._declare(f"result.{name}", kind, ("results", name))

    def _criterion(self, criterion: Criterion, path: Path) -> None:
        if criterion.id in self._judged:
            self._slip((*path, "id"), f"the criterion {criterion.id!r} is already there", "give each an id of its own")
        self._judged.add(criterion.id)
        limits = {"at_least": criterion.at_least, "at_most": criterion.at_most}
        kind = self._infer(criterion.value, (*path, "value"), RUN)
        for key, limit in limits.items():
            if limit is not None and kind is not None:
                self._field(limit, (*path, key), kind, RUN)
        if criterion.at_least is None and criterion.at_most is None:
            self._slip(path, f"criterion {criterion.id} has no limit", "add at_least or at_most, or both")
        if criterion.at_least and criterion.at_most and surely_more(criterion.at_least, criterion.at_most):
            error = f"nothing is at least {criterion.at_least} and at most {criterion.at_most}"
            self._slip((*path, "at_most"), error, "exchange the two limits")


def _ending(kind: Dimension) -> str:
    """How a name says that it holds this quantity."""
    if kind is Dimension.NUMBER:
        return "no unit at all"
    unit = "c" if kind is Dimension.TEMPERATURE else BASE[kind].lower().replace("/", "_")
    return f"_{unit}"
