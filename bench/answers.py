"""Who answers what no device measures: a simulated operator, a file, or a person at the terminal."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from drivers.errors import ConfigError, Fault
from drivers.units import UnitError, parse_quantity
from sequences.language import Confirm, Entry

Answer = float | str


class Answers(Protocol):
    """``by`` is written into the log beside every answer ("simulated operator", "answers.toml", a name)."""

    @property
    def by(self) -> str: ...
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


def answers_from_file(path: Path, *, simulated: bool) -> GivenAnswers:
    """Answers from a TOML file of ``name = "quantity with unit"`` or ``name = "text"`` in a table ``[entries]``.

    Raises ConfigError with every fault.
    """
    where = str(path)
    try:
        with path.open("rb") as file:
            data = tomllib.load(file)
    except OSError as error:
        raise ConfigError([Fault(f"cannot read it: {error.strerror}", where, "give the path of a TOML file")]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([Fault(f"not TOML: {error}", where, 'write one name = "value" a line')]) from None
    faults = [
        Fault(f"unknown key {key!r}", where, 'write schema = "cellbench/answers/1" and a table [entries]')
        for key in data
        if key not in ("schema", "entries")
    ]
    if data.get("schema") != "cellbench/answers/1":
        faults.append(Fault("not an answers file", where, 'begin it with schema = "cellbench/answers/1"'))
    values = data.get("entries", {})
    faults += [
        Fault(f"{name} has no unit", where, f'write {name} = "{text} <unit>"')
        for name, text in values.items()
        if not isinstance(text, str)
    ]
    if faults:
        raise ConfigError(faults)
    return GivenAnswers(path.name, values, confirms_hazard=simulated)
