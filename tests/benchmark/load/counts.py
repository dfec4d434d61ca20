"""How many of the due samples a bundle holds, and how late they were taken.

A poller reads its device at the instants ``index * 10 ms + n * period`` of the loop's clock, where ``index`` is the
device's place in the bench file; that is what is due. A row is one reading of the cycler, at the instant at which its
reply had come. What is due is worked out here from the bench file alone.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet

#: Two devices in a row of the bench file are read so much apart.
PHASE_STEP_S = 0.010
ON_TIME_S = 0.050


@dataclass(slots=True)
class Taken:
    """``due`` slots of a window; ``late_s`` of each that was taken; ``told`` of those missing as the record says it."""

    due: int = 0
    missing: int = 0
    told: int = 0
    late_s: list[float] = field(default_factory=list)

    @property
    def on_time(self) -> float:
        """The share of what was due that was taken within ``ON_TIME_S``."""
        return sum(late <= ON_TIME_S for late in self.late_s) / self.due if self.due else math.nan

    @property
    def untold(self) -> int:
        """Slots of which the record holds neither a sample nor its absence."""
        return max(0, self.missing - self.told)

    def late(self, share: float) -> float:
        """That quantile of the lateness, in seconds."""
        return quantile(self.late_s, share)

    def add(self, other: Taken) -> None:
        self.due += other.due
        self.missing += other.missing
        self.told += other.told
        self.late_s += other.late_s


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share does not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def slots(phase_s: float, period_s: float, begin_s: float, end_s: float) -> tuple[int, int]:
    """The first slot of a grid that is not before ``begin_s``, and how many there are before ``end_s``."""
    first, behind = (math.ceil((instant_s - phase_s) / period_s - 1e-6) for instant_s in (begin_s, end_s))
    return first, behind - first


def taken(
    instants_s: Iterable[float], gaps: Iterable[tuple[float, float]], *, phase_s: float, period_s: float,
    begin_s: float, end_s: float,
) -> Taken:  # fmt: skip
    """Samples against the slots from ``begin_s`` up to ``end_s``, all of the loop's clock. ``gaps`` are the first and
    the last instant of each stretch that the record says is missing.

    A sample is that of the last slot before it which is not told missing and has no later sample: one that came after
    the next slot's instant is late, and not the next one's.
    """
    first, count = slots(phase_s, period_s, begin_s, end_s)
    ends = [[round((instant_s - phase_s) / period_s) for instant_s in gap] for gap in gaps]
    told = {slot for low, high in ends for slot in range(low, high + 1)}
    seen: dict[int, float] = {}
    free = sys.maxsize
    for instant_s in sorted(instants_s, reverse=True):
        slot = min(free, math.floor((instant_s - phase_s) / period_s + 1e-6))
        while slot in told:
            slot -= 1
        seen[slot] = instant_s - phase_s - slot * period_s
        free = slot - 1
    due = range(first, first + count)
    missing = [slot for slot in due if slot not in seen]
    late_s = [seen[slot] for slot in due if slot in seen]
    return Taken(count, len(missing), sum(slot in told for slot in missing), late_s)


def of_bundle(bundle: Path, *, cycler: str, index: int, period_s: float, begin_s: float, end_s: float) -> Taken:
    """A closed bundle's samples within a window."""
    columns = [
        pyarrow.parquet.read_table(path, columns=["mono_s"]).column("mono_s").to_pylist()
        for path in sorted((bundle / "readings").glob("*.parquet"))
    ]
    gaps = [
        (from_s, to_s)
        for event in events(bundle)
        if event["kind"] == "readings_missed" and event["data"]["device"] == cycler
        for from_s, to_s in event["data"]["gaps"]
    ]
    instants_s = (instant_s for column in columns for instant_s in column)
    return taken(instants_s, gaps, phase_s=index * PHASE_STEP_S, period_s=period_s, begin_s=begin_s, end_s=end_s)


def events(bundle: Path) -> list[Mapping[str, Any]]:
    lines = (bundle / "events.jsonl").read_bytes().splitlines()
    return [orjson.loads(line) for line in lines]
