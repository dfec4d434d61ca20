"""From a run to the outbox: its readings, its steps, what of its log concerns a factory.

The two listeners are called in the run's own turn: they are quick and raise nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from bench.observing import Message, Observation, Observer, Progress, StepEnded, StepStarted
from bench.outbox.outbox import Outbox
from bench.stream import Batch, Deliver
from drivers import Quality

#: Events of a run's log that go out as they are. The rest is the bundle's: how the house did it, not what was done.
TOLD = frozenset(
    {
        "authorised_start", "camera_trigger", "closed", "ending", "forced_jumps", "found_energised", "low_water",
        "not_permitted", "observation_begun", "observation_ended", "output_off", "output_on", "paused", "pause_ended",
        "permitted", "preflight_passed", "quality", "reopened", "stimulus_started", "trip", "warning",
    }
)  # fmt: skip


def readings_to(outbox: Outbox, channel: str, names: Mapping[str, str]) -> Deliver:
    """A subscriber of the run's stream (``Stage.OBSERVER``). ``names``: the quantity of each of its channels that goes
    out, such as ``{"psb.out.voltage_v": "voltage_v"}``. A value that is not good goes out as null."""
    values: dict[str, float | None] = {}

    def deliver(batch: Batch) -> None:
        newest = None
        for reading in batch:
            name = names.get(reading.channel)
            if name is not None:
                values[name] = reading.value if reading.quality is Quality.GOOD else None
                newest = reading
        if newest is not None:
            outbox.reading(channel, values, utc_s=newest.utc_s, mono_s=newest.mono_s)

    return deliver


def observer_to(outbox: Outbox, channel: str, utc_s: Callable[[], float]) -> Observer:
    """An observer of a run: its steps and its messages."""

    def observe(observation: Observation) -> None:
        match observation:
            case StepStarted(index, path, _, kind, name, phase, ends):
                told = {"index": index, "kind": kind, "name": name, "phase": phase, "ends": ends}
                outbox.step(channel, path, utc_s=utc_s(), change="started", **told)
            case StepEnded(index, path, _, reason, duration_s, results):
                numbers = {name: value if math.isfinite(value) else None for name, value in results.items()}
                told = {"index": index, "reason": reason, "duration_s": duration_s, "results": numbers}
                outbox.step(channel, path, utc_s=utc_s(), change="ended", **told)
            case Message(text, loud):
                outbox.event(channel, "message", utc_s=utc_s(), text=text, loud=loud)
            case Progress():
                pass

    return observe


def event_to(outbox: Outbox, channel: str, kind: str, data: Mapping[str, Any], *, utc_s: float | None = None) -> None:
    """An event of a run's log, if it concerns a factory."""
    if kind in TOLD:
        outbox.event(
            channel, kind, utc_s=utc_s, **{f"{name}_" if name in _TAKEN else name: data[name] for name in data}
        )


#: Names that an event's own data may not have.
_TAKEN = frozenset({"event", "channel", "utc_s", "schema", "id", "at", "historical"})
