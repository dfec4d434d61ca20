"""Who answers what no device measures: a simulated operator, a file, or a person at the terminal."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from bench.config.loading import Origin, check_schema
from bench.config.toml_text import parse, read_text
from drivers.errors import ConfigError, Fault
from drivers.units import UnitError, parse_quantity
from sequences.language import Confirm, Entry, Question, Text

Answer = float | str


@dataclass(frozen=True, slots=True)
class Permission:
    """A decision that one person takes by name: ``what`` is ``carry``, ``arm``, ``start``, ``retract`` or
    ``take_over``. ``not_by`` are names that may not take it: who armed does not start."""

    what: Literal["carry", "arm", "start", "retract", "take_over"]
    text: Text
    not_by: frozenset[str] = frozenset()


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

    async def judge(self, question: Question, shown: Sequence[str]) -> Judged | None:
        """A person's answer, having been shown these lines; None if it was not answered: it awaits judgement."""
        ...
    async def ask(self, step: Confirm) -> Mapping[str, Answer] | None:
        """The values of the step's entries, numbers in base units. None if the confirmation was not given.

        An entry without an answer is left out; what needs it stays unmeasured.
        """
        ...


class GivenAnswers:
    """Answers that were prepared: confirms everything, and enters the values that it was given by name.

    ``hazardous`` confirmations are given only if ``confirms_hazard`` says so, which a live bench never does.
    """

    def __init__(self, by: str, values: Mapping[str, Answer], *, confirms_hazard: bool) -> None:
        self._by = by
        self._values = dict(values)
        self._confirms_hazard = confirms_hazard

    @property
    def by(self) -> str:
        return self._by

    def without(self, entries: Iterable[Entry]) -> tuple[str, ...]:
        """The entries that have no answer here, by name."""
        return tuple(entry.name for entry in entries if self._value(entry) is None)

    async def ask(self, step: Confirm) -> Mapping[str, Answer] | None:
        if step.hazardous and not self._confirms_hazard:
            return None
        answers = {entry.name: self._value(entry) for entry in step.entries}
        return {name: value for name, value in answers.items() if value is not None}

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


def simulated_operator(values: Mapping[str, Answer]) -> GivenAnswers:
    """The operator of a simulated run, who enters what the bench file's ``[simulation.operator]`` says."""
    return GivenAnswers("simulated operator", values, confirms_hazard=True)


class HeardAnswers:
    """Another's answers, passed on, and which entries had one."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self.heard: set[str] = set()

    @property
    def by(self) -> str:
        return self._answers.by

    async def ask(self, step: Confirm) -> Mapping[str, Answer] | None:
        given = await self._answers.ask(step)
        self.heard.update(given or ())
        return given


def answers_from_file(path: Path, *, simulated: bool, entries: Iterable[Entry] | None = None) -> GivenAnswers:
    """Answers from a TOML file of ``name = "quantity with unit"`` or ``name = "text"`` in a table ``[entries]``.

    ``entries`` are those that a run will ask for: every name and every dimension is then checked against them, and what
    has no answer is in :meth:`GivenAnswers.without`. Raises ConfigError with every fault.
    """
    text = read_text(path, "answers file")
    data, lines = parse(text, str(path))
    origin = Origin(str(path), text, lines)
    faults = [
        Fault(f"unknown key `{key}`", origin.where(key), "an answers file holds schema and a table [entries]")
        for key in data
        if key not in ("schema", "entries")
    ]
    try:
        check_schema(data.get("schema"), origin, "answers", 1)
    except ConfigError as error:
        faults += error.faults
    values = data.get("entries", {})
    if not isinstance(values, dict):
        fix = 'write a line [entries], and below it one name = "value" a line'
        raise ConfigError([*faults, Fault("`entries` is not a table", origin.where("entries"), fix)])
    wanted = None if entries is None else {entry.name: entry for entry in entries}
    for name, value in values.items():
        fault = _slip(name, value, wanted)
        if fault is not None:
            faults.append(Fault(fault[0], origin.where("entries", name), fault[1]))
    if faults:
        raise ConfigError(faults)
    return GivenAnswers(path.name, values, confirms_hazard=simulated)


def _slip(name: str, value: object, wanted: Mapping[str, Entry] | None) -> tuple[str, str] | None:
    """What is wrong with one answer, and what to do; None if it is fine."""
    if wanted is not None and name not in wanted:
        close = difflib.get_close_matches(name, wanted, n=1)
        hint = f"did you mean `{close[0]}`? " if close else "remove it; "
        return f"the sequence asks for no entry `{name}`", f"{hint}it asks for: {', '.join(wanted) or 'nothing'}"
    entry = None if wanted is None else wanted[name]
    example = f"{entry.example}" if entry is not None and entry.example is not None else "45 %"
    if not isinstance(value, str):
        return f"{name} = {value} is not text with its unit", f'write for example {name} = "{example}"'
    if entry is None:
        return None
    if entry.text:
        return None if value.strip() else (f"{name} is empty", "write the answer, or remove the line")
    try:
        quantity = parse_quantity(value)
    except UnitError as error:
        return f"{name}: {error}", f'write for example {name} = "{example}"'
    kind = entry.example.kind if entry.example is not None else None
    if kind in (None, quantity.dimension):
        return None
    return f"{name} = {value!r} is a {quantity.dimension.value}", f'write a {kind}, for example {name} = "{example}"'
