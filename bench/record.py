"""Reading a bundle back: the one door for report, export and the BDF file. Nothing here writes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from bench import parquet, schemas
from bench.event_files import read_events
from bench.row_files import FIXED_COLUMNS, row_parts, window_lines
from bench.thinning import Columns, joined, thinned
from drivers.errors import RecordError

PLAN = "plan.json"
#: More rows than these no picture needs.
SHOWN_ROWS = 20_000
#: Lines of a window that are read at a time.
WINDOW_PART = 4096

NOT_A_BUNDLE_FIX = "give the folder of a run: it holds events.jsonl"


@dataclass(frozen=True, slots=True)
class Event:
    """One record of ``events.jsonl``. ``data`` is what the writer of that kind put in."""

    n: int
    mono_s: float
    utc_s: float
    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rows:
    """The stored rows as columns of one length; None where there was no good value.

    ``roles``: channel by role, where the sample was at first. ``moves``: from when on (loop time) the roles were those
    of another place, in order. ``reopened_s``: when the record was taken up again after the program had died.
    """

    columns: Mapping[str, Sequence[float | None]]
    roles: Mapping[str, str] = field(default_factory=dict)
    moves: tuple[tuple[float, Mapping[str, str]], ...] = ()
    reopened_s: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.columns["mono_s"]) if self.columns else 0

    @property
    def known_roles(self) -> frozenset[str]:
        """Every role that a channel had anywhere."""
        return frozenset(self.roles).union(*(roles for _, roles in self.moves))

    def role(self, name: str) -> Sequence[float | None]:
        """The column of a role, wherever the sample was; None where the run had no such channel."""
        column = self._column(self.roles.get(name))
        for from_s, roles in self.moves:
            begin = bisect_left(self.mono_s, from_s)
            column = [*column[:begin], *self._column(roles.get(name))[begin:]]
        return column

    def _column(self, channel: str | None) -> Sequence[float | None]:
        return self.columns.get(channel or "", [None] * len(self))

    @property
    def mono_s(self) -> list[float]:
        return [0.0 if value is None else value for value in self.columns.get("mono_s", ())]

    @property
    def steps(self) -> list[int]:
        return [0 if value is None else int(value) for value in self.columns.get("step", ())]


@dataclass(frozen=True, slots=True)
class Record:
    """A run's record as far as it is whole. :func:`stretches` gives every row, whatever ``rows`` holds."""

    folder: Path
    events: tuple[Event, ...]
    rows: Rows
    #: How many rows there are, where ``rows`` holds only those that show the curves; None: it holds them all.
    thinned_from: int | None = None

    @property
    def row_count(self) -> int:
        """How many rows were stored."""
        return len(self.rows) if self.thinned_from is None else self.thinned_from

    @property
    def header(self) -> Mapping[str, Any]:
        """The data of the first event: run_id, mode, durable, seed, operator, ..."""
        return self.events[0].data if self.events else {}

    @property
    def start_s(self) -> float:
        """Loop time of the record's beginning: test time 0."""
        return self.events[0].mono_s if self.events else 0.0

    @property
    def start_utc_s(self) -> float:
        return self.events[0].utc_s if self.events else 0.0

    def of(self, *kinds: str) -> Iterator[Event]:
        """The events of these kinds, in order."""
        return (event for event in self.events if event.kind in kinds)

    def json(self, name: str) -> dict[str, Any]:
        """A JSON file of the bundle; empty if it is not there."""
        path = self.folder / name
        if not path.is_file():
            return {}
        value = orjson.loads(path.read_bytes())
        return value if isinstance(value, dict) else {}


def load(folder: Path, *, most_rows: int | None = None) -> Record:
    """Read events and rows. A torn tail is left out. Raises RecordError if it is no bundle or cannot be read.

    Of more than ``most_rows`` rows about so many are kept that show every curve's course and its peaks: memory does
    not grow with the length of the run.
    """
    with _readable(folder):
        found = read_events(folder)
        for record in found.records[:1]:
            schemas.migrated({"schema": record["data"].get("schema", schemas.newest("events"))}, "events", str(folder))
        events = tuple(Event(it["n"], it["mono_s"], it["utc_s"], it["kind"], it["data"]) for it in found.records)
        opened = [event.data for event in events if event.kind == "readings"]
        if not opened:
            return Record(folder, events, Rows({name: [] for name in FIXED_COLUMNS}, moves=_moves(folder, events)))
        names: list[str] = list(opened[-1]["columns"])
        count = None if most_rows is None else _count(folder, events)
        thin = most_rows is not None and count is not None and count > most_rows
        stored = stored_columns(folder, events, names)
        rows = Rows(
            thinned(stored, names, count or 0, most_rows or 0) if thin else joined(stored, names),
            dict(opened[-1].get("roles", {})),
            _moves(folder, events),
            tuple(event.mono_s for event in events if event.kind == "reopened"),
        )
        return Record(folder, events, rows, count if thin else None)


def stretches(kept: Record) -> Iterator[Rows]:
    """Every stored row, in stretches of which one is in memory at a time. Raises RecordError."""
    if kept.thinned_from is None:
        yield kept.rows
        return
    with _readable(kept.folder):
        for columns in stored_columns(kept.folder, kept.events, list(kept.rows.columns)):
            yield replace(kept.rows, columns=columns)


def between(kept: Record, from_s: float, to_s: float) -> Rows:
    """The rows of a part of a long run (loop time) as close as they show its curves; all rows of a shorter one."""
    if kept.thinned_from is None:
        return kept.rows

    def inside() -> Iterator[Columns]:
        for part in stretches(kept):
            at = slice(bisect_left(part.mono_s, from_s), bisect_right(part.mono_s, to_s))
            yield {name: column[at] for name, column in part.columns.items()}

    count = sum(len(part["mono_s"]) for part in inside())
    return replace(kept.rows, columns=thinned(inside(), list(kept.rows.columns), count, SHOWN_ROWS))


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise RecordError(f"not a bundle: {error.filename} is missing", str(folder), NOT_A_BUNDLE_FIX) from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise RecordError(
            f"the record cannot be read: {error}",
            str(folder),
            "run `cellbench verify` on it; it names what was altered",
        ) from error


def stored_columns(folder: Path, events: Sequence[Event], names: Sequence[str]) -> Iterator[Columns]:
    """The rows as they lie in segments and windows, some thousands at a time. Raises OSError, ValueError, KeyError."""
    for part in row_parts(folder, ((event.kind, event.data) for event in events)):
        if part.segment is not None:
            for values in parquet.read_parts(part.path, names):
                yield dict(zip(names, values, strict=True))
        else:
            lines = window_lines(part.path, part.limit)
            while some := [orjson.loads(line) for line in islice(lines, WINDOW_PART)]:
                yield {name: [row[at] for row in some] for at, name in enumerate(names)}


def _count(folder: Path, events: Sequence[Event]) -> int:
    parts = row_parts(folder, ((event.kind, event.data) for event in events))
    return sum(
        int(part.segment["rows"]) if part.segment is not None else sum(1 for _ in window_lines(part.path, part.limit))
        for part in parts
    )


def _moves(folder: Path, events: Sequence[Event]) -> tuple[tuple[float, Mapping[str, str]], ...]:
    """The roles from each transfer on, by what the plan says of the places."""
    carried = [event for event in events if event.kind == "transferred"]
    if not carried:
        return ()
    places = orjson.loads((folder / PLAN).read_bytes())["places"]
    return tuple((event.mono_s, _roles(places[event.data["to"]]["channel"])) for event in carried)


def _roles(channel: Mapping[str, Any]) -> dict[str, str]:
    single = ("voltage", "current", "ambient", "cell_voltage")
    roles = {name: channel[name] for name in single if channel.get(name)}
    return roles | {f"surface_{at}": name for at, name in enumerate(channel["surface"], 1)}
