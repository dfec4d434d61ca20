"""Which facts are late when they go out: those that were there before the connection, and those that waited on it.

By numbers and the loop's time, never by the wall clock: a simulated run has one of its own.
"""

from __future__ import annotations

import asyncio

from bench.outbox.spool import Spool

#: A fact that was stored so long ago is late at the latest after twice as long.
LATE_AFTER_S = 10.0


class Lateness:
    """Of one connection."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._upto = 0

    async def begin(self) -> None:
        """Everything that is there now is late."""
        self._upto = await self._spool.last_id()

    async def watch(self) -> None:
        """For ever: what has waited too long on a connection that is slow becomes late, too."""
        while True:
            newest = self._spool.newest
            await asyncio.sleep(LATE_AFTER_S)
            self._upto = max(self._upto, newest)

    def __call__(self, number: int) -> bool:
        return number <= self._upto
