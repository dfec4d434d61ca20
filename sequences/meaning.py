"""What a tree is (its dimension) and what it is worth (a compiled function of the values)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from drivers import Dimension
from sequences.dimensions import DimensionError, minus, name_of, over, plus, times
from sequences.names import FIXED, START, listing, nearest
from sequences.syntax import (
    Absolute,
    Aggregate,
    Amount,
    Binary,
    ExpressionError,
    Last,
    NameRef,
    Negative,
    Node,
    Rated,
    Start,
    UnknownNameError,
)

#: A result is a tuple when it was taken in a repeat: one value a turn.
Values = Mapping[str, float | tuple[float, ...]]
#: Which names may be used here and what each is; None where that is not known (its declaration is itself at fault).
Symbols = Mapping[str, Dimension | None]
Run = Callable[[Values], float]

RATED_CAPACITY = "cell.rated_capacity"


class MissingValueError(LookupError):
    """A name has no value (yet): the step that takes it did not run, or took fewer turns than asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} has no value")
        self.name = name


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below one."""
    match node:
        case Binary(left=left, right=right):
            return left, right
        case Negative(of=of) | Absolute(of=of):
            return (of,)
        case Aggregate(of=parts):
            return parts
        case Last(name=name):
            return (name,)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """A node and everything below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def names_in(node: Node) -> frozenset[str]:
    """Every value that the tree will ask for; I1 asks for the rated capacity, ``start(voltage)`` for its own name."""
    found: set[str] = set()
    for part in walk(node):
        match part:
            case NameRef(name=name):
                found.add(name)
            case Rated():
                found.add(RATED_CAPACITY)
            case Start(live=live):
                found.add(START + live)
            case _:
                pass
    return frozenset(found)


def dimension_of(node: Node, symbols: Symbols, text: str) -> Dimension | None:
    """What the tree is, or None where a name of unknown dimension decides it. Raises ExpressionError."""
    match node:
        case Amount(dimension=dimension):
            return dimension
        case Rated():
            return Dimension.CURRENT
        case NameRef(name=name, at=at) | Start(live=name, at=at) | Last(name=NameRef(name=name, at=at)):
            return _known(name, at, symbols, text)
        case Negative(of=of, at=at) | Absolute(of=of, at=at):
            kind = dimension_of(of, symbols, text)
            if kind is Dimension.TEMPERATURE:
                error = "a temperature (degC) has no sign of its own"
                raise ExpressionError(error, "take the difference of two", text=text, at=at)
            return kind
        case Aggregate(of=parts, at=at):
            kinds = {kind for part in parts if (kind := dimension_of(part, symbols, text))}
            if len(kinds) > 1:
                error = f"{node.function} of {' and '.join(sorted(map(name_of, kinds)))}"
                raise ExpressionError(error, "give it quantities of one kind", text=text, at=at)
            return kinds.pop() if kinds else None
        case Binary(left=left, right=right):
            return _result(node, dimension_of(left, symbols, text), dimension_of(right, symbols, text), text)[0]


def _known(name: str, at: int, symbols: Symbols, text: str) -> Dimension | None:
    if name in symbols:
        return symbols[name]
    near = nearest(name, symbols)
    fix = f"did you mean {near}?" if near else f"names that have a value here: {listing(symbols)}"
    error = f"{name!r} has no value here" if name in FIXED else f"unknown name {name!r}"
    raise UnknownNameError(name, error, fix, text=text, at=at)


def _result(
    node: Binary, left: Dimension | None, right: Dimension | None, text: str
) -> tuple[Dimension | None, float | None]:
    """Dimension and factor of a sum or product; None for what is not known."""
    if left is None or right is None:
        if node.operator in "+-":
            # A temperature and its change differ, so one known side says nothing about those two.
            sure = (left or right) not in (None, Dimension.TEMPERATURE, Dimension.TEMPERATURE_CHANGE)
            return (left or right) if sure else None, 1.0
        plain = right is Dimension.NUMBER or (left is Dimension.NUMBER and node.operator == "*")
        return None, 1.0 if plain else None
    try:
        match node.operator:
            case "+":
                return plus(left, right), 1.0
            case "-":
                return minus(left, right), 1.0
            case "*":
                return times(left, right)
            case "/":
                return over(left, right)
    except DimensionError as slip:
        bare = Dimension.NUMBER in (left, right) and node.operator in "+-"
        fix = "give the number a unit, such as '10 mV'" if bare else "check the units on both sides"
        raise ExpressionError(str(slip), fix, text=text, at=node.at) from None


def compiled(node: Node, symbols: Symbols, text: str) -> Run:
    """The tree as one function of the values. Dimensions are settled here, so that nothing is looked up later.

    A product whose factor depends on a name that ``symbols`` does not know becomes a function that raises
    ExpressionError.
    """
    match node:
        case Amount(value=value):
            return lambda _: value
        case Rated(rate=rate):
            rated = _reader(RATED_CAPACITY)
            return lambda values: rate * rated(values)
        case NameRef(name=name):
            return _reader(name)
        case Start(live=live):
            return _reader(START + live)
        case Negative(of=of):
            inner = compiled(of, symbols, text)
            return lambda values: -inner(values)
        case Absolute(of=of):
            inner = compiled(of, symbols, text)
            return lambda values: abs(inner(values))
        case Aggregate():
            return _aggregate(node, symbols, text)
        case Last():
            raise AssertionError("the parser lets last(...) stand only inside min, max and mean")
        case Binary():
            return _binary(node, symbols, text)


def _reader(name: str) -> Run:
    def read(values: Values) -> float:
        try:
            value = values[name]
        except KeyError:
            raise MissingValueError(name) from None
        if isinstance(value, tuple):
            if not value:
                raise MissingValueError(name)
            return value[-1]
        return value

    return read


def _binary(node: Binary, symbols: Symbols, text: str) -> Run:
    left, right = compiled(node.left, symbols, text), compiled(node.right, symbols, text)
    if node.operator == "+":
        return lambda values: left(values) + right(values)
    if node.operator == "-":
        return lambda values: left(values) - right(values)
    factor = _result(node, _kind(node.left, symbols, text), _kind(node.right, symbols, text), text)[1]
    if factor is None:

        def unsettled(_: Values) -> float:
            raise ExpressionError("the units of this product are not settled", "load it with its sequence", text=text)

        return unsettled
    if node.operator == "*":
        return lambda values: left(values) * right(values) * factor

    def divided(values: Values) -> float:
        below = right(values)
        return left(values) / below * factor if below else math.nan

    return divided


def _kind(node: Node, symbols: Symbols, text: str) -> Dimension | None:
    """As dimension_of, but a name that is not known yet is no slip."""
    everything = {name: symbols.get(name) for name in names_in(node)}
    everything |= {part.live: symbols.get(part.live) for part in walk(node) if isinstance(part, Start)}
    return dimension_of(node, everything, text)


def _aggregate(node: Aggregate, symbols: Symbols, text: str) -> Run:
    parts = tuple(_several(part, symbols, text) for part in node.of)

    def gathered(values: Values) -> list[float]:
        return [value for part in parts for value in part(values)]

    def worth(values: Values) -> float:
        found = gathered(values)
        if any(value != value for value in found):
            return math.nan
        if node.function == "mean":
            return sum(found) / len(found)
        return min(found) if node.function == "min" else max(found)

    return worth


def _several(node: Node, symbols: Symbols, text: str) -> Callable[[Values], tuple[float, ...]]:
    """An argument of an aggregate: a whole list where a name has one, else its one value."""
    if not isinstance(node, NameRef | Last):
        single = compiled(node, symbols, text)
        return lambda values: (single(values),)
    name, count = (node.name, 1) if isinstance(node, NameRef) else (node.name.name, node.count)
    last = isinstance(node, Last)

    def listed(values: Values) -> tuple[float, ...]:
        if name not in values:
            raise MissingValueError(name)
        value = values[name]
        found = value if isinstance(value, tuple) else (value,)
        if len(found) < count:
            raise MissingValueError(name)
        return found[-count:] if last else found

    return listed
