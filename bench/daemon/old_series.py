"""Curves from a bundle, by a process of its own: a run of months is minutes of reading, and would hold up the loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from bench import record
from bench.daemon.decimation import Buckets
from bench.daemon.quantities import highest, recorded
from bench.thinning import Columns
from drivers.errors import BenchError, RecordError

#: Events that are marks on a curve.
MARKS = (
    "step_started",
    "trip",
    "stop",
    "sample_event",
    "bench_event",
    "contact",
    "observation_begun",
    "ending",
    "paused",
)
#: A run of more rows than these is thinned as it is read.
MOST_ROWS = 200_000
#: More marks than these nobody reads.
MOST_MARKS = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of a bundle (UTC; None: all of it), and in how many points."""

    folder: str
    quantities: tuple[str, ...]
    begin_utc_s: float | None
    end_utc_s: float | None
    points: int


def series(wanted: Wanted) -> dict[str, Any]:
    """``channels, bucket_s, utc_s, low, high, marks``, as a SeriesView has them. Raises RecordError."""
    kept = record.load(Path(wanted.folder), most_rows=MOST_ROWS)
    columns = kept.rows.columns
    times = [0.0 if value is None else value for value in columns.get("utc_s", ())]
    begin_s = kept.start_utc_s if wanted.begin_utc_s is None else wanted.begin_utc_s
    end_s = wanted.end_utc_s if wanted.end_utc_s is not None else (times[-1] if times else begin_s)
    buckets = Buckets(begin_s, end_s, wanted.points)
    by_quantity = recorded(kept.rows.roles, columns)
    low: dict[str, list[float | None]] = {}
    high: dict[str, list[float | None]] = {}
    names = tuple(name for name in wanted.quantities if name in by_quantity)
    for name in names:
        low[name], high[name] = buckets.curve(zip(times, _values(columns, by_quantity[name]), strict=True))
    marks = [
        {"utc_s": event.utc_s, "kind": event.kind, "data": _mark(event.data)}
        for event in kept.of(*MARKS)
        if begin_s <= event.utc_s <= end_s
    ]
    return {
        "channels": names,
        "bucket_s": buckets.length_s,
        "utc_s": buckets.times_s,
        "low": low,
        "high": high,
        "marks": marks[:MOST_MARKS],
    }


async def series_beside(wanted: Wanted) -> dict[str, Any]:
    """The same, by another process. Raises RecordError."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        told, _ = await child.communicate(orjson.dumps(asdict(wanted)))
    except BaseException:
        if child.returncode is None:
            child.kill()
        raise
    answer: dict[str, Any] = orjson.loads(told) if child.returncode == 0 else {}
    if "refused" in answer or not answer:
        error, where, fix = answer.get("refused") or (
            "it cannot be read",
            wanted.folder,
            "run `cellbench verify` on it",
        )
        raise RecordError(error, where, fix)
    return answer


def _values(columns: Columns, names: Sequence[str]) -> Iterator[float | None]:
    if len(names) == 1:
        return iter(columns[names[0]])
    return (highest(values) for values in zip(*(columns[name] for name in names), strict=True))


def _mark(data: Any) -> dict[str, Any]:
    return {key: data[key] for key in ("path", "step_kind", "phase", "rule", "cause", "what") if key in data}


def _main() -> None:
    order = orjson.loads(sys.stdin.buffer.read())
    try:
        answer = series(Wanted(**{**order, "quantities": tuple(order["quantities"])}))
    except BenchError as error:
        fault = error.faults[0]
        answer = {"refused": (fault.error, fault.where, fault.fix)}
    sys.stdout.buffer.write(orjson.dumps(answer))


if __name__ == "__main__":
    _main()
