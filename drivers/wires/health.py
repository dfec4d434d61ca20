"""What one port has been through: how many exchanges, how they failed, and whether that is getting out of hand.

Events, told once when they begin and once when they end where they can: ``line_degraded``, ``line_recovered``,
``wrong_unit`` (an address or the wiring is wrong), ``local_echo`` (the adapter repeats what it sends), ``port_shared``
(another program has the port open and may steal replies). Who listens late is told at once what still holds.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from drivers.errors import FrameError, WireClosed, WireError, WireTimeout
from drivers.wires.port_sharers import sharers

#: Called with the event's name and its facts; ``wire`` is always among them.
LineEvent = Callable[..., Any]

#: The error rate is that of so many exchanges; from DEGRADED failures among them the line is degraded, and it has
#: recovered when there are no more than RECOVERED. At 1 % chance failures, 12 of 200 come once in some million
#: exchanges; at 10 % nearly always.
OVER = 200
DEGRADED = 12
RECOVERED = 4
#: So many answers of a unit that nobody asked, within so long, are no chance.
WRONG_UNITS = 3
WRONG_UNIT_WITHIN_S = 60.0
#: A serial port is looked at for other openers after so many failures in a row, and not again for so long.
SUSPICIOUS = 3
LOOK_AGAIN_S = 60.0

_KINDS: tuple[tuple[type[WireError], str], ...] = (
    (WireTimeout, "no reply"),
    (FrameError, "bad reply"),
    (WireClosed, "closed"),
)


def _nothing(_event: str, **_facts: Any) -> None:
    return None


class LineHealth:
    """Counts for one wire; ``path`` is that of a serial port, else empty. Numbers only grow, without end.

    ``failures`` is by kind ("no reply", "bad reply", "closed"), ``stray_bytes`` those that nobody had asked for (a
    duplicate reply is some), ``busy`` the answers "ask again later". ``tell`` is called with each event. ``owners`` are
    processes that may have the port open.
    """

    def __init__(self, url: str, path: str = "", *, owners: frozenset[int] = frozenset()) -> None:
        self._tell: LineEvent = _nothing
        self.exchanges = 0
        self.failures: Counter[str] = Counter()
        self.stray_bytes = 0
        self.busy = 0
        self.wrong_units = 0
        self.degraded = False
        self._url = url
        self._path = path
        self._owners = owners
        self._latest: deque[bool] = deque(maxlen=OVER)
        self._bad = 0
        self._row = 0
        self._foreign_s: deque[float] = deque(maxlen=WRONG_UNITS)
        self._looked_s = float("-inf")
        self._opened = False
        self._echo = False
        self._shared_with: tuple[str, ...] = ()

    @property
    def tell(self) -> LineEvent:
        return self._tell

    @tell.setter
    def tell(self, event: LineEvent) -> None:
        self._tell = event
        if self._echo:
            event("local_echo", wire=self._url)
        if self._shared_with:
            event("port_shared", wire=self._url, programs=list(self._shared_with))

    @property
    def error_rate(self) -> float:
        """The part of the latest exchanges that failed, 0 to 1."""
        return self._bad / len(self._latest) if self._latest else 0.0

    def answered(self) -> None:
        """An exchange ended well; a device's "no" is an answer too."""
        self._row = 0
        self._count(bad=False)

    def failed(self, error: WireError, now_s: float) -> None:
        """An exchange ended in trouble."""
        self.failures[next((name for kind, name in _KINDS if isinstance(error, kind)), "other")] += 1
        self._row += 1
        self._count(bad=True)
        if (self._row >= SUSPICIOUS or self.degraded) and now_s - self._looked_s >= LOOK_AGAIN_S:
            self.look_for_sharers(now_s)

    def _count(self, *, bad: bool) -> None:
        self.exchanges += 1
        latest = self._latest
        if len(latest) == OVER:
            self._bad -= latest[0]
        latest.append(bad)
        self._bad += bad
        if not self.degraded and self._bad >= DEGRADED:
            self.degraded = True
            self.tell("line_degraded", wire=self._url, failed=self._bad, of=len(latest), kinds=dict(self.failures))
        elif self.degraded and self._bad <= RECOVERED:
            self.degraded = False
            self.tell("line_recovered", wire=self._url, failed=self._bad, of=len(latest))

    def strayed(self, count: int) -> None:
        """Bytes came that nobody had asked for."""
        self.stray_bytes += count

    def heard_unit(self, unit: int, asked: int, now_s: float) -> None:
        """A unit answered that was not asked."""
        self.wrong_units += 1
        self._foreign_s.append(now_s)
        if len(self._foreign_s) == WRONG_UNITS and now_s - self._foreign_s[0] <= WRONG_UNIT_WITHIN_S:
            self._foreign_s.clear()
            self.tell("wrong_unit", wire=self._url, asked=asked, answered=unit)

    def echoed(self) -> None:
        """The adapter repeats what it sends."""
        if not self._echo:
            self._echo = True
            self.tell("local_echo", wire=self._url)

    def opened(self, now_s: float) -> None:
        """The port was opened by its owner: who else has it open is told before anything hangs on it."""
        if not self._opened:
            self._opened = True
            self.look_for_sharers(now_s)
            self._looked_s = float("-inf")

    def look_for_sharers(self, now_s: float) -> None:
        """Tell of other programs that have the serial port open."""
        if not self._path:
            return
        self._looked_s = now_s
        found = sharers(self._path, self._owners)
        if found and found != self._shared_with:
            self.tell("port_shared", wire=self._url, programs=list(found))
        self._shared_with = found
