"""What was put last, by channel: what a broker is told when a connection begins, before what waited."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock

from bench.outbox.fact import Fact, Kind

_KEPT = (Kind.READING, Kind.STATE, Kind.STEP, Kind.VERDICT, Kind.ALARM, Kind.EVENT)


class Latest:
    """Channels in the order of their first fact. Many threads may note."""

    def __init__(self, now_utc_s: Callable[[], float]) -> None:
        self.now_utc_s = now_utc_s
        self._lock = Lock()
        self._facts: dict[str, dict[Kind, Fact]] = {}

    def note(self, fact: Fact) -> None:
        with self._lock:
            if fact.kind is Kind.GONE:
                self._facts.pop(fact.channel, None)
            elif fact.kind in _KEPT:
                self._facts.setdefault(fact.channel, {})[fact.kind] = fact

    def states(self) -> list[Fact]:
        """The newest state of each channel."""
        return [fact for channel in self.channels() for fact in self.of(channel) if fact.kind is Kind.STATE]

    def channels(self) -> list[str]:
        with self._lock:
            return list(self._facts)

    def of(self, channel: str) -> Iterable[Fact]:
        """The newest fact of each kind."""
        with self._lock:
            return tuple(self._facts.get(channel, {}).values())
