"""Outboxes for tests: a table without a file, a clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.outbox import Broker, Outbox, OutboxTable
from drivers.clock import Clock

START_S = 1_780_000_000.0


@dataclass
class Wall:
    """A wall clock that stands until it is moved."""

    utc_s: float = START_S
    told: list[str] = field(default_factory=list)

    def clock(self) -> Clock:
        return Clock(mono_s=lambda: self.utc_s - START_S, utc_s=lambda: self.utc_s)


def table(**more: Any) -> OutboxTable:
    return OutboxTable.model_validate({"site": "lab", "reading_every": "1 s", **more})


def outbox(folder: Path, port: int, wall: Wall, *, most_in_memory: int = 20_000, **more: Any) -> Outbox:
    return Outbox(
        table(**more),
        Broker("127.0.0.1", port),
        folder,
        bench="bench-2",
        clock=wall.clock(),
        tell=wall.told.append,
        most_in_memory=most_in_memory,
    )
