"""Walking over the steps of a sequence, and changing every expression of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel

from drivers import Dimension
from sequences.expressions import AllOf, AnyOf, Change, Expression, Symbols, When, mapped
from sequences.language import Confirm, Judge, Repeat, RepeatUntilStable, Sequence, Step, Watch
from sequences.names import FIXED, JUDGEMENT

Path = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


def walk_steps(steps: tuple[Step, ...], path: Path = ("steps",)) -> Iterator[tuple[Path, Step]]:
    """Every step in the order of the file, a repeat before its own steps, each with its path in the file."""
    for index, step in enumerate(steps):
        here = (*path, index, step.kind)
        yield here, step
        if isinstance(step, Repeat | RepeatUntilStable):
            yield from walk_steps(step.steps, (*here, "steps"))


def numbered(steps: tuple[Step, ...], above: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Step]]:
    """Every step with its number in the tree, from 1: (4, 2) is the second step of the repeat that is step 4."""
    for at, step in enumerate(steps, start=1):
        number = (*above, at)
        yield number, step
        if isinstance(step, Repeat | RepeatUntilStable):
            yield from numbered(step.steps, number)


def stable_names(repeat_id: str) -> tuple[str, str]:
    """The results that a repeat_until_stable leaves: whether it got there (1 or 0), and its number of turns."""
    return f"{repeat_id}_stable", f"{repeat_id}_turns"


def declared(step: Step) -> dict[str, Dimension | None]:
    """The names that one step gives a value to, and what each is as far as that is settled."""
    found: dict[str, Dimension | None] = {f"result.{name}": value.kind for name, value in step.results.items()}
    if isinstance(step, RepeatUntilStable):
        found |= {f"result.{name}": Dimension.NUMBER for name in stable_names(step.id)}
    if isinstance(step, Confirm):
        found |= {f"entry.{entry.name}": entry.example.kind for entry in step.entries if entry.example}
    if isinstance(step, Judge):
        found |= {f"{JUDGEMENT}{question.name}": Dimension.NUMBER for question in step.questions}
    return found


def watch_kind(watch: Watch) -> Dimension:
    """What a watch is: of its quantity, or 1 or 0 for a condition."""
    return Dimension.NUMBER if watch.of is None else FIXED[watch.of]


def changed(model: Model, change: Change) -> Model:
    """A copy of the model in which every expression, in conditions too, went through ``change``."""
    update = {name: _changed(getattr(model, name), change) for name in type(model).model_fields}
    return model.model_copy(update=update)


def _changed(value: Any, change: Change) -> Any:
    if isinstance(value, Expression):
        return change(value)
    if isinstance(value, When | AnyOf | AllOf):
        return mapped(value, change)
    if isinstance(value, BaseModel):
        return changed(value, change)
    if isinstance(value, tuple):
        return tuple(_changed(part, change) for part in value)
    if isinstance(value, dict):
        return {key: _changed(part, change) for key, part in value.items()}
    return value


def symbols_of(sequence: Sequence) -> dict[str, Dimension | None]:
    """What every name is that a sequence without calls gives a value to, the fixed names included."""
    known: dict[str, Dimension | None] = dict(FIXED)

    def take(steps: tuple[Step, ...]) -> None:
        for step in steps:
            if isinstance(step, Repeat | RepeatUntilStable):
                take(step.steps)
            known.update(declared(step))
            known.update({f"result.{name}": value.infer(known) for name, value in step.results.items()})

    known.update({f"param.{name}": item.default.infer(known) for name, item in sequence.parameters.items()})
    take(sequence.steps)
    known.update({f"watch.{watch.name}": watch_kind(watch) for watch in sequence.watch})
    return known


def settled(sequence: Sequence, symbols: Symbols) -> Sequence:
    """The sequence with the units of every expression settled, and final results written out where criteria use them.

    Raises ExpressionError where names are wrong.
    """
    written = {f"result.{name}": value.text for name, value in sequence.results.items()}
    criteria = tuple(changed(item, lambda value: value.replaced(written)) for item in sequence.criteria)
    sequence = sequence.model_copy(update={"criteria": criteria})
    return changed(sequence, lambda value: value.settled(symbols))
