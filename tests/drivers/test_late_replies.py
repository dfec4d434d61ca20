"""Thousands of exchanges with a device that is late, silent, noisy, doubled and cut: no reply ever changes owner.

In virtual time, since a drained serial line waits in earnest; the far end is the test's own.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from random import Random
from typing import Any

import pytest

from drivers import WireError
from drivers.wires import Flight
from simulators.virtual_time import run_virtual, virtual_loop
from tests.drivers.peers import PtyPeer, TcpPeer, line_wire, opened

EXCHANGES = 5000
DEADLINE_S = 0.1
WHOLE = re.compile(r"answer to (\S+)\Z")


class Moody:
    """A device that answers in order, and one time in ten does it badly. ``kinds`` counts what it did."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._free_s = 0.0
        self.kinds: Counter[str] = Counter()

    def __call__(self, line: str) -> list[tuple[float, bytes]] | None:
        now_s = asyncio.get_running_loop().time()
        kind = self._random.choice(("late", "very late", "silent", "noisy", "doubled", "cut", "split"))
        if self._random.random() > 0.1:
            kind = "good"
        self.kinds[kind] += 1
        if kind == "silent":
            return None
        works_s = {"late": 0.15, "very late": 1.3}.get(kind, 0.002)
        self._free_s = max(now_s, self._free_s) + works_s
        delay_s = self._free_s - now_s
        reply = f"answer to {line}\r\n".encode()
        if kind == "noisy":
            return [(delay_s, b"\x00\xff\x11" + reply)]
        if kind == "doubled":
            return [(delay_s, reply), (delay_s, reply)]
        if kind == "cut":
            return [(delay_s, reply[:-4])]
        if kind == "split":
            return [(delay_s, reply[:5]), (delay_s + 0.01, reply[5:])]
        return [(delay_s, reply)]


async def drive(wire: Any, mood: Moody) -> Counter[str]:
    """Ask, each time something else; gives how the exchanges ended."""
    ends: Counter[str] = Counter()
    async with opened(wire):
        wire.recognise("*IDN?", "answer to *IDN?")
        for number in range(EXCHANGES):
            await asyncio.sleep(0.1)  # no more than five connections are made in a second
            question = f"Q{number}?"
            try:
                reply = await wire.query(question, device="d", doing="asking", deadline_s=DEADLINE_S)
            except WireError as error:
                ends[type(error).__name__] += 1
                continue
            match = WHOLE.match(reply)
            if match is None:  # two halves; every driver's pattern refuses that
                wire.distrust()
                ends["misfit"] += 1
                continue
            assert match[1] == question, f"{question} got {reply!r} after {mood.kinds}"
            ends["answered"] += 1
    return ends


@pytest.mark.fault("F3", "F4", "F11", "T4")
@pytest.mark.parametrize("seed", [1, 2])
def test_on_a_socket(seed: int) -> None:
    async def main() -> Counter[str]:
        flight = virtual_loop().flight
        mood = Moody(seed)
        peer = TcpPeer(mood, Flight(flight.left, flight.arrived))
        await peer.start()
        ends = await drive(line_wire(peer.url, flight=flight), mood)
        await peer.close()
        return ends

    ends = run_virtual(main())
    assert ends.total() == EXCHANGES
    assert ends["answered"] > 0.7 * EXCHANGES
    assert ends["WireTimeout"] > 0
    assert ends["FrameError"] > 0


@pytest.mark.fault("F3", "F4", "F11", "T4")
@pytest.mark.parametrize("seed", [1, 2])
def test_on_a_serial_line(seed: int) -> None:
    async def main() -> Counter[str]:
        flight = virtual_loop().flight
        mood = Moody(seed)
        peer = PtyPeer(mood, Flight(flight.left, flight.arrived))
        ends = await drive(line_wire(peer.url, flight=flight), mood)
        peer.close()
        return ends

    ends = run_virtual(main())
    assert ends.total() == EXCHANGES
    assert ends["answered"] > 0.7 * EXCHANGES
    assert ends["WireTimeout"] > 0


@pytest.mark.fault("F4", "T4")
def test_the_second_of_two_equal_replies_is_not_the_next_question_s() -> None:
    async def main() -> None:
        def twice(line: str) -> list[tuple[float, bytes]]:
            reply = f"answer to {line}\r\n".encode()
            return [(0.002, reply), (0.0025, reply)] if line == "Q1?" else [(0.002, reply)]

        flight = virtual_loop().flight
        peer = PtyPeer(twice, Flight(flight.left, flight.arrived))
        async with opened(line_wire(peer.url, flight=Flight(flight.left, flight.arrived))) as wire:
            wire.recognise("*IDN?", "answer to *IDN?")
            answers = [await wire.query(f"Q{at}?", device="d", doing="asking", deadline_s=0.1) for at in range(4)]
        peer.close()
        assert answers == [f"answer to Q{at}?" for at in range(4)]

    run_virtual(main())
