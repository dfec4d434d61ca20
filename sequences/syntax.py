"""From the text of an expression to its tree, by recursive descent. Nothing here knows a value or calls eval.

condition = sum ("<" | "<=" | ">" | ">=") sum ["for" sum]
sum       = product {("+" | "-") product}
product   = factor {("*" | "/") factor}
factor    = "-" factor | number [unit] | name | function "(" arguments ")" | "(" sum ")"
name      = word ["." word]
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from drivers import UNITS, Dimension
from sequences.names import FIXED, INSTANT, nearest

MAX_LENGTH = 200
MAX_DEPTH = 20

Operator = Literal["<", "<=", ">", ">="]
OPERATORS: dict[str, Operator] = {"<": "<", "<=": "<=", ">": ">", ">=": ">="}
AGGREGATES = ("min", "max", "mean")
FUNCTIONS = (*AGGREGATES, "abs", "last", "start")


class SlipError(ValueError):
    """One slip of the writer of a file: what is wrong and what to write instead."""

    def __init__(self, error: str, fix: str) -> None:
        super().__init__(error)
        self.error = error
        self.fix = fix


class ExpressionError(SlipError):
    """A slip in an expression, at character ``at`` (from 0) of ``text``."""

    def __init__(self, error: str, fix: str, *, text: str, at: int = 0) -> None:
        super().__init__(error, fix)
        self.text = text
        self.at = at


class UnknownNameError(ExpressionError):
    """``name`` has no value where the expression stands."""

    def __init__(self, name: str, error: str, fix: str, *, text: str, at: int = 0) -> None:
        super().__init__(error, fix, text=text, at=at)
        self.name = name


@dataclass(frozen=True, slots=True)
class Amount:
    """A written quantity in its base unit; a bare number has the dimension NUMBER."""

    value: float
    dimension: Dimension
    at: int


@dataclass(frozen=True, slots=True)
class Rated:
    """A current written in I1, I2, I3 or C: ``rate`` times the number of the rated ampere-hours."""

    rate: float
    at: int


@dataclass(frozen=True, slots=True)
class NameRef:
    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Negative:
    of: Node
    at: int


@dataclass(frozen=True, slots=True)
class Binary:
    operator: Literal["+", "-", "*", "/"]
    left: Node
    right: Node
    at: int


@dataclass(frozen=True, slots=True)
class Aggregate:
    """min, max or mean over values and over lists (a result over its turns, or ``last`` of one)."""

    function: str
    of: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Absolute:
    of: Node
    at: int


@dataclass(frozen=True, slots=True)
class Last:
    """The last ``count`` values of a result; only inside an aggregate."""

    name: NameRef
    count: int
    at: int


@dataclass(frozen=True, slots=True)
class Start:
    """A live quantity as it was when the step began."""

    live: str
    at: int


Node = Amount | Rated | NameRef | Negative | Binary | Aggregate | Absolute | Last | Start


@dataclass(frozen=True, slots=True)
class Comparison:
    left: Node
    operator: Operator
    right: Node
    sustained: Node | None
    at: int  # of the operator
    for_at: int | None


@dataclass(frozen=True, slots=True)
class Token:
    kind: str  # number, word, sign or end
    text: str
    at: int


_TOKEN = re.compile(
    r"[ \t\n]*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*|%)"
    r"|(?P<sign><=|>=|==|!=|&&|\|\||[-+*/()<>=,.]))"
)

#: What people copy out of a standard or a text processor, and what it is written as here.
_INSTEAD = {
    "°": "degC", "℃": "degC", "\N{OHM SIGN}": "ohm", "\N{GREEK CAPITAL LETTER OMEGA}": "ohm", "\N{MICRO SIGN}": "um",
    "×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "≥": ">=", "≤": "<=", "＞": ">", "＜": "<", "，": ",", "（": "(",
    "）": ")", "％": "%", "^": "a * a", "±": "two limits, at_least and at_most", "'": "no quotes", '"': "no quotes",
}  # fmt: skip


def tokens(text: str) -> list[Token]:
    """Cut the text up. Raises ExpressionError at the first character that means nothing here."""
    found: list[Token] = []
    at = 0
    end = len(text.rstrip(" \t\n"))
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip(" \t\n"))
            odd = text[at]
            fix = f"write {_INSTEAD[odd]}" if odd in _INSTEAD else "use names, numbers with units, + - * / and brackets"
            raise ExpressionError(f"{odd!r} has no meaning in an expression", fix, text=text, at=at)
        kind = match.lastgroup or ""
        found.append(Token(kind, match[kind], match.start(kind)))
        at = match.end()
    found.append(Token("end", "", end))
    return found


class Parser:
    """One pass over one text. ``value`` and ``condition`` are its two doors."""

    def __init__(self, text: str, *, max_length: int = MAX_LENGTH, max_depth: int = MAX_DEPTH) -> None:
        self._text = text
        if len(text) > max_length:
            raise self._slip(
                f"an expression of {len(text)} characters", f"at most {max_length}; name a part as a result"
            )
        self._tokens = tokens(text)
        self._next = 0
        self._depth = 0
        self._max_depth = max_depth

    def value(self) -> Node:
        """The whole text as a value."""
        node = self._sum()
        self._finished(compared=False)
        return node

    def condition(self) -> Comparison:
        """The whole text as a comparison, ``for`` included."""
        left = self._sum()
        token = self._peek()
        if token.text in ("==", "=", "!="):
            raise self._slip("measured values are never equal", "compare with <, <=, > or >=", token.at)
        operator = OPERATORS.get(token.text)
        if operator is None:
            raise self._slip("a condition compares two values", "write for example 'voltage >= 4.2 V'", token.at)
        self._next += 1
        right = self._sum()
        sustained = for_at = None
        if self._peek().text == "for":
            for_at = self._take().at
            sustained = self._sum()
        self._finished(compared=True)
        return Comparison(left, operator, right, sustained, token.at, for_at)

    def _finished(self, *, compared: bool) -> None:
        token = self._peek()
        if token.kind == "end":
            return
        if token.text in ("and", "or", "&&", "||"):
            raise self._slip("one comparison each", "list them under any: or all:", token.at)
        if token.text in (*OPERATORS, "==", "=", "!="):
            fix = "list two comparisons under all:" if compared else "write a value here, not a comparison"
            raise self._slip(f"{token.text!r} is out of place", fix, token.at)
        raise self._slip(
            f"{token.text!r} is out of place", "put an operator (+ - * /) before it, or remove it", token.at
        )

    def _slip(self, error: str, fix: str, at: int = 0) -> ExpressionError:
        return ExpressionError(error, fix, text=self._text, at=at)

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        self._next += token.kind != "end"
        return token

    def _expect(self, sign: str) -> None:
        token = self._take()
        if token.text != sign:
            raise self._slip(f"{sign!r} is missing here", f"write {sign!r}", token.at)

    def _deeper(self, at: int) -> None:
        self._depth += 1
        if self._depth > self._max_depth:
            raise self._slip(f"nested deeper than {self._max_depth}", "name a part as a result", at)

    def _sum(self) -> Node:
        node = self._product()
        while (token := self._peek()).text in ("+", "-"):
            self._next += 1
            node = Binary("+" if token.text == "+" else "-", node, self._product(), token.at)
        return node

    def _product(self) -> Node:
        node = self._factor()
        while (token := self._peek()).text in ("*", "/"):
            self._next += 1
            node = Binary("*" if token.text == "*" else "/", node, self._factor(), token.at)
        return node

    def _factor(self) -> Node:
        token = self._take()
        self._deeper(token.at)
        try:
            if token.kind == "number":
                return self._amount(token, sign=1.0)
            if token.text == "-":
                if self._peek().kind == "number":
                    return self._amount(self._take(), sign=-1.0)
                return Negative(self._factor(), token.at)
            if token.text == "(":
                node = self._sum()
                self._expect(")")
                return node
            if token.kind == "word":
                return self._function(token) if self._peek().text == "(" else self._name(token)
            what = f"{token.text!r} is out of place" if token.text else "the expression stops too early"
            raise self._slip(what, "write a quantity such as '4.2 V', a name, or (...)", token.at)
        finally:
            self._depth -= 1

    def _amount(self, token: Token, *, sign: float) -> Node:
        digits = token.text
        if re.match(r"0[0-9]", digits):
            raise self._slip(f"{digits!r} begins with a zero", f"write {digits.lstrip('0') or '0'}", token.at)
        number = sign * float(digits)
        symbol = self._unit()
        unit = UNITS[symbol] if symbol else None
        value = number * unit.scale + unit.offset if unit else number
        if not math.isfinite(value):
            raise self._slip(f"{digits} is too large to be a quantity", "write a finite number", token.at)
        if unit and unit.dimension is Dimension.CURRENT_PER_RATED:
            return Rated(value, token.at)
        return Amount(value, unit.dimension if unit else Dimension.NUMBER, token.at)

    def _unit(self) -> str | None:
        """The unit after a number, ``Wh/kg`` and ``K/min`` in one piece; None for a bare number."""
        token = self._peek()
        if token.kind != "word" or token.text == "for":
            return None
        per, second = (
            self._tokens[self._next + 1 : self._next + 3] if self._next + 2 < len(self._tokens) else (None, None)
        )
        if per and second and per.text == "/" and second.at == token.at + len(token.text) + 1:
            compound = f"{token.text}/{second.text}"
            if compound in UNITS:
                self._next += 3
                return compound
        if token.text in UNITS:
            self._next += 1
            return token.text
        near = next((unit for unit in UNITS if unit.lower() == token.text.lower()), None) or nearest(token.text, UNITS)
        fix = f"did you mean {near!r}?" if near else f"known units: {', '.join(UNITS)}"
        if token.text in FIXED or token.text in FUNCTIONS or self._tokens[self._next + 1].text == ".":
            fix = "put an operator (+ - * /) between a number and a name"
        raise self._slip(f"unknown unit {token.text!r}", fix, token.at)

    def _name(self, token: Token) -> NameRef:
        if token.text in ("for", "and", "or", "not", "%"):
            raise self._slip(f"{token.text!r} is out of place", "write a quantity or a name here", token.at)
        if self._peek().text != ".":
            return NameRef(token.text, token.at)
        self._next += 1
        part = self._take()
        if part.kind != "word" or part.text == "%":
            raise self._slip(f"{token.text}. wants a name after the dot", f"write {token.text}.something", part.at)
        return NameRef(f"{token.text}.{part.text}", token.at)

    def _function(self, token: Token) -> Node:
        if token.text not in FUNCTIONS:
            near = nearest(token.text, FUNCTIONS)
            fix = f"did you mean {near}(...)?" if near else f"known functions: {', '.join(FUNCTIONS)}"
            raise self._slip(f"unknown function {token.text!r}", fix, token.at)
        if token.text == "last":
            raise self._slip(
                "last gives a list", "take its min, max or mean, as in mean(last(result.capacity, 3))", token.at
            )
        self._expect("(")
        if token.text == "start":
            return self._start(token)
        arguments = [self._argument(lists=token.text in AGGREGATES)]
        while self._peek().text == ",":
            self._next += 1
            arguments.append(self._argument(lists=token.text in AGGREGATES))
        self._expect(")")
        if token.text != "abs":
            return Aggregate(token.text, tuple(arguments), token.at)
        if len(arguments) != 1:
            raise self._slip("abs takes one value", "write abs(current)", token.at)
        return Absolute(arguments[0], token.at)

    def _argument(self, *, lists: bool) -> Node:
        token = self._peek()
        if lists and token.text == "last" and self._tokens[self._next + 1].text == "(":
            self._next += 2
            return self._last(token)
        return self._sum()

    def _last(self, token: Token) -> Last:
        word = self._take()
        name = self._name(word) if word.kind == "word" else None
        if name is None or not name.name.startswith("result."):
            raise self._slip("last takes a result", "write for example last(result.capacity, 3)", token.at)
        self._expect(",")
        count = self._take()
        if not re.fullmatch(r"[1-9][0-9]{0,3}", count.text):
            raise self._slip("last wants a count", "write for example last(result.capacity, 3)", count.at)
        self._expect(")")
        return Last(name, int(count.text), token.at)

    def _start(self, token: Token) -> Start:
        word = self._take()
        if word.text not in INSTANT:
            raise self._slip("start takes a live quantity", f"write start(...) of {', '.join(INSTANT)}", word.at)
        self._expect(")")
        return Start(word.text, token.at)
