"""What is late, in virtual time: by numbers and by how long they have waited, whatever the wall clock says."""

from __future__ import annotations

import asyncio
from typing import cast

from bench.outbox.lateness import Lateness
from bench.outbox.spool import Spool
from bench.simulated import in_virtual_time


class Numbers:
    """As much of a spool as is asked."""

    newest = 5

    async def last_id(self) -> int:
        return self.newest


def test_what_was_there_is_late_and_what_waits_becomes_late() -> None:
    async def main() -> None:
        numbers = Numbers()
        late = Lateness(cast("Spool", numbers))
        await late.begin()
        watching = asyncio.create_task(late.watch())
        numbers.newest = 8
        assert [late(number) for number in (5, 6)] == [True, False]
        await asyncio.sleep(9.0)
        assert not late(6)
        numbers.newest = 9
        await asyncio.sleep(2.0)  # 11 s: what was there when it began to watch
        assert [late(number) for number in (8, 9)] == [True, False]
        await asyncio.sleep(10.0)
        assert late(9)
        assert not late(10)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    in_virtual_time(main(), speed=None)
