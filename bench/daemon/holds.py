"""Channels that hold after a restart: their runs were interrupted, and only a person resumes or closes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.open_runs import OpenRuns, order_of
from drivers.errors import BenchError


@dataclass(frozen=True, slots=True)
class Hold:
    """``channel`` is None where the bundle does not say: the whole bench holds."""

    run_id: str
    folder: Path
    channel: str | None
    why: str


def holds(data: Path, bench: str) -> tuple[Hold, ...]:
    """Every interrupted run of the bench. Blocks on the disk. Raises RecordError: then nobody knows, and all holds."""
    found: list[Hold] = []
    for run in OpenRuns(data).interrupted(bench):
        try:
            channel = order_of(run.bundle).get("channel")
        except BenchError:
            channel = None
        why = f"run {run.run_id} was interrupted; it holds until a person resumes or closes it"
        found.append(Hold(run.run_id, run.bundle, None if channel is None else str(channel), why))
    return tuple(found)


def by_channel(found: tuple[Hold, ...], channels: tuple[str, ...]) -> Mapping[str, Hold]:
    """The first hold of each channel."""
    held: dict[str, Hold] = {}
    for hold in found:
        for channel in channels if hold.channel is None else (hold.channel,):
            held.setdefault(channel, hold)
    return held
