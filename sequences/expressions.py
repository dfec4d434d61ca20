"""Expressions and conditions as the rest of the program sees them: parsed, unit-checked, ready to evaluate.

The grammar is in ``sequences/syntax.py``, what a name means in ``sequences/names.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from drivers import BASE, Dimension
from sequences.dimensions import name_of
from sequences.meaning import (
    MissingValueError,
    Run,
    Symbols,
    Values,
    compiled,
    dimension_of,
    names_in,
    walk,
)
from sequences.names import FIXED
from sequences.syntax import ExpressionError, NameRef, Node, Operator, Parser, SlipError, Start, UnknownNameError

__all__ = [
    "AllOf",
    "AnyOf",
    "Condition",
    "ConditionError",
    "Expression",
    "ExpressionError",
    "MissingValueError",
    "SlipError",
    "Symbols",
    "UnknownNameError",
    "Values",
    "When",
    "as_condition",
    "as_expression",
    "mapped",
    "whens",
]

Path = tuple[str | int, ...]
Change = Callable[["Expression"], "Expression"]

# A called sequence's expressions grow when the caller's values are written into them.
_EXPANDED_LENGTH = 4000
_EXPANDED_DEPTH = 80


class ConditionError(ValueError):
    """Every slip in one field, each with its path below the field."""

    def __init__(self, slips: tuple[tuple[Path, ExpressionError], ...]) -> None:
        super().__init__("; ".join(slip.error for _, slip in slips))
        self.slips = slips


@dataclass(frozen=True, slots=True)
class Expression:
    """A value to be worked out: ``text`` as written, ``names`` as the keys that :meth:`evaluate` will ask for.

    ``kind`` is its dimension once that is settled: at once if it uses only names of fixed meaning, else by the
    loader, which knows the sequence's own names. Two are equal if text and kind are.
    """

    text: str
    names: frozenset[str]
    kind: Dimension | None
    tree: Node = field(repr=False, compare=False)
    run: Run = field(repr=False, compare=False)

    def __str__(self) -> str:
        return self.text

    def dimension(self, symbols: Mapping[str, Dimension]) -> Dimension:
        """What it is, if only these names may be used. Raises ExpressionError for any other name or a unit slip."""
        found = dimension_of(self.tree, symbols, self.text)
        assert found is not None, "every symbol given has a dimension"
        return found

    def infer(self, symbols: Symbols) -> Dimension | None:
        """As :meth:`dimension`, where some names may be of unknown dimension."""
        return dimension_of(self.tree, symbols, self.text)

    def settled(self, symbols: Symbols) -> Expression:
        """The same expression with its units worked out for these names. Raises ExpressionError as dimension does."""
        kind = dimension_of(self.tree, symbols, self.text)
        return Expression(self.text, self.names, kind, self.tree, compiled(self.tree, symbols, self.text))

    def evaluate(self, values: Values) -> float:
        """Its worth in base units: finite, or NaN where a value is NaN or a division by zero was asked for.

        Raises MissingValueError for a name without a value, ExpressionError if its units were never settled.
        """
        result = self.run(values)
        return result if math.isfinite(result) else math.nan

    def replaced(self, names: Mapping[str, str]) -> Expression:
        """With each of these names replaced by a text, in brackets unless it is a name. Units are unsettled after."""
        if self.text in names:
            return as_expression(names[self.text])
        text = self.text
        references = [part for part in walk(self.tree) if isinstance(part, NameRef) and part.name in names]
        for part in sorted(references, key=lambda part: -part.at):
            new = names[part.name]
            new = new if new.replace(".", "").replace("_", "").isalnum() and not new[0].isdigit() else f"({new})"
            text = text[: part.at] + new + text[part.at + len(part.name) :]
        if text == self.text:
            return self
        return _made(text, Parser(text, max_length=_EXPANDED_LENGTH, max_depth=_EXPANDED_DEPTH).value())


@dataclass(frozen=True, slots=True)
class When:
    """One comparison, ``sustained`` for a time if that is given. Whoever follows it over time does the sustaining."""

    left: Expression
    operator: Operator
    right: Expression
    sustained: Expression | None
    text: str
    offsets: tuple[int, int, int] = field(default=(0, 0, 0), repr=False, compare=False)  # of the three in ``text``

    def __str__(self) -> str:
        return self.text

    @property
    def names(self) -> frozenset[str]:
        return self.left.names | self.right.names | (self.sustained.names if self.sustained else frozenset())

    def holds(self, values: Values) -> bool:
        """Whether it is so at this instant. A value that is NaN or missing never makes it so."""
        try:
            left, right = self.left.evaluate(values), self.right.evaluate(values)
        except MissingValueError:
            return False
        match self.operator:
            case "<":
                return left < right
            case "<=":
                return left <= right
            case ">":
                return left > right
            case ">=":
                return left >= right


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The first of ``parts`` that holds is enough."""

    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        return "any of (" + "; ".join(map(str, self.parts)) + ")"

    @property
    def names(self) -> frozenset[str]:
        return frozenset().union(*(part.names for part in self.parts))


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of ``parts`` hold at one instant."""

    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        return "all of (" + "; ".join(map(str, self.parts)) + ")"

    @property
    def names(self) -> frozenset[str]:
        return frozenset().union(*(part.names for part in self.parts))


Condition = AnyOf | AllOf | When


def whens(condition: Condition, path: Path = ()) -> Iterator[tuple[Path, When]]:
    """Every comparison of a condition, with its path in the file below the condition."""
    if isinstance(condition, When):
        yield path, condition
        return
    key = "any" if isinstance(condition, AnyOf) else "all"
    for index, part in enumerate(condition.parts):
        yield from whens(part, (*path, key, index))


def mapped(condition: Condition, change: Change) -> Condition:
    """The condition with every expression changed."""
    if isinstance(condition, When):
        left, right = change(condition.left), change(condition.right)
        sustained = change(condition.sustained) if condition.sustained else None
        text = f"{left} {condition.operator} {right}" + (f" for {sustained}" if sustained else "")
        return When(left, condition.operator, right, sustained, text)
    return type(condition)(tuple(mapped(part, change) for part in condition.parts))


def _made(text: str, tree: Node) -> Expression:
    symbols: dict[str, Dimension | None] = {
        part.name if isinstance(part, NameRef) else part.live: None
        for part in walk(tree)
        if isinstance(part, NameRef | Start)
    }
    symbols |= {name: FIXED[name] for name in symbols if name in FIXED}
    kind = dimension_of(tree, symbols, text)
    return Expression(text, names_in(tree), kind, tree, compiled(tree, symbols, text))


def as_expression(value: object) -> Expression:
    """An Expression from its text. Raises ExpressionError (a ValueError) with what to write instead."""
    if isinstance(value, Expression):
        return value
    if not isinstance(value, str):
        raise ExpressionError(_not_text(value), "write a quantity such as '4.2 V', or a name", text="")
    text = value.strip(" \t\n")
    return _made(text, Parser(text).value())


def as_condition(value: object) -> Condition:
    """A Condition from ``"voltage >= 4.2 V for 10 s"``, ``{"any": [...]}`` or ``{"all": [...]}``.

    Raises ConditionError.
    """
    slips: list[tuple[Path, ExpressionError]] = []
    condition = _condition(value, (), slips)
    if condition is None or slips:
        raise ConditionError(tuple(slips))
    return condition


def _condition(value: object, path: Path, slips: list[tuple[Path, ExpressionError]]) -> Condition | None:
    if isinstance(value, When | AnyOf | AllOf):
        return value
    if isinstance(value, str):
        try:
            return _when(value.strip(" \t\n"))
        except ExpressionError as slip:
            slips.append((path, slip))
            return None
    if not isinstance(value, Mapping):
        slips.append((path, ExpressionError(_not_text(value), "write for example 'voltage >= 4.2 V'", text="")))
        return None
    fix = "write one key, any: or all:, with a list of comparisons"
    if len(value) != 1 or not {"any", "all"} & set(value):
        slips.append((path, ExpressionError(f"a condition with the keys {', '.join(map(str, value))}", fix, text="")))
        return None
    ((key, listed),) = value.items()
    if not isinstance(listed, list | tuple) or not listed:
        slips.append(((*path, key), ExpressionError(f"{key}: wants a list of comparisons", fix, text="")))
        return None
    parts = [_condition(part, (*path, key, index), slips) for index, part in enumerate(listed)]
    whole = tuple(part for part in parts if part is not None)
    return AnyOf(whole) if key == "any" else AllOf(whole)


def _when(text: str) -> When:
    found = Parser(text).condition()
    right_at = found.at + len(found.operator)
    for_at = len(text) if found.for_at is None else found.for_at
    left, right = as_expression(text[: found.at]), as_expression(text[right_at:for_at])
    sustained = None if found.for_at is None else as_expression(text[for_at + len("for") :])
    if left.kind and right.kind and left.kind is not right.kind:
        raise ExpressionError(*unlike(left.kind, right), text=text, at=right_at + 1)
    return When(left, found.operator, right, sustained, text, (0, right_at + 1, for_at + 4))


def unlike(left: Dimension, right: Expression) -> tuple[str, str]:
    """What to say of a comparison of two kinds of quantity, and what to write instead."""
    assert right.kind is not None, "a comparison of unknown kinds is no slip"
    fix = f"write '{right} {BASE[left]}'" if right.kind is Dimension.NUMBER else "compare quantities of one kind"
    return f"{name_of(left)} is compared with {name_of(right.kind)}", fix


def _not_text(value: object) -> str:
    what = "a mapping" if isinstance(value, Mapping) else "a list" if isinstance(value, list | tuple) else repr(value)
    return f"{what} where a value is wanted"
