"""Reading a bundle back: the one door for report, export and the BDF file. Nothing here writes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from bench import parquet, schemas
from bench.event_files import read_events
from bench.row_files import FIXED_COLUMNS, row_parts, window_lines
from drivers.errors import RecordError

PLAN = "plan.json"

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
    def breaks(self) -> frozenset[int]:
        """The first row after each time that the program was dead."""
        return frozenset(bisect_left(self.mono_s, at_s) for at_s in self.reopened_s)

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
    """A run's record as far as it is whole."""

    folder: Path
    events: tuple[Event, ...]
    rows: Rows

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


def load(folder: Path) -> Record:
    """Read events and rows. A torn tail is left out. Raises RecordError if it is no bundle or cannot be read."""
    try:
        found = read_events(folder)
        for record in found.records[:1]:
            schemas.migrated({"schema": record["data"].get("schema", schemas.newest("events"))}, "events", str(folder))
        events = tuple(Event(it["n"], it["mono_s"], it["utc_s"], it["kind"], it["data"]) for it in found.records)
        return Record(folder, events, replace(_rows(folder, events), moves=_moves(folder, events)))
    except FileNotFoundError as error:
        raise RecordError(f"not a bundle: {error.filename} is missing", str(folder), NOT_A_BUNDLE_FIX) from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise RecordError(
            f"the record cannot be read: {error}",
            str(folder),
            "run `cellbench verify` on it; it names what was altered",
        ) from error


def _rows(folder: Path, events: Sequence[Event]) -> Rows:
    opened = [event.data for event in events if event.kind == "readings"]
    if not opened:
        return Rows({name: [] for name in FIXED_COLUMNS})
    names: list[str] = list(opened[-1]["columns"])
    columns: dict[str, list[float | None]] = {name: [] for name in names}
    for part in row_parts(folder, ((event.kind, event.data) for event in events)):
        if part.segment is not None:
            for values in parquet.read_parts(part.path, names):
                for name, column in zip(names, values, strict=True):
                    columns[name].extend(column)
        else:
            for line in window_lines(part.path, part.limit):
                for name, value in zip(names, orjson.loads(line), strict=False):
                    columns[name].append(value)
    reopened_s = tuple(event.mono_s for event in events if event.kind == "reopened")
    return Rows(columns, dict(opened[-1].get("roles", {})), reopened_s=reopened_s)


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
