"""The one place where readings arrive, and the fixed order in which they are handed on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import IntEnum

from bench.rules.doubt import LEAST_NORMAL, Spans, weighed
from drivers.reading import Reading

Batch = tuple[Reading, ...]
Deliver = Callable[[Batch], None]


#: Every finite number: for a channel whose instrument names no range.
_ANY = (-sys.float_info.max, sys.float_info.max)


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
    What a subscriber raises keeps the batch from nobody else: the first of it is raised once all have heard it, reaches
    the poller, and through it the run.
    ``latest`` holds the newest reading of each channel, whatever its quality.

    A value that no measurement gives (not finite, subnormal, outside the channel's ``spans``) is handed on without
    itself, marked implausible: nobody controls or judges by it.
    """

    def __init__(self, spans: Spans | None = None) -> None:
        self.latest: dict[str, Reading] = {}
        self._spans: Spans = spans or {}
        self._subscribers: tuple[tuple[Stage, Deliver], ...] = ()
        self._deliveries: tuple[Deliver, ...] = ()

    def publish(self, batch: Batch) -> None:
        latest, spans = self.latest, self._spans
        doubtful = False
        for reading in batch:
            channel, value, _, _, _ = reading
            span = spans.get(channel, _ANY)
            # A NaN is in no span; the driver has marked it already, and it is weighed in vain.
            if not span[0] <= value <= span[1] or (value != 0.0 and -LEAST_NORMAL < value < LEAST_NORMAL):
                doubtful = True
            latest[channel] = reading
        if doubtful:
            batch = tuple(weighed(reading, spans) for reading in batch)
            latest.update((reading.channel, reading) for reading in batch)
        first: BaseException | None = None
        for deliver in self._deliveries:
            try:
                deliver(batch)
            except Exception as error:  # noqa: BLE001 - raised below; the others hear the batch all the same
                first = first or error
        if first is not None:
            raise first

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
