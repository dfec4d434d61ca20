"""The check of one value in its place: do its names have a value there, and is it what its field wants."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from types import MappingProxyType

from drivers import BASE, Dimension
from sequences.dimensions import name_of
from sequences.expressions import Condition, Expression, ExpressionError, Symbols, UnknownNameError, unlike, whens
from sequences.meaning import RATED_CAPACITY
from sequences.names import CELL, JUDGEMENT, LIVE, STROKE, TRANSFER
from sequences.syntax import Amount
from sequences.tree import Path

_NOTHING_MORE: Symbols = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Finding:
    """One slip, at a path of the file; ``offset`` counts characters inside the text that stands there."""

    path: Path
    error: str
    fix: str
    offset: int | None = None
    key: bool = False


class ValueChecker:
    """Collects ``findings`` while a walk gives more and more names a value (``known``).

    ``unsure`` are names whose declaration is itself at fault, ``later`` those that some step takes, ``at_end`` those
    that have a value when the run has ended.
    """

    def __init__(self, *, unsure: Collection[str], later: Collection[str], at_end: Collection[str]) -> None:
        self.findings: list[Finding] = []
        self.known: dict[str, Dimension | None] = {}
        self._unsure: dict[str, Dimension | None] = dict.fromkeys(unsure)
        self._later = later
        self._at_end = at_end

    def _slip(self, path: Path, error: str, fix: str, *, offset: int | None = None, key: bool = False) -> None:
        self.findings.append(Finding(path, error, fix, offset, key))

    def _infer(self, value: Expression, path: Path, also: Symbols, offset: int = 0) -> Dimension | None:
        """What a value is, or None if that is at fault or unknown; ``also`` are the fixed names of this place."""
        try:
            kind = value.infer({**self._unsure, **CELL, **self.known, **also})
        except UnknownNameError as slip:
            said, fix = self._why_unknown(slip)
            self._slip(path, said, fix, offset=offset + slip.at)
            return None
        except ExpressionError as slip:
            self._slip(path, slip.error, slip.fix, offset=offset + slip.at)
            return None
        if not value.names and not math.isfinite(value.evaluate({})):
            self._slip(path, f"{value} has no finite value", "do not divide by zero", offset=offset)
        return kind

    def _why_unknown(self, slip: UnknownNameError) -> tuple[str, str]:
        name = slip.name
        if name in self._later:
            return f"{name} has no value yet here", "it is taken by a later step; use it after that step"
        if name in STROKE:
            return f"{name} has no value here", "use it in the results of a penetrate or crush step"
        if name in TRANSFER:
            return f"{name} has no value here", "use it in the results of a transfer step"
        if name.startswith(JUDGEMENT) and name not in self._at_end:
            return f"nobody is asked for {name}", f"ask a question named {name.removeprefix(JUDGEMENT)} in a judge step"
        if name in LIVE:
            return f"the reading {name!r} means nothing here", "use it in an end condition or in a step's results"
        if name in self._at_end:
            return f"{name} is known only when the run has ended", "use it in the sequence's results or criteria"
        return slip.error, slip.fix

    def _field(
        self,
        value: Expression,
        path: Path,
        wanted: Dimension,
        also: Symbols = _NOTHING_MORE,
        *,
        positive: bool = False,
        offset: int = 0,
    ) -> None:
        """Check one value against what its field wants."""
        found = self._infer(value, path, also, offset)
        if found is not None and found is not wanted:
            error, fix = _wrong_dimension(value, found, wanted, str(path[-1]))
            self._slip(path, error, fix, offset=offset)
        elif found is wanted and positive:
            worth = _fixed_worth(value)
            if worth is not None and not worth > 0:
                fix = "write it without sign" if worth < 0 else f"write for example '1 {BASE[wanted]}'"
                self._slip(path, f"{path[-1]} is {value}, not more than zero", fix, offset=offset)

    def _condition(self, condition: Condition, path: Path, also: Symbols = LIVE) -> None:
        for below, when in whens(condition):
            here = (*path, *below)
            left = self._infer(when.left, here, also, when.offsets[0])
            right = self._infer(when.right, here, also, when.offsets[1])
            if left and right and left is not right:
                self._slip(here, *unlike(left, replace(when.right, kind=right)), offset=when.offsets[1])
            if when.sustained is not None:
                self._field(when.sustained, here, Dimension.TIME, positive=True, offset=when.offsets[2])


def _fixed_worth(value: Expression) -> float | None:
    """Its worth if nothing but the rated capacity is asked for, which is taken as 1 Ah: good for its sign."""
    if value.names - {RATED_CAPACITY}:
        return None
    worth = value.evaluate({RATED_CAPACITY: 1.0})
    return worth if math.isfinite(worth) else None


def surely_more(one: Expression, other: Expression) -> bool:
    """Whether ``one`` is more than ``other`` in every cell. Amperes and I1 cannot be compared without a cell."""
    left, right = _fixed_worth(one), _fixed_worth(other)
    return one.names == other.names and left is not None and right is not None and left > right


def _wrong_dimension(value: Expression, found: Dimension, wanted: Dimension, name: str) -> tuple[str, str]:
    """What to say of a value that is something else than its field wants, and what to write instead."""
    unit = BASE[wanted]
    number = value.text.split()[0].rstrip("%") if isinstance(value.tree, Amount) else ""
    if isinstance(value.tree, Amount) and found is Dimension.NUMBER and not value.text.endswith("%"):
        also = f" or '{number} I1'" if wanted is Dimension.CURRENT else ""
        return f"{value} has no unit; {name} wants {name_of(wanted)}", f"write '{number} {unit}'{also}"
    error = f"{value} is {name_of(found)}, but {name} wants {name_of(wanted)}"
    if wanted is Dimension.NUMBER:
        return error, "write a number without unit, or divide by a quantity of the same kind"
    if {found, wanted} == {Dimension.TEMPERATURE, Dimension.TEMPERATURE_CHANGE} and number:
        return error, f"write '{number} {unit}'"
    return error, f"write a value in {unit}, such as '1 {unit}'"
