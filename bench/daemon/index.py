"""The index of a data folder's runs: a SQLite file that may be deleted, for it is made from the bundles again.

Nothing is true because it stands here. What a bundle says counts; the index only finds it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from bench import bundle
from bench.daemon.views import FaultView, RunView
from bench.log import EVENTS
from bench.open_runs import is_owned
from drivers.errors import RecordError

FILE = "index.sqlite"
_SCHEMA = """
create table if not exists runs (
    run_id text primary key, number integer not null, state text not null, folder text not null,
    words text not null, view text not null
) strict;
create index if not exists by_number on runs (number);
"""


class RunIndex:
    """One data folder's. Blocks on the disk: call it in a thread of its own, one at a time."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._path = data / FILE
        self._open: sqlite3.Connection | None = None

    def sync(self) -> None:
        """Bring it up to date with the bundles; a spoilt file is made anew. Raises RecordError."""
        try:
            self._sync()
        except sqlite3.DatabaseError:
            self.close()
            self._path.unlink(missing_ok=True)
            self._sync()

    def put(self, view: RunView, folder: Path) -> None:
        """A run as it is now. Raises RecordError."""
        with self._connection() as connection:
            self._put(connection, view, folder)

    def find(self, *, search: str = "", limit: int = 50, before: str | None = None) -> tuple[RunView, ...]:
        """The newest first; each word of ``search`` occurs in id, sequence, channel, cell, sample, operator, verdict or
        state. ``before`` is the run at which the page before ended. Raises RecordError."""
        where, values = ["1"], list[Any]()
        for word in search.lower().split()[:8]:
            where.append("words like ? escape '\\'")
            values.append(f"%{_literal(word)}%")
        if before is not None:
            where.append("number < ?")
            values.append(number_of(before))
        query = f"select view from runs where {' and '.join(where)} order by number desc limit ?"  # noqa: S608 - ours
        rows = self._connection().execute(query, (*values, limit)).fetchall()
        return tuple(RunView.model_validate_json(row[0]) for row in rows)

    def one(self, run_id: str) -> tuple[RunView, Path] | None:
        """A run and its bundle; None for one that is not known. Raises RecordError."""
        row = self._connection().execute("select view, folder from runs where run_id = ?", (run_id,)).fetchone()
        return None if row is None else (RunView.model_validate_json(row[0]), Path(row[1]))

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            try:
                self._data.mkdir(parents=True, exist_ok=True)
                self._open = sqlite3.connect(self._path, check_same_thread=False)
                self._open.execute("pragma journal_mode = wal")
                self._open.execute("pragma synchronous = normal")
                self._open.executescript(_SCHEMA)
            except sqlite3.OperationalError as error:
                raise RecordError(f"the index cannot be opened: {error}", str(self._path), "mend the disk") from None
        return self._open

    def _sync(self) -> None:
        with self._connection() as connection:
            with closing(connection.execute("select run_id, state from runs")) as rows:
                known: dict[str, str] = dict(rows)
            there = {folder.name: folder for folder in _bundles(self._data / "runs")}
            for run_id in known.keys() - there.keys():
                connection.execute("delete from runs where run_id = ?", (run_id,))
            for run_id, folder in there.items():
                if known.get(run_id) != "closed":
                    view = read_view(folder)
                    if view is not None:
                        self._put(connection, view, folder)

    def _put(self, connection: sqlite3.Connection, view: RunView, folder: Path) -> None:
        told = (
            view.run_id,
            view.sequence,
            view.channel,
            view.cell,
            view.sample,
            view.operator,
            view.verdict,
            view.state,
        )
        words = " ".join(str(word).lower() for word in told if word is not None)
        row = (view.run_id, number_of(view.run_id), view.state, str(folder), words, view.model_dump_json())
        connection.execute("insert or replace into runs values (?, ?, ?, ?, ?, ?)", row)


def read_view(folder: Path) -> RunView | None:
    """A run as its bundle tells it; None for a folder that holds no record."""
    header = _header(folder)
    if header is None:
        return None
    result = _json(folder / bundle.RESULT) if (folder / bundle.MANIFEST).exists() else None
    closed = result is not None
    ended_utc_s = _number_of(_last_utc_s(folder)) if closed else None
    return RunView(
        run_id=str(header.get("run_id", folder.name)),
        sequence=str(header.get("sequence", "")),
        channel=str(header.get("channel", "")),
        cell=str(header.get("cell", "")),
        sample=_text(header.get("sample")),
        operator=_text(header.get("operator")),
        mode="live" if header.get("mode") == "live" else "simulated",
        state="closed" if closed else "running" if is_owned(folder) else "interrupted",
        begun_utc_s=_number_of(header.get("utc_s")),
        ended_utc_s=ended_utc_s,
        verdict=None if result is None else _text(result.get("verdict")),
        exit_code=None if result is None else int(result.get("exit_code", 4)),
        ended_by=None if result is None else _text((result.get("ended_by") or {}).get("kind")),
        awaiting=() if result is None else tuple(map(str, result.get("awaiting", ()))),
        faults=() if result is None else tuple(_faults(result)),
    )


def _bundles(runs: Path) -> Iterator[Path]:
    return (folder for folder in sorted(runs.glob("*")) if (folder / EVENTS).exists())


def _header(folder: Path) -> dict[str, Any] | None:
    """The first event, with its time among its data."""
    try:
        with (folder / EVENTS).open("rb") as file:
            event = orjson.loads(file.readline())
        data = event.get("data", event)
        return {**data, "utc_s": event.get("utc_s")} if isinstance(data, dict) else None
    except (OSError, ValueError, AttributeError):
        return None


def _last_utc_s(folder: Path) -> object:
    """When the last event was written."""
    try:
        with (folder / EVENTS).open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 65536))
            return orjson.loads(file.read().splitlines()[-1]).get("utc_s")
    except (OSError, ValueError, IndexError, AttributeError):
        return None


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _faults(result: dict[str, Any]) -> Iterator[FaultView]:
    for fault in result.get("faults", ()):
        yield FaultView(error=str(fault.get("error")), where=str(fault.get("where")), fix=str(fault.get("fix")))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number_of(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def number_of(run_id: str) -> int:
    """``0007`` of a run's id."""
    digits = run_id.partition("-")[0]
    return int(digits) if digits.isdecimal() and len(digits) < 10 else 0


def _literal(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
