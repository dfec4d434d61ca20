"""A command that was given up before it left may not follow a stop, however the two meet in a wire's queue."""

from __future__ import annotations

import asyncio

from drivers.wires.port import Port
from tests.bench.benchtop import cancel, in_virtual_time


def test_an_energising_command_that_still_waits_is_dropped_with_its_step() -> None:
    sent: list[str] = []

    async def scene() -> None:
        port = Port("a test")
        port.start()

        async def exchange(what: str) -> None:
            sent.append(what)
            await asyncio.sleep(0.2)

        poll = asyncio.create_task(port.run(lambda: exchange("poll")))
        await asyncio.sleep(0.1)
        step = asyncio.create_task(port.run(lambda: exchange("output on")))
        await asyncio.sleep(0)
        step.cancel()
        await port.run(lambda: exchange("output off"), stop=True)
        await port.run(lambda: exchange("read back"))
        await poll
        await cancel(step)
        await port.stop()

    in_virtual_time(scene())
    assert sent == ["poll", "output off", "read back"]


def test_one_that_has_left_runs_to_its_end_and_the_stop_comes_after_it() -> None:
    sent: list[str] = []

    async def scene() -> None:
        port = Port("a test")
        port.start()

        async def exchange(what: str) -> None:
            await asyncio.sleep(0.2)
            sent.append(what)

        step = asyncio.create_task(port.run(lambda: exchange("output on")))
        await asyncio.sleep(0.1)
        step.cancel()
        await port.run(lambda: exchange("output off"), stop=True)
        await cancel(step)
        await port.stop()

    in_virtual_time(scene())
    assert sent == ["output on", "output off"]
