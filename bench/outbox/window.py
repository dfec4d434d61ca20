"""One sink's way through the spool: rows in order, and how far they were acknowledged without a hole."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from bench.outbox.spool import Spool
from bench.outbox.store import Row

PAGE_ROWS = 512


class Window:
    """Of one connection. Begins behind what was acknowledged; what was sent before and never was, is sent again."""

    def __init__(self, spool: Spool, sink: str) -> None:
        self._spool = spool
        self._sink = sink
        self._in_flight: deque[int] = deque()
        self._done: set[int] = set()

    async def rows(self, news: asyncio.Event) -> AsyncIterator[Row]:
        """Every row there is and every one that comes, in order, for ever."""
        at: int | None = None
        while True:
            news.clear()
            page = await self._spool.after(self._sink, at, PAGE_ROWS)
            for row in page:
                yield row
                at = row[0]
            if len(page) < PAGE_ROWS:
                await news.wait()

    @property
    def oldest(self) -> int | None:
        """The number that has been on its way the longest."""
        return self._in_flight[0] if self._in_flight else None

    def sent(self, number: int) -> None:
        """It is on its way."""
        self._in_flight.append(number)

    def acknowledged(self, number: int) -> None:
        """The broker has it. The spool is told of the last number behind which nothing is open."""
        in_flight, done = self._in_flight, self._done
        done.add(number)
        upto = None
        while in_flight and in_flight[0] in done:
            upto = in_flight.popleft()
            done.discard(upto)
        if upto is not None:
            self._spool.acknowledge(self._sink, upto)
