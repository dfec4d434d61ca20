"""What a daemon tells those beside it, in its own thread: an outbox, a series kept in memory, a count of readings.

Whatever listens must be quick and must not wait; what it raises is told once and it hears no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from bench.daemon.views import RunView
from bench.observing import Observation
from bench.plan import Plan
from bench.stream import Stream


class Feed(Protocol):
    """``begun`` comes before the first reading: subscribe to the stream there (``Stage.OBSERVER``)."""

    def begun(self, run: RunView, plan: Plan, stream: Stream) -> None: ...
    def event(self, run: RunView, kind: str, data: Mapping[str, Any]) -> None:
        """An event of the run's log, once it is on disk."""
        ...

    def observed(self, run: RunView, observation: Observation) -> None:
        """A step that begins or ends, or a message."""
        ...

    def changed(self, run: RunView) -> None:
        """The run's state is another one; ``closed`` is its last."""
        ...


class Quiet:
    """A feed that hears nothing: a part of one overrides what it wants to hear."""

    def begun(self, run: RunView, plan: Plan, stream: Stream) -> None: ...
    def event(self, run: RunView, kind: str, data: Mapping[str, Any]) -> None: ...
    def observed(self, run: RunView, observation: Observation) -> None: ...
    def changed(self, run: RunView) -> None: ...


class Feeds:
    """Tells all feeds. ``failed`` is told of one that raised."""

    def __init__(self, failed: Callable[[Feed, Exception], object]) -> None:
        self._feeds: tuple[Feed, ...] = ()
        self._failed = failed

    def add(self, feed: Feed) -> Callable[[], None]:
        """Gives what ends it."""
        self._feeds = (*self._feeds, feed)
        return lambda: self._drop(feed)

    def tell(self, act: Callable[[Feed], object]) -> None:
        for feed in self._feeds:
            try:
                act(feed)
            except Exception as error:  # noqa: BLE001 - the border to whoever looks on: it must not end a test
                self._drop(feed)
                self._failed(feed, error)

    def __bool__(self) -> bool:
        return bool(self._feeds)

    def _drop(self, feed: Feed) -> None:
        self._feeds = tuple(other for other in self._feeds if other is not feed)
