"""The arithmetic of a comparison: adjacent, order-swapped pairs, and the median of their ratios.

A machine drifts by more over minutes than two programs differ, so a time means nothing by itself. Ours and the
reference are therefore measured next to each other, who goes first changes with every pair, and only the quotient
inside a pair is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, NamedTuple

Measure = Callable[[], float]


class Pair(NamedTuple):
    """Two figures of one unit, taken one right after the other."""

    ours: float
    reference: float

    @property
    def ratio(self) -> float:
        return self.ours / self.reference


def take_pairs(count: int, ours: Measure, reference: Measure) -> list[Pair]:
    """Measure ``count`` pairs, the order swapped each time, after one pair that is thrown away (warming up)."""
    ours(), reference()
    pairs = []
    for at in range(count):
        if at % 2:
            second = reference()
            pairs.append(Pair(ours(), second))
        else:
            first = ours()
            pairs.append(Pair(first, reference()))
    return pairs


@dataclass(frozen=True, slots=True)
class Comparison:
    """One row of the benchmark. ``ours`` and ``reference`` are medians in ``unit``, for orientation only.

    ``ratio`` is the median of the pairs' ratios, ``lowest`` and ``highest`` their spread. ``goal`` is what the ratio
    may be at most, None where there is none. ``notes`` say what was counted.
    """

    name: str
    against: str
    unit: str
    pairs: int
    ours: float
    reference: float
    ratio: float
    lowest: float
    highest: float
    goal: float | None
    notes: tuple[str, ...] = ()

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without one."""
        return None if self.goal is None else self.ratio <= self.goal

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "met": self.met}


def compare(
    name: str, against: str, unit: str, pairs: Sequence[Pair], *, goal: float | None, notes: Sequence[str] = ()
) -> Comparison:
    """Make a row of the pairs. Raises ValueError when there are none."""
    if not pairs:
        raise ValueError("a comparison needs at least one pair")
    ratios = [pair.ratio for pair in pairs]
    return Comparison(
        name=name,
        against=against,
        unit=unit,
        pairs=len(pairs),
        ours=median(pair.ours for pair in pairs),
        reference=median(pair.reference for pair in pairs),
        ratio=median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
        goal=goal,
        notes=tuple(notes),
    )
