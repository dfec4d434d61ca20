"""The owner of a port: one exchange at a time, the stop lane first, nothing cancelled half-way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from drivers import WireClosed
from drivers.wires.port import Port


class Bench:
    """Exchanges that end when the test says so, and what became of them."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.began: list[str] = []
        self.ended: list[str] = []

    def of(self, name: str) -> Callable[[], Awaitable[str]]:
        return lambda: self.exchange(name)

    async def exchange(self, name: str) -> str:
        self.began.append(name)
        await self.gate.wait()
        self.ended.append(name)
        return name


@pytest.fixture
async def port() -> AsyncIterator[Port]:
    port = Port("test:port")
    port.start()
    yield port
    await port.stop()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.fault("T15")
async def test_one_exchange_at_a_time_in_order(port: Port) -> None:
    bench = Bench()
    tasks = [asyncio.create_task(port.run(bench.of(name))) for name in "abc"]
    await settle()
    assert bench.began == ["a"]
    bench.gate.set()
    assert await asyncio.gather(*tasks) == ["a", "b", "c"]
    assert bench.ended == ["a", "b", "c"]


@pytest.mark.fault("F25")
async def test_the_stop_lane_goes_before_everything_that_waits(port: Port) -> None:
    bench = Bench()
    tasks = [asyncio.create_task(port.run(bench.of(name))) for name in "ab"]
    await settle()
    tasks.append(asyncio.create_task(port.run(lambda: bench.exchange("stop"), stop=True)))
    await settle()
    bench.gate.set()
    await asyncio.gather(*tasks)
    assert bench.ended == ["a", "stop", "b"]


@pytest.mark.fault("T6", "T2")
async def test_a_cancelled_caller_does_not_cancel_the_exchange(port: Port) -> None:
    bench = Bench()
    caller = asyncio.create_task(port.run(lambda: bench.exchange("read")))
    await settle()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert bench.began == ["read"]
    assert bench.ended == []
    bench.gate.set()
    assert await port.run(lambda: bench.exchange("next")) == "next"
    assert bench.ended == ["read", "next"]


@pytest.mark.fault("T22", "T24")
async def test_a_cancel_in_the_tick_of_the_reply_is_not_swallowed(port: Port) -> None:
    """asyncio.wait_for of 3.11 goes on after such a cancel; the port must not."""
    reply: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def exchange() -> str:
        return await reply

    went_on = False

    async def caller() -> None:
        nonlocal went_on
        async with asyncio.timeout(5):
            await port.run(exchange)
        await asyncio.sleep(0)
        went_on = True

    task = asyncio.create_task(caller())
    await settle()
    reply.set_result("value")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not went_on


async def test_the_error_of_an_exchange_reaches_its_caller_and_the_port_goes_on(port: Port) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    bench = Bench()
    bench.gate.set()
    with pytest.raises(ZeroDivisionError):
        await port.run(broken)
    assert await port.run(lambda: bench.exchange("next")) == "next"


@pytest.mark.fault("T19")
async def test_closing_lets_the_exchange_end_and_fails_what_waits(port: Port) -> None:
    bench = Bench()
    under_way = asyncio.create_task(port.run(lambda: bench.exchange("under way")))
    waiting = asyncio.create_task(port.run(lambda: bench.exchange("waiting")))
    await settle()
    closing = asyncio.create_task(port.stop())
    await settle()
    bench.gate.set()
    await closing
    assert await under_way == "under way"
    with pytest.raises(WireClosed):
        await waiting
    with pytest.raises(WireClosed):
        await port.run(lambda: bench.exchange("too late"))
    assert bench.began == ["under way"]
