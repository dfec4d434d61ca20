"""Who answers what no device measures: a simulated operator, a file, or a person at the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from drivers.units import UnitError, parse_quantity
from sequences.language import Confirm, Entry, Question, Text

Answer = float | str
Leave = Literal["carry", "arm", "start", "retract", "take_over"]

#: The entry by which a sample is scanned again at its new place.
SCANNED = "sample"


@dataclass(frozen=True, slots=True)
class Permission:
    """A decision that one person takes by name: ``what`` is ``carry``, ``arm``, ``start``, ``retract`` or
    ``take_over``. ``not_by`` are names that may not take it: who armed does not start."""

    what: Leave
    text: Text
    not_by: frozenset[str] = frozenset()

    def open_to(self, name: str) -> bool:
        """Whether this person may take it; names are one person's however they are capitalised."""
        return same_name(name) not in {same_name(other) for other in self.not_by}


@dataclass(frozen=True, slots=True)
class Judged:
    """A person's answer to one question: True is yes."""

    answer: bool
    by: str
    note: str = ""


class Answers(Protocol):
    """``by`` is written into the log beside every answer ("simulated operator", "answers.yaml", a name)."""

    @property
    def by(self) -> str: ...
    async def permit(self, permission: Permission) -> str | None:
        """The name of the person who says yes; None if nobody does. Never a name of ``not_by``."""
        ...

    async def judge(self, question: Question, shown: Sequence[str], /) -> Judged | None:
        """A person's answer, having been shown these lines; None if it was not answered: it awaits judgement."""
        ...

    async def ask(self, step: Confirm) -> Mapping[str, Answer] | None:
        """The values of the step's entries, numbers in base units. None if the confirmation was not given.

        An entry without an answer is left out; what needs it stays unmeasured.
        """
        ...


class GivenAnswers:
    """Answers that were prepared: confirms everything, enters the values and gives the judgements that it was given.

    Hazardous confirmations, and leave by those whom ``permits`` names, are given only if ``confirms_hazard`` says so,
    which it never does where devices are real. ``entered_by`` names who stands behind an entry.
    """

    def __init__(
        self,
        by: str,
        values: Mapping[str, Answer],
        *,
        confirms_hazard: bool,
        permits: Mapping[str, str] | None = None,
        judged: Mapping[str, Judged] | None = None,
        entered_by: Mapping[str, str] | None = None,
    ) -> None:
        self._by = by
        self._values = dict(values)
        self._confirms_hazard = confirms_hazard
        self._entered_by = dict(entered_by or {})
        self.permits: Mapping[str, str] = dict(permits or {})
        self.judged: Mapping[str, Judged] = dict(judged or {})

    @property
    def by(self) -> str:
        return self._by

    def entered_by(self, name: str) -> str:
        """Who entered a value: the person whom the answer names, and where it stands."""
        person = self._entered_by.get(name)
        return self._by if person is None else f"{person} ({self._by})"

    def without(self, entries: Iterable[Entry]) -> tuple[str, ...]:
        """The entries that have no answer here, by name."""
        return tuple(entry.name for entry in entries if self._value(entry) is None)

    async def ask(self, step: Confirm) -> Mapping[str, Answer] | None:
        if step.hazardous and not self._confirms_hazard:
            return None
        answers = {entry.name: self._value(entry) for entry in step.entries}
        return {name: value for name, value in answers.items() if value is not None}

    async def permit(self, permission: Permission) -> str | None:
        name = self.permits.get(permission.what) if self._confirms_hazard else None
        return name if name is not None and permission.open_to(name) else None

    async def judge(self, question: Question, _: Sequence[str], /) -> Judged | None:
        return self.judged.get(question.name)

    def _value(self, entry: Entry) -> Answer | None:
        """The value in base units, or the text; None if there is none of the kind that the entry wants."""
        value = self._values.get(entry.name)
        if entry.text or value is None:
            return value if isinstance(value, str) else None
        if isinstance(value, float):
            return value
        try:
            quantity = parse_quantity(value)
        except UnitError:
            return None
        wanted = entry.example.kind if entry.example is not None else None
        return quantity.value if wanted in (None, quantity.dimension) else None


class SimulatedOperator:
    """The people of a simulated run: one enters what the bench file's ``[simulation.operator]`` says, carries and arms,
    a second one starts, and an observer judges by what has become of the simulated cell (``seen``; without it every
    question awaits a person). ``sample`` is what is scanned at a new place.
    """

    by = "simulated operator"
    _PEOPLE = ("simulated operator", "simulated second person")

    def __init__(
        self,
        values: Mapping[str, Answer],
        *,
        sample: str | None = None,
        seen: Callable[[], Mapping[str, bool]] | None = None,
    ) -> None:
        self._values = dict(values)
        self._given = GivenAnswers(
            self.by, {**values, **({} if sample is None else {SCANNED: sample})}, confirms_hazard=True
        )
        self._seen = seen

    def at_bench(self, *, sample: str, seen: Callable[[], Mapping[str, bool]] | None) -> SimulatedOperator:
        """The same people at a bench that is up, with this sample, looking at this cell."""
        return SimulatedOperator(self._values, sample=sample, seen=seen)

    async def ask(self, step: Confirm) -> Mapping[str, Answer] | None:
        return await self._given.ask(step)

    async def permit(self, permission: Permission) -> str | None:
        return next((name for name in self._PEOPLE if permission.open_to(name)), None)

    async def judge(self, question: Question, _: Sequence[str], /) -> Judged | None:
        happened = None if self._seen is None else self._seen().get(question.name)
        return None if happened is None else Judged(happened, "simulated observer", "what the simulated cell did")


def simulated_operator(values: Mapping[str, Answer]) -> SimulatedOperator:
    """The people of a simulated run, who enter what the bench file's ``[simulation.operator]`` says."""
    return SimulatedOperator(values)


class AnswersInTurn:
    """What was prepared, and a person for what it leaves open: an entry, leave, a hazardous step, a judgement."""

    def __init__(self, prepared: GivenAnswers, person: Answers) -> None:
        self._prepared = prepared
        self._person = person
        self._last: Answers = prepared
        self._typed: frozenset[str] = frozenset()

    @property
    def by(self) -> str:
        """Who gave the latest confirmation."""
        return self._last.by

    def entered_by(self, name: str) -> str:
        """Who entered a value of the latest confirmation."""
        return self._person.by if name in self._typed else self._prepared.entered_by(name)

    async def ask(self, step: Confirm) -> Mapping[str, Answer] | None:
        given = await self._prepared.ask(step)
        left = tuple(entry for entry in step.entries if entry.name not in (given or {}))
        typed: Mapping[str, Answer] | None = None
        if given is None or left:
            typed = await self._person.ask(step.model_copy(update={"entries": left}))
        self._typed = frozenset(typed or ())
        self._last = self._prepared if typed is None else self._person
        return typed if given is None else {**given, **(typed or {})}

    async def permit(self, permission: Permission) -> str | None:
        return await self._prepared.permit(permission) or await self._person.permit(permission)

    async def judge(self, question: Question, shown: Sequence[str]) -> Judged | None:
        return await self._prepared.judge(question, shown) or await self._person.judge(question, shown)


class HeardAnswers:
    """Another's answers, passed on; ``heard`` is which entries had one, ``judged`` which questions, and from whom."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self.heard: dict[str, str] = {}
        self.judged: dict[str, str] = {}

    @property
    def by(self) -> str:
        return self._answers.by

    async def ask(self, step: Confirm) -> Mapping[str, Answer] | None:
        answers = self._answers
        given = await answers.ask(step)
        for name in given or ():
            if isinstance(answers, GivenAnswers | AnswersInTurn):
                self.heard[name] = answers.entered_by(name)
            else:
                self.heard[name] = answers.by
        return given

    async def permit(self, permission: Permission) -> str | None:
        return await self._answers.permit(permission)

    async def judge(self, question: Question, shown: Sequence[str]) -> Judged | None:
        judged = await self._answers.judge(question, shown)
        if judged is not None:
            self.judged[question.name] = judged.by
        return judged


def same_name(name: str) -> str:
    """A person's name for comparison: however it is capitalised and spaced."""
    return " ".join(name.casefold().split())
