"""What a person enters, against what it can be: one rule for the terminal, the desk and an answers file."""

from __future__ import annotations

from dataclasses import dataclass

from drivers import BASE
from sequences.expressions import Expression
from sequences.language import Entry


@dataclass(frozen=True, slots=True)
class Bounds:
    """In base units; None where there is none. ``text`` is as the sequence writes them."""

    low: float | None
    high: float | None
    text: str

    def refuse(self, value: float) -> str | None:
        """Why a value cannot be; None if it can."""
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            return f"it cannot be: {self.text}"
        return None


def bounds_of(entry: Entry) -> Bounds:
    """What the value of an entry can be at all."""
    low, high = entry.at_least, entry.at_most
    parts = [f"at least {low}"] if low is not None else []
    parts += [f"at most {high}"] if high is not None else []
    return Bounds(_worth(low), _worth(high), " and ".join(parts))


def unit_of(entry: Entry) -> str | None:
    """The base unit in which an entry's number counts; None for words."""
    kind = None if entry.example is None else entry.example.kind
    return None if kind is None else BASE[kind]


def _worth(bound: Expression | None) -> float | None:
    return None if bound is None else bound.evaluate({})
