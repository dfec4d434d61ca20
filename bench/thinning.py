"""Rows of a long run, so many that every curve keeps its course and its peaks, and no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

Columns = Mapping[str, Sequence[float | None]]

STEP = "step"
#: Columns that only rise: their lowest and highest rows are the first and the last.
_RISING = frozenset({"mono_s", "utc_s", STEP})


def joined(parts: Iterable[Columns], names: Sequence[str]) -> dict[str, list[float | None]]:
    """All rows of all parts."""
    columns: dict[str, list[float | None]] = {name: [] for name in names}
    for part in parts:
        for name, column in columns.items():
            column.extend(part[name])
    return columns


def thinned(parts: Iterable[Columns], names: Sequence[str], count: int, most: int) -> dict[str, list[float | None]]:
    """Of ``count`` rows about ``most``: of each slice of so many rows the first and the last, and for every channel the
    lowest and the highest row; and the two rows at each change of the step. One part is in memory at a time."""
    channels = [name for name in names if name not in _RISING]
    size = max(1, count * (2 + 2 * len(channels)) // max(most, 1))
    columns: dict[str, list[float | None]] = {name: [] for name in names}
    for part in parts:
        for begin in range(0, len(part[STEP]), size):
            some = {name: part[name][begin : begin + size] for name in names}
            for at in _shown(some, channels):
                for name in names:
                    columns[name].append(some[name][at])
    return columns


def _shown(some: Columns, channels: Sequence[str]) -> list[int]:
    steps = some[STEP]
    changes = (at for at in range(1, len(steps)) if steps[at] != steps[at - 1])
    kept = {0, len(steps) - 1, *chain.from_iterable((at - 1, at) for at in changes)}
    for name in channels:
        values = [(value, at) for at, value in enumerate(some[name]) if value is not None]
        if values:
            kept |= {min(values)[1], max(values)[1]}
    return sorted(kept)
