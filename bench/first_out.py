"""What every channel showed around a trip: a minute of it before, a minute after, at the full rate of the pollers.

The log stores readings by the step's rule, which may be one row in ten seconds; the cause of a trip is told by what
came in between. The rows go into the log as ``first_out`` events: those before the trip once the bench is safe, those
after it when their minute is over.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Any

from bench.stream import Batch, Stage, Stream
from drivers.reading import Reading

BEFORE_S = AFTER_S = 60.0
#: Rows of one event.
ROWS_A_RECORD = 500
COLUMNS = ("channel", "mono_s", "value", "quality")


class FirstOut:
    """Keeps the last minute of the stream in memory. After :meth:`trip` it keeps the next one too.

    ``event`` is the log's. ``close`` gives back the subscription; it writes nothing.
    """

    def __init__(self, stream: Stream, event: Callable[..., Any]) -> None:
        self.tripped_s: float | None = None
        self._event = event
        self._before: deque[Reading] = deque()
        self._after: list[Reading] = []
        self._unsubscribe = stream.subscribe(Stage.LIVE, self._deliver)

    def trip(self) -> None:
        """The instant around which is kept. Idempotent: the first cause is the cause."""
        if self.tripped_s is None:
            self.tripped_s = asyncio.get_running_loop().time()

    def left_s(self) -> float:
        """How much longer to listen; 0 without a trip."""
        if self.tripped_s is None:
            return 0.0
        return max(0.0, self.tripped_s + AFTER_S - asyncio.get_running_loop().time())

    def write_before(self) -> None:
        """Put what came before the trip on the log; nothing without a trip, nothing twice. Raises RecordError."""
        rows = list(self._before)
        if self.tripped_s is not None:
            self._before.clear()
            self._write("before", rows, self.tripped_s)

    def write(self) -> None:
        """Put what was kept and is not there yet on the log, and keep no more. Raises RecordError."""
        self.close()
        if self.tripped_s is None:
            return
        self.write_before()
        rows, self._after = self._after, []
        self._write("after", rows, self.tripped_s)

    def _write(self, side: str, rows: list[Reading], tripped_s: float) -> None:
        names = list(dict.fromkeys(reading.channel for reading in rows))
        at = {name: index for index, name in enumerate(names)}
        parts = math.ceil(len(rows) / ROWS_A_RECORD)
        for part in range(parts):
            self._event(
                "first_out",
                side=side,
                part=part + 1,
                parts=parts,
                tripped_mono_s=round(tripped_s, 6),
                channels=names,
                columns=list(COLUMNS),
                rows=[
                    [
                        at[reading.channel],
                        round(reading.mono_s, 6),
                        reading.value if math.isfinite(reading.value) else None,
                        reading.quality.value,
                    ]
                    for reading in rows[part * ROWS_A_RECORD : (part + 1) * ROWS_A_RECORD]
                ],
            )

    def close(self) -> None:
        """Listen no more. Idempotent."""
        self._unsubscribe()

    def _deliver(self, batch: Batch) -> None:
        if not batch:
            return
        if self.tripped_s is not None:
            if batch[-1].mono_s <= self.tripped_s + AFTER_S:
                self._after.extend(batch)
            return
        before = self._before
        before.extend(batch)
        oldest_s = batch[-1].mono_s - BEFORE_S
        while before[0].mono_s < oldest_s:
            before.popleft()
