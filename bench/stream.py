"""The one place where readings arrive, and the fixed order in which they are handed on."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from drivers.reading import Reading

Batch = tuple[Reading, ...]
Deliver = Callable[[Batch], None]


class Stage(IntEnum):
    """Who hears a batch first. The guard is never behind anyone."""

    GUARD = 0
    LIVE = 1
    STEP = 2
    RECORDER = 3
    OBSERVER = 4


class Stream:
    """Hands every batch (the readings of one poll of one device) to its subscribers, before ``publish`` returns.

    Subscribers run in the order of their stage, then of their subscription. They must be quick and must not await.
    What a subscriber raises reaches the poller, and through it the run: a record that cannot be kept ends the run.
    ``latest`` holds the newest reading of each channel, whatever its quality.
    """

    def __init__(self) -> None:
        self.latest: dict[str, Reading] = {}
        self._subscribers: tuple[tuple[Stage, Deliver], ...] = ()
        self._deliveries: tuple[Deliver, ...] = ()

    def publish(self, batch: Batch) -> None:
        latest = self.latest
        for reading in batch:
            latest[reading.channel] = reading
        for deliver in self._deliveries:
            deliver(batch)

    def subscribe(self, stage: Stage, deliver: Deliver) -> Callable[[], None]:
        """Hear every later batch. Gives the callable that ends it; a batch under way is still delivered."""
        entry = (stage, deliver)
        self._set((*self._subscribers, entry))

        def unsubscribe() -> None:
            self._set(tuple(other for other in self._subscribers if other is not entry))

        return unsubscribe

    def _set(self, subscribers: tuple[tuple[Stage, Deliver], ...]) -> None:
        self._subscribers = tuple(sorted(subscribers, key=lambda entry: entry[0]))
        self._deliveries = tuple(deliver for _, deliver in self._subscribers)
