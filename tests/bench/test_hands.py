"""Hands lent over TCP: what is asked is done or refused with its reason, and a bench that is gone is said to be."""

from __future__ import annotations

import asyncio

import pytest

from bench.hands import BorrowedHands, lent_hands
from drivers import DeviceError


class Porter:
    """Carries to one place only."""

    def __init__(self) -> None:
        self.carried: list[tuple[str, str]] = []

    async def carry(self, channel: str, place: str) -> None:
        if place != "rig1":
            raise ValueError(f"channel {channel!r} does not reach {place!r}")
        self.carried.append((channel, place))


async def test_borrowed_hands_carry() -> None:
    porter = Porter()
    async with lent_hands(porter) as url:
        await BorrowedHands(url).carry("1", "rig1")
        await BorrowedHands(url).carry("2", "rig1")
    assert porter.carried == [("1", "rig1"), ("2", "rig1")]


async def test_what_cannot_be_done_comes_back_with_its_reason() -> None:
    async with lent_hands(Porter()) as url:
        with pytest.raises(DeviceError, match="channel '1' does not reach 'moon'"):
            await BorrowedHands(url).carry("1", "moon")


async def test_any_program_may_ask_and_nonsense_is_answered() -> None:
    async with lent_hands(Porter()) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"dance\ncarry 1\n\xff\ncarry 1 rig1\n")
        said = [await reader.readline() for _ in range(4)]
        writer.close()
        await writer.wait_closed()
    assert said == [*[b"error write: carry CHANNEL PLACE\n"] * 3, b"ok\n"]


async def test_a_link_that_stays_open_does_not_keep_the_bench_up() -> None:
    async with lent_hands(Porter()) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"carry 1 rig1\n")
        assert await reader.readline() == b"ok\n"
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_a_bench_that_is_gone_is_named() -> None:
    async with lent_hands(Porter()) as url:
        pass
    with pytest.raises(DeviceError, match="nobody answers") as caught:
        await BorrowedHands(url).carry("1", "rig1")
    assert "still running" in caught.value.faults[0].fix
