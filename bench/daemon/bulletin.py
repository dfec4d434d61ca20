"""What happened, numbered, for whoever listens: the newest events are kept so that a listener may fall behind."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from bench.daemon.views import EventView
from drivers.clock import Clock

Hear = Callable[[EventView], None]
#: So many events are kept for a listener that comes back.
KEPT = 4096


class Bulletin:
    """Belongs to the loop that it was made in; only :meth:`listen` may be called from other threads."""

    def __init__(self, clock: Clock) -> None:
        self.seq = 0
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._kept: deque[EventView] = deque(maxlen=KEPT)
        self._hearing: tuple[Hear, ...] = ()

    def tell(
        self, kind: str, *, channel: str | None = None, run_id: str | None = None, data: Mapping[str, Any] | None = None
    ) -> EventView:
        """Number an event, keep it and hand it to every listener."""
        self.seq += 1
        event = EventView(
            seq=self.seq,
            utc_s=self._clock.utc_s(),
            kind=kind,
            channel=channel,
            run_id=run_id,
            data={} if data is None else data,
        )
        self._kept.append(event)
        for hear in self._hearing:
            hear(event)
        return event

    def listen(self, hear: Hear, *, after: int | None = None) -> Callable[[], None]:
        """As :meth:`bench.daemon.desk.Desk.listen`."""

        def begin() -> None:
            if after is not None:
                for event in tuple(self._kept):
                    if event.seq > after:
                        hear(event)
            self._hearing = (*self._hearing, hear)

        def end() -> None:
            self._hearing = tuple(other for other in self._hearing if other is not hear)

        self._here(begin)
        return lambda: self._here(end)

    def _here(self, act: Callable[[], None]) -> None:
        if threading.get_ident() == self._thread:
            act()
        else:
            self._loop.call_soon_threadsafe(act)
