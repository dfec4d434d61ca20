"""Between those who tell and the file: a bounded hand-over in memory and the one thread that touches the store.

``put`` may be called from any thread. It waits for nothing but a lock that is held for a few list operations, and it
never raises. When the file fails, what was put waits in memory and the file is tried again, ever more slowly; when the
memory is full too, the oldest are dropped, counted, and told as a gap in their place.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Thread
from typing import TypeVar

from bench.outbox.fact import Fact, gap
from bench.outbox.store import BATCH_SHARE, FILE, Row, Store

T = TypeVar("T")
#: When it was put, and as it is stored.
_Packed = tuple[float, bytes]
#: How many were dropped, from when on, and the gap that says so.
_Lost = tuple[int, float | None, bytes]

#: Facts that wait in memory while the file cannot take them.
MOST_IN_MEMORY = 20_000
#: Between two batches, so that a fact does not cost a transaction of its own.
GATHERED_S = 0.05
LARGEST_BATCH = 2_000
FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 30.0
#: The thread ends within this time, or is left behind with the disk that it hangs on.
CLOSED_WITHIN_S = 5.0


@dataclass(slots=True)
class Counts:
    """What came of what was put. ``dropped_in_memory`` and ``refused`` never reached the file."""

    put: int = 0
    refused: int = 0
    dropped_in_memory: int = 0
    dropped_on_disk: int = 0
    stored: int = 0
    failures: int = 0


class Spool:
    """``start`` and ``stop`` belong to a running loop; facts that are put before are kept.

    ``failing`` is what the file last failed with, None while it works.
    """

    def __init__(
        self,
        folder: Path,
        cap_bytes: int,
        sinks: Sequence[str],
        utc_s: Callable[[], float],
        *,
        most: int = MOST_IN_MEMORY,
    ) -> None:
        self.counts = Counts()
        self.failing: str | None = None
        self.waiting = 0
        self.newest = 0
        self.live_bytes = 0
        self.token = ""
        self._store = Store(folder / FILE, cap_bytes, sinks)
        self._turn = Condition()
        self._facts: deque[_Packed] = deque()
        self._most = most
        self._batch_bytes = int(cap_bytes * BATCH_SHARE)
        self._utc_s = utc_s
        self._lost = 0
        self._lost_from_s: float | None = None
        self._lost_to_s = 0.0
        self._acked: dict[str, int] = {}
        self._asked: deque[Callable[[Store], None]] = deque()
        self._ending = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news: list[asyncio.Event] = []
        self._over: asyncio.Event | None = None
        self._retry_s = 0.0
        self._opened = False

    def put(self, fact: Fact) -> None:
        """Hand a fact over. Never waits for the disk, never raises."""
        counts = self.counts
        try:
            data, utc_s = fact.packed(), float(fact.utc_s)
        except (ValueError, TypeError, RecursionError):
            counts.refused += 1
            return
        with self._turn:
            counts.put += 1
            facts = self._facts
            facts.append((utc_s, data))
            if len(facts) > self._most:
                self._lose(facts.popleft()[0])
            if len(facts) == 1:
                self._turn.notify()

    def start(self) -> None:
        """Begin to keep what is put. To be called once, in the loop that reads."""
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        Thread(target=self._work, name="outbox", daemon=True).start()

    async def stop(self) -> None:
        """Keep what was put so far and close the file; a disk that hangs is waited for 5 s. Idempotent."""
        with self._turn:
            self._ending = True
            self._turn.notify()
        if self._over is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSED_WITHIN_S):
                    await self._over.wait()

    def news(self) -> asyncio.Event:
        """Set whenever something was stored; whoever waits clears it."""
        event = asyncio.Event()
        self._news.append(event)
        return event

    async def after(self, sink: str, number: int | None, limit: int) -> list[Row]:
        """The next facts behind a number, or behind what was acknowledged; none while the file fails."""
        return await self._ask(lambda store: store.after(store.cursor(sink) if number is None else number, limit), [])

    async def last_id(self) -> int:
        """The newest number so far; 0 while the file fails."""
        return await self._ask(lambda store: store.last_id, 0)

    async def next_note(self, name: str, most: int) -> int | None:
        """See ``Store.next_note``; None while the file fails."""
        return await self._ask(lambda store: store.next_note(name, most), None)

    def acknowledge(self, sink: str, number: int) -> None:
        """That sink has everything up to this number. It is written with the next batch."""
        with self._turn:
            first = not self._acked
            self._acked[sink] = number
            if first:
                self._turn.notify()

    async def _ask(self, read: Callable[[Store], T], otherwise: T) -> T:
        if self._ending:
            return otherwise
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def settle(found: T) -> None:
            if not answer.done():
                answer.set_result(found)

        def serve(store: Store) -> None:
            found = otherwise
            try:
                if self._opened:
                    found = read(store)
            except (sqlite3.Error, OSError) as error:
                self._failed(error)
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(settle, found)

        with self._turn:
            self._asked.append(serve)
            self._turn.notify()
        return await answer

    def _lose(self, utc_s: float) -> None:
        self.counts.dropped_in_memory += 1
        if not self._lost:
            self._lost_from_s = utc_s
        self._lost += 1
        self._lost_to_s = utc_s

    def _work(self) -> None:
        """The thread: what was put, asked and acknowledged, until the end."""
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._asked or self._ending or self._due(), self._retry_s or None)
                if not self._asked and not self._ending:
                    self._turn.wait_for(lambda: self._asked or self._ending, GATHERED_S)
                ending, asked = self._ending, list(self._asked)
                self._asked.clear()
            if asked and self.failing is not None and not ending:
                self._turn_away(asked)
                continue
            try:
                self._keep()
                self.failing, self._retry_s = None, 0.0
            except Exception as error:  # noqa: BLE001 - whatever the file does, the thread goes on
                self._failed(error)
            for serve in asked:
                serve(self._store)
            if ending:
                break
        self._store.close()
        if self._loop is not None and self._over is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._over.set)

    def _due(self) -> bool:
        """Something is to be written, and the file did not just fail."""
        return self.failing is None and bool(self._facts or self._acked)

    def _turn_away(self, asked: Sequence[Callable[[Store], None]]) -> None:
        opened, self._opened = self._opened, False
        for serve in asked:
            serve(self._store)
        self._opened = opened

    def _keep(self) -> None:
        store, counts = self._store, self.counts
        if not self._opened:
            store.open()
            self._opened, self.token = True, store.token
            if store.moved_aside:
                store.append([gap(None, None, self._utc_s(), "the outbox's file was damaged; it was kept").packed()])
                store.moved_aside = False
        while batch := self._taken():
            lost, facts = batch
            try:
                store.append(([] if lost is None else [lost[2]]) + [data for _, data in facts])
            except BaseException:
                self._given_back(lost, facts)
                raise
            try:
                store.trim()
            finally:
                counts.dropped_on_disk = store.dropped
                counts.stored += len(facts)
        with self._turn:
            acked = dict(self._acked)
            self._acked.clear()
        if acked:
            store.acknowledge(acked)
        self.newest = store.last_id
        self.waiting, self.live_bytes = store.waiting(), store.live_bytes()
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._told)

    def _told(self) -> None:
        for event in self._news:
            event.set()

    def _taken(self) -> tuple[_Lost | None, list[_Packed]] | None:
        """The next batch, and the gap before it."""
        with self._turn:
            facts: list[_Packed] = []
            room = self._batch_bytes
            while self._facts and len(facts) < LARGEST_BATCH and (not facts or len(self._facts[0][1]) <= room):
                facts.append(self._facts.popleft())
                room -= len(facts[-1][1])
            if not facts and not self._lost:
                return None
            lost = None
            if self._lost:
                told = gap(self._lost, self._lost_from_s, self._lost_to_s, "the outbox's file could not take them")
                lost = (self._lost, self._lost_from_s, told.packed())
                self._lost = 0
            return lost, facts

    def _given_back(self, lost: _Lost | None, facts: list[_Packed]) -> None:
        with self._turn:
            if lost is not None:
                self._lost += lost[0]
                self._lost_from_s = lost[1]
            self._facts.extendleft(reversed(facts))
            while len(self._facts) > self._most:
                self._lose(self._facts.popleft()[0])

    def _failed(self, error: Exception) -> None:
        """The file did not do its part: it is tried again later, anew if it is damaged."""
        self.counts.failures += 1
        self.failing = f"{type(error).__name__}: {error}"
        self._retry_s = min(max(2.0 * self._retry_s, FIRST_RETRY_S), LONGEST_RETRY_S)
        self._store.close()
        self._opened = False
        damaged = isinstance(error, (sqlite3.DatabaseError, ValueError)) and not isinstance(
            error, (sqlite3.OperationalError, sqlite3.IntegrityError)
        )
        if damaged:
            with suppress(OSError):
                self._store.move_aside()
