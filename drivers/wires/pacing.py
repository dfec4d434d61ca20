"""When a lost connection may be tried again: each wire ever more slowly, all wires together never in a storm.

A wire whose connection cannot be made, or is lost before anything was answered on it, waits before the next attempt:
0.2 s, twice as long each time, 10 s at most, each varied by a quarter so that wires lost together do not come back
together. Over all wires of a loop no more than ``MOST`` connections are made in any one second; wires that carry safety
channels go before the others, and among equals the one that has waited longest. Nothing here ever sleeps: an exchange
that comes too early fails at once, so that a stop behind it is not held up.

The stop lane is never held back, and neither is the first opening of a wire, which is a person's start; both are
counted all the same. A serial port has a line of its own and is only paced by itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from weakref import WeakKeyDictionary
from zlib import crc32

from drivers.errors import WireClosed
from drivers.wires.url import WireUrl

FIRST_S = 0.2
LONGEST_S = 10.0
VARIED_BY = 0.25
#: Connections in any one second, over all wires.
MOST = 5
WINDOW_S = 1.0
#: A wire that has not asked again for so long is not waiting any more.
FORGOTTEN_S = 15.0


class HeldBackError(WireClosed):
    """It is too early to connect again; nothing was sent."""


class Gate:
    """The connections of all wires of one loop."""

    def __init__(self) -> None:
        self._made_s: deque[float] = deque(maxlen=MOST)
        self._waiting: dict[str, tuple[bool, float, float]] = {}  # wire: (not a safety one, since, last asked)

    def may_connect(self, key: str, now_s: float, *, safety: bool) -> bool:
        """Whether it is this wire's turn. One that is refused is remembered, and comes before those that ask later."""
        free = MOST - sum(now_s - made_s < WINDOW_S for made_s in self._made_s)
        since_s = self._waiting.get(key, (False, now_s, now_s))[1]
        mine = (not safety, since_s)
        before = 0
        for other, (unsafe, other_since_s, asked_s) in tuple(self._waiting.items()):
            if now_s - asked_s > FORGOTTEN_S:
                del self._waiting[other]
            elif other != key and (unsafe, other_since_s) < mine:
                before += 1
        if free > before:
            return True
        self._waiting[key] = (not safety, since_s, now_s)
        return False

    def made(self, key: str, now_s: float) -> None:
        """A connection is being made now."""
        self._waiting.pop(key, None)
        self._made_s.append(now_s)


_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, Gate] = WeakKeyDictionary()


def gate() -> Gate:
    """The running loop's gate."""
    return _gates.setdefault(asyncio.get_running_loop(), Gate())


class Pace:
    """One wire's attempts. ``safety`` is true for a wire that carries a channel on which a limit or interlock hangs."""

    def __init__(self, parts: WireUrl) -> None:
        self.safety = False
        self.attempts = 0  # in a row without an answer
        self.next_s = float("-inf")  # when the next one may be made, on the loop's clock
        self._url = parts.url
        self._key = parts.key
        self._network = bool(parts.host)
        self._first = True  # the first connection is trusted: when it is lost, the next attempt follows at once
        self._proven = False

    def begin(self, *, free: bool) -> str | None:
        """A connection is to be made now; gives why it may not yet. With ``free`` it always may."""
        now_s = asyncio.get_running_loop().time()
        if not free:
            if now_s < self.next_s:
                return f"{self._url} is tried again in {self.next_s - now_s:.1f} s"
            if self._network and not gate().may_connect(self._key, now_s, safety=self.safety):
                return f"{self._url} waits for its turn to connect again"
        if self._network:
            gate().made(self._key, now_s)
        self._proven = self._first
        self._first = False
        return None

    def failed(self) -> None:
        """The connection could not be made, or was lost. One that had been good may be made anew at once."""
        if self._proven:
            self._proven = False
            return
        self.attempts += 1
        base_s = min(FIRST_S * 2.0 ** min(self.attempts - 1, 10), LONGEST_S)
        share = crc32(f"{self._url} {self.attempts}".encode()) / 0xFFFF_FFFF  # chance that a run can repeat
        wait_s = base_s * (1.0 - VARIED_BY + 2.0 * VARIED_BY * share)
        self.next_s = asyncio.get_running_loop().time() + min(max(wait_s, FIRST_S), LONGEST_S)

    def proven(self) -> None:
        """Something was answered."""
        self._proven = True
        if self.attempts:
            self.attempts = 0
            self.next_s = float("-inf")
