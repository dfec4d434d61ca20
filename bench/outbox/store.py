"""What waits for a broker, in one SQLite file of the data folder.

Facts have numbers that are never given twice. Each sink has a cursor, the last number that was acknowledged to it;
what lies behind every cursor is deleted. At the cap the oldest facts are dropped and one gap stands in their place,
under the number of the last of them. One thread uses a store; nothing here knows of loops or brokers.

The journal is synced at checkpoints only (``synchronous=NORMAL``): a killed program loses nothing that was appended, a
power cut may lose the last seconds of this copy. The record is the bundle's.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from bench.outbox.fact import Fact, Kind, gap

FILE = "outbox.sqlite"
VERSION = 1
PAGE_BYTES = 4096
#: The share of the cap that facts may fill; the rest is for the journal and the last batch.
FACTS_SHARE = 0.65
#: The share of the cap that one batch may take.
BATCH_SHARE = 1 / 16
#: The share of the facts that is dropped at once when the cap is reached.
DROPPED_SHARE = 0.05
_TABLES = """
CREATE TABLE IF NOT EXISTS facts (id INTEGER PRIMARY KEY AUTOINCREMENT, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS cursors (sink TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
#: How a stored gap begins.
_GAP = b'["gap"'
Row = tuple[int, bytes]


class Store:
    """Raises sqlite3.Error or OSError from every method when the disk does not do its part."""

    def __init__(self, path: Path, cap_bytes: int, sinks: Sequence[str]) -> None:
        self.path = path
        self.last_id = 0
        self.dropped = 0
        self.token = ""
        self.moved_aside = False
        self._budget = int(cap_bytes * FACTS_SHARE)
        self._journal_pages = max(8, int(cap_bytes * BATCH_SHARE) // PAGE_BYTES)
        self._sinks = tuple(sinks)
        self._db: sqlite3.Connection | None = None
        self._cursors: dict[str, int] = {}

    def open(self) -> None:
        """Open or make the file. One that is damaged, or of a newer program, is moved aside and kept."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            self.close()
            if isinstance(error, sqlite3.OperationalError):
                raise  # locked, full, read-only: the file itself may be fine
            self.move_aside()
            self._open()

    def close(self) -> None:
        """Idempotent."""
        db, self._db = self._db, None
        if db is not None:
            with suppress(sqlite3.Error):
                db.close()

    def append(self, facts: Iterable[bytes]) -> int:
        """Keep these, in this order. Gives the last number."""
        db, at = self._connection(), self.last_id
        rows = list(enumerate(facts, at + 1))
        with db:
            db.executemany("INSERT INTO facts (id, data) VALUES (?, ?)", rows)
        self.last_id = at + len(rows)
        return self.last_id

    def trim(self) -> None:
        """Drop the oldest facts while there are more than the cap allows; one gap stands in their place."""
        while self.live_bytes() > self._budget and self._drop_oldest():
            pass

    def after(self, number: int, limit: int) -> list[Row]:
        """The next facts behind that number, oldest first."""
        asked = self._connection().execute(
            "SELECT id, data FROM facts WHERE id > ? ORDER BY id LIMIT ?", (number, limit)
        )
        return asked.fetchall()

    def cursor(self, sink: str) -> int:
        """The last number that was acknowledged to that sink."""
        return self._cursors[sink]

    def acknowledge(self, cursors: dict[str, int]) -> None:
        """These sinks have everything up to these numbers; what all of them have is deleted."""
        db = self._connection()
        moved = {sink: number for sink, number in cursors.items() if number > self._cursors[sink]}
        after = {**self._cursors, **moved}
        with db:
            db.executemany("UPDATE cursors SET id = ? WHERE sink = ?", [(at, sink) for sink, at in moved.items()])
            db.execute("DELETE FROM facts WHERE id <= ?", (min(after.values()),))
        self._cursors = after

    def next_note(self, name: str, most: int) -> int:
        """A number that is one higher at each call, 0 behind ``most``; it outlives the program."""
        db = self._connection()
        found = db.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        number = (int(found[0]) + 1) % (most + 1) if found else 0
        with db:
            db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, str(number)))
        return number

    def waiting(self) -> int:
        """How many facts some sink has not yet, about."""
        return self.last_id - min(self._cursors.values(), default=self.last_id)

    def live_bytes(self) -> int:
        """What the facts and their pages take; freed pages are used again and do not count."""
        db = self._connection()
        pages = int(db.execute("PRAGMA page_count").fetchone()[0])
        return (pages - int(db.execute("PRAGMA freelist_count").fetchone()[0])) * PAGE_BYTES

    def _open(self) -> None:
        # Opened in whichever thread; used by one only.
        db = self._db = sqlite3.connect(self.path, timeout=1.0, check_same_thread=False)
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version > VERSION:
            raise sqlite3.DatabaseError(f"{self.path} is of a newer program")
        db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA wal_autocheckpoint = {self._journal_pages}")
        db.execute(f"PRAGMA journal_size_limit = {self._journal_pages * PAGE_BYTES}")
        db.executescript(_TABLES)
        db.execute(f"PRAGMA user_version = {VERSION}")
        found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'facts'").fetchone()
        self.last_id = max(self.last_id, int(found[0]) if found else 0)
        with db:
            db.execute("INSERT OR IGNORE INTO notes VALUES ('token', ?)", (secrets.token_hex(6),))
            db.executemany(
                "INSERT OR IGNORE INTO cursors VALUES (?, ?)", [(name, self.last_id) for name in self._sinks]
            )
        self.token = str(db.execute("SELECT value FROM notes WHERE name = 'token'").fetchone()[0])
        known = dict(db.execute("SELECT sink, id FROM cursors").fetchall())
        with db:
            db.executemany("DELETE FROM cursors WHERE sink = ?", [(name,) for name in known if name not in self._sinks])
        self._cursors = {name: known[name] for name in self._sinks}

    def move_aside(self) -> None:
        """Keep the file under another name and begin anew. Numbers go on where they were."""
        self.moved_aside = True
        at = next(at for at in range(1, 10_000) if not self.path.with_name(f"{FILE}.aside-{at}").exists())
        self.path.rename(self.path.with_name(f"{FILE}.aside-{at}"))
        for tail in ("-wal", "-shm"):
            beside = self.path.with_name(self.path.name + tail)
            if beside.exists():
                beside.rename(self.path.with_name(f"{FILE}.aside-{at}{tail}"))

    def _drop_oldest(self) -> bool:
        """Give the oldest facts up; gives whether there was more than one."""
        db = self._connection()
        first, last = db.execute("SELECT min(id), max(id) FROM facts").fetchone()
        if first is None or first == last:
            return False
        upto = min(first + max(1, int((last - first) * DROPPED_SHARE)), last - 1)
        ends = [self._fact_at_or_before(at) for at in (first, upto)]
        told = db.execute("SELECT data FROM facts WHERE id <= ? AND substr(data, 1, 6) = ?", (upto, _GAP)).fetchall()
        before = sum((Fact.unpacked(data).body["lost"] or 0) for (data,) in told)
        from_utc_s = ends[0].body["from_utc_s"] if ends[0].kind is Kind.GAP else ends[0].utc_s
        with db:
            gone = db.execute("DELETE FROM facts WHERE id <= ?", (upto,)).rowcount - len(told)
            left = gap(before + gone, from_utc_s, ends[1].utc_s, "the outbox was full")
            db.execute("INSERT INTO facts (id, data) VALUES (?, ?)", (upto, left.packed()))
        self.dropped += gone
        return True

    def _fact_at_or_before(self, number: int) -> Fact:
        asked = "SELECT data FROM facts WHERE id <= ? ORDER BY id DESC LIMIT 1"
        return Fact.unpacked(self._connection().execute(asked, (number,)).fetchone()[0])

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            raise sqlite3.OperationalError("the outbox is not open")
        return self._db
