"""The strokes of a run, from the rig's own buffer: one table each, on the clock of the run.

The rig's rows are in the log, hash-chained, as ``burst`` events; ``stroke-N.csv`` and ``stroke-N.parquet`` are made
from them at sealing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import parquet
from bench.record import Event, Record

TIME = "mono_s"


@dataclass(frozen=True, slots=True)
class StrokeTable:
    """One stroke's rows as columns: ``test_time_s``, ``utc_s``, then what the rig kept. None where nothing was good.

    ``offset_within_s`` is how far the rig's clock may be off the run's; ``whole`` says that every part was logged.
    """

    number: int
    columns: Mapping[str, Sequence[float | None]]
    offset_within_s: float
    whole: bool

    def __len__(self) -> int:
        return len(self.columns["test_time_s"])


def strokes(kept: Record) -> list[StrokeTable]:
    """The strokes of a run, in order. Of a buffer that was read twice the last reading counts."""
    parts: dict[int, list[Event]] = {}
    for event in kept.of("burst"):
        number = int(event.data["stroke"])
        if event.data["part"] == 1:
            parts[number] = []
        parts.setdefault(number, []).append(event)
    return [_table(kept, number, events) for number, events in sorted(parts.items())]


def write(folder: Path, stroke: StrokeTable) -> tuple[Path, Path]:
    """``stroke-N.csv`` and ``stroke-N.parquet``. The same rows give the same bytes. Raises OSError."""
    text = folder / f"stroke-{stroke.number}.csv"
    table = folder / f"stroke-{stroke.number}.parquet"
    with text.open("x", encoding="utf-8", newline="") as file:
        file.write(_csv(stroke))
    about = {"stroke": str(stroke.number), "offset_within_s": repr(stroke.offset_within_s)}
    parquet.write(table, stroke.columns, whole=frozenset(), metadata=about)
    return text, table


def _table(kept: Record, number: int, events: Sequence[Event]) -> StrokeTable:
    first = events[0]
    names: list[str] = list(first.data["columns"])
    rows: list[list[Any]] = [row for event in events for row in event.data["rows"]]
    utc_offset_s = first.utc_s - first.mono_s
    by_name = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    mono_s = by_name.pop(TIME)
    columns: dict[str, Sequence[float | None]] = {
        "test_time_s": [round(t - kept.start_s, 6) for t in mono_s],
        "utc_s": [round(t + utc_offset_s, 6) for t in mono_s],
        **by_name,
    }
    whole = [event.data["part"] for event in events] == list(range(1, int(first.data["parts"]) + 1))
    return StrokeTable(number, columns, float(first.data["offset_within_s"]), whole)


def _csv(stroke: StrokeTable) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(stroke.columns)
    for row in zip(*stroke.columns.values(), strict=True):
        writer.writerow(["" if value is None else repr(float(value)) for value in row])
    return text.getvalue()
