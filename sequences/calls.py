"""Replacing calls by the steps that they stand for."""

from __future__ import annotations

from collections.abc import Callable

from drivers import ConfigError, Fault
from sequences.language import Call, Confirm, Judge, Repeat, RepeatUntilStable, Sequence, Step
from sequences.tree import changed, declared, settled, symbols_of, walk_steps


def expand(sequence: Sequence, library: Callable[[str], Sequence]) -> Sequence:
    """The sequence with every call replaced by a repeat of one turn.

    Parameters are written into the expressions; with an id, every name of the call gets it as a prefix; the called
    sequence's logging rule holds for its steps. Raises ConfigError if the calls go round in a circle, and what
    ``library`` raises for an id that it does not have.
    """
    return _expanded(sequence, library, ())


def _expanded(sequence: Sequence, library: Callable[[str], Sequence], inside: tuple[str, ...]) -> Sequence:
    if sequence.id in inside:
        way = " -> ".join((*inside, sequence.id))
        raise ConfigError([Fault(f"the calls go round in a circle: {way}", sequence.id, "remove one of the calls")])
    if not any(isinstance(step, Call) for _, step in walk_steps(sequence.steps)):
        return sequence

    def opened(step: Step) -> Step:
        if isinstance(step, Call):
            return _opened(step, _expanded(library(step.sequence), library, (*inside, sequence.id)))
        if isinstance(step, Repeat | RepeatUntilStable):
            return step.model_copy(update={"steps": tuple(map(opened, step.steps))})
        return step

    whole = sequence.model_copy(update={"steps": tuple(map(opened, sequence.steps))})
    return settled(whole, symbols_of(whole))


def _opened(call: Call, callee: Sequence) -> Repeat:
    prefix = f"{call.id}_" if call.id else ""
    names: dict[str, str] = {}
    for name, parameter in callee.parameters.items():
        value = call.parameters.get(name) or parameter.default.replaced(names)
        names[f"param.{name}"] = value.text
    taken = [name for _, step in walk_steps(callee.steps) for name in declared(step)]
    names |= {name: name.replace(".", f".{prefix}", 1) for name in taken if prefix}
    steps = tuple(_renamed(changed(step, lambda value: value.replaced(names)), prefix, callee) for step in callee.steps)
    return Repeat(id=call.id, title=call.title or callee.title, phase=call.phase, count=1, steps=steps)


def _renamed(step: Step, prefix: str, callee: Sequence) -> Step:
    """The step with its own names prefixed, and with the called sequence's logging rule where it had none."""
    update: dict[str, object] = {
        "id": f"{prefix}{step.id}" if step.id else None,
        "log": step.log or callee.log,
        "results": {f"{prefix}{name}": value for name, value in step.results.items()},
    }
    if isinstance(step, Confirm):
        update["entries"] = tuple(entry.model_copy(update={"name": f"{prefix}{entry.name}"}) for entry in step.entries)
    if isinstance(step, Judge):
        update["questions"] = tuple(item.model_copy(update={"name": f"{prefix}{item.name}"}) for item in step.questions)
    if isinstance(step, RepeatUntilStable):
        update["stable"] = step.stable.model_copy(update={"result": f"{prefix}{step.stable.result}"})
    if isinstance(step, Repeat | RepeatUntilStable):
        update["steps"] = tuple(_renamed(inner, prefix, callee) for inner in step.steps)
    return step.model_copy(update=update)
