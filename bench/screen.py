"""What whoever looks on is told: messages at once, progress as often as an eye can follow."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

from bench.live import Live
from bench.observing import Observation, Observer, Progress, nobody
from bench.stream import Batch
from bench.walk import Walk
from drivers.clock import real_elapsed_s

#: The screen is told no more often than this, in real time.
PROGRESS_S = 0.1


class Screen:
    """Tells one observer. One who fails (a closed terminal) is told nothing more; the run goes on."""

    def __init__(self, observer: Observer, note: Callable[..., Any], begun_s: float) -> None:
        self._observing = observer
        self._note = note
        self._begun_s = begun_s
        self._shown_s = -math.inf

    def tell(self, observation: Observation) -> None:
        try:
            self._observing(observation)
        except Exception as error:  # noqa: BLE001 - the border to whoever looks on: a screen must not end a test
            self._observing = nobody
            self._note("observer_failed", error=f"{type(error).__name__}: {error}")

    def shows(self, live: Live, walk: Walk) -> Callable[[Batch], None]:
        """What the stream hands its batches to, so that progress is told."""

        def show(_: Batch) -> None:
            step = walk.under_way
            real_s = real_elapsed_s()
            if not live.saw_terminal or real_s - self._shown_s < PROGRESS_S:
                return
            self._shown_s = real_s
            if step is None:
                return
            now_s = asyncio.get_running_loop().time()
            values = live.values
            self.tell(
                Progress(
                    path=walk.path,
                    ends=step.ends,
                    voltage_v=_number(values["voltage"]),
                    current_a=_number(values["current"]),
                    temperature_c=_number(values["temperature"]),
                    ambient_c=_number(values["ambient"]),
                    step_s=now_s - step.begun_s,
                    test_s=now_s - self._begun_s,
                    remaining_s=step.remaining_s(now_s, walk.last_took_s()),
                )
            )

        return show


def _number(value: float | tuple[float, ...]) -> float | None:
    return value if isinstance(value, float) and not math.isnan(value) else None
