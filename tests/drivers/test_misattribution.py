"""Readings at five per cent faults: none is ever that of another question, or of another time.

Every answer carries the question that it belongs to and the instant at which the far end took it. Answers are late by
up to three deadlines, lost, doubled, cut, or held back and let go in a burst. Later than that, a protocol without
transaction numbers cannot tell whose answer it is, and nobody can.

Of a million exchanges a kind of wire a run takes a part, by the seed that is printed, unless CELLBENCH_ALL is set.
VISA lives in real time, where a lost answer costs its deadline, and takes a tenth or less.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from drivers import WireError
from drivers.wires import pacing
from drivers.wires.opening import UNCOUNTED, make_wire
from drivers.wires.url import parse_url
from drivers.wires.visa import VisaLines
from simulators.virtual_time import run_virtual, virtual_loop
from tests.drivers.counted_peers import CountedPty, CountedTcp, counted
from tests.drivers.modbus_peers import rtu, words
from tests.drivers.peers import PtyPeer, TcpPeer, line_wire, opened

pytestmark = pytest.mark.fault("F1", "F3", "F4", "F5", "T1", "T3", "T4", "T5", "T13", "T14", "T23", "H14")

SEED = int(os.environ.get("CELLBENCH_SEED", "20261123"))
WHOLE = bool(os.environ.get("CELLBENCH_ALL"))
ALL = 1_000_000
PART = 5_000
BAD = 0.05
DEADLINE_S = 0.1
VISA_DEADLINE_S = 0.03
#: Pauses between questions, in seconds: often none, so that a late answer meets the next question, and at times long
#: enough that a wire stays under five connections a second.
PAUSES_S = (0.0, 0.01, 0.05, 0.8)
ANSWER = re.compile(r"Q(\d+) at (\d+)\Z")
KINDS = ("late", "lost", "doubled", "cut", "stalled")


class FarEnd:
    """Answers in order; one time in twenty badly. ``said`` counts what it did."""

    def __init__(self, seed: str, deadline_s: float) -> None:
        self._random = Random(seed)
        self._deadline_s = deadline_s
        self._free_s = 0.0
        self.said: Counter[str] = Counter()

    def __call__(self, frame: bytes, again: Callable[[], bytes] | None = None) -> list[tuple[float, bytes]]:
        """When each part of an answer leaves, in seconds from now."""
        now_s = asyncio.get_running_loop().time()
        kind = "good"
        if self._free_s <= now_s and self._random.random() < BAD:
            kind = self._random.choice(KINDS)
        self.said[kind] += 1
        works_s = 0.002
        if kind == "late":
            works_s = self._deadline_s * self._random.uniform(1.05, 3.0)
        elif kind == "stalled":  # what is asked meanwhile waits too, and then everything comes at once
            works_s = 3.0 * self._deadline_s
        self._free_s = max(now_s, self._free_s) + works_s
        due_s = self._free_s - now_s
        if kind == "lost":
            return []
        if kind == "cut":
            return [(due_s, frame[: len(frame) // 2])]
        return [(due_s, frame)] * (2 if kind == "doubled" else 1)


def microseconds() -> int:
    return round(asyncio.get_running_loop().time() * 1e6)


async def hold_to_it(
    kind: str, number_of_exchanges: int, ask: Callable[[int], Awaitable[tuple[int, int] | None]]
) -> Counter[str]:
    """Ask, each time something else. ``ask`` gives question and instant out of the answer, None for no such thing."""
    ends: Counter[str] = Counter()
    pauses = Random(f"{SEED}/{kind}/pauses")
    for number in range(number_of_exchanges):
        await asyncio.sleep(0.0 if kind == "visa" else pauses.choice(PAUSES_S))
        asked_us = microseconds()
        try:
            answer = await ask(number)
        except WireError as error:
            ends[type(error).__name__] += 1
            continue
        if answer is None:
            ends["misfit"] += 1
            continue
        ends["answered"] += 1
        question, taken_us = answer
        if question != number or not asked_us <= taken_us <= microseconds():
            ends["misattributed"] += 1
    n = number_of_exchanges
    print(
        f"{kind}: {ends['misattributed']} of {n} exchanges misattributed ({ALL} in all, CELLBENCH_SEED={SEED}); {ends}"
    )
    return ends


def judged(ends: Counter[str], far_end: FarEnd, exchanges: int) -> None:
    assert ends.total() - ends["misattributed"] == exchanges
    assert ends["misattributed"] == 0
    assert ends["answered"] > 0.8 * exchanges
    bad = sum(far_end.said[kind] for kind in KINDS)
    assert bad > 0.03 * exchanges  # it was put to the test
    assert min(far_end.said[kind] for kind in KINDS) > 0


def line_reply(line: str) -> bytes:
    return f"{line.rstrip('?')} at {microseconds()}\r\n".encode()


async def on_lines(kind: str, exchanges: int, far_end: FarEnd) -> Counter[str]:
    def answer(line: str) -> list[tuple[float, bytes]]:
        if line == "*IDN?":
            return far_end(b"it is me\r\n")
        return far_end(line_reply(line))

    peer: Any
    if kind == "serial":
        peer = PtyPeer(answer, counted())
    else:
        peer = TcpPeer(answer) if kind == "visa" else TcpPeer(answer, counted())
        await peer.start()
    wire: Any
    if kind == "visa":
        wire = VisaLines(parse_url(peer.visa_url), UNCOUNTED, timeout_s=VISA_DEADLINE_S)
    else:
        wire = line_wire(peer.url, flight=counted())
    async with opened(wire):
        wire.recognise("*IDN?", "it is me")

        async def ask(number: int) -> tuple[int, int] | None:
            text = await wire.query(f"Q{number}?", device="d", doing="asking", deadline_s=DEADLINE_S)
            match = ANSWER.match(text)
            if match is None:
                wire.distrust()
                return None
            return int(match[1]), int(match[2])

        ends = await hold_to_it(kind, exchanges, ask)
    if kind == "serial":
        peer.close()
    else:
        await peer.close()
    return ends


async def on_modbus(kind: str, exchanges: int, far_end: FarEnd) -> Counter[str]:
    """Every question is a read of four registers by function 3: the worst case, no two differ in form."""
    is_tcp = kind == "modbus-tcp"

    def script(request: bytes) -> list[tuple[float, bytes]]:
        inner = request[6:] if is_tcp else request
        function = inner[1]
        address, count = int.from_bytes(inner[2:4], "big"), int.from_bytes(inner[4:6], "big")
        taken_us = microseconds() % (1 << 47)
        held = (address, taken_us >> 32, taken_us >> 16, taken_us)
        body = inner[:2] + (words(*held[:count]) if function in (3, 4) else b"\x01\x00")
        return far_end(request[:4] + len(body).to_bytes(2, "big") + body if is_tcp else rtu(body))

    peer: Any = CountedTcp(script) if is_tcp else CountedPty(script)
    async with peer, opened(make_wire(peer.url, flight=counted())) as wire:

        async def ask(number: int) -> tuple[int, int]:
            address = number % 60_000
            found = await wire.read_registers(
                "holding", address, 4, unit=1, device="d", doing="asking", deadline_s=DEADLINE_S
            )
            return number - address + found[0], found[1] << 32 | found[2] << 16 | found[3]

        ends = await hold_to_it(kind, exchanges, ask)
        peer.requests.clear()
    return ends


@pytest.mark.parametrize("kind", ["tcp", "serial", "modbus-rtu", "modbus-tcp"])
def test_in_virtual_time(kind: str) -> None:
    exchanges = ALL if WHOLE else PART
    run = on_modbus if kind.startswith("modbus") else on_lines

    async def main() -> tuple[Counter[str], FarEnd]:
        virtual_loop()
        far_end = FarEnd(f"{SEED}/{kind}", DEADLINE_S)
        return await run(kind, exchanges, far_end), far_end

    ends, far_end = run_virtual(main())
    judged(ends, far_end, exchanges)


async def test_through_visa(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "MOST", 1000)  # it never pauses
    exchanges = ALL // 10 if WHOLE else PART // 10
    far_end = FarEnd(f"{SEED}/visa", VISA_DEADLINE_S)
    ends = await on_lines("visa", exchanges, far_end)
    judged(ends, far_end, exchanges)
