"""What a program that carries out many runs on one bench lends to one of them, and hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.log import RunLog
    from bench.plan import Plan
    from bench.station import Station
    from bench.stream import Stream
    from sequences.language import Step

#: Waited for before each step: a run that is paused begins none.
Gate = Callable[["Step"], Awaitable[None]]


async def open_gate(_: Step) -> None:
    """The gate of a run that nobody pauses."""


@dataclass(frozen=True, slots=True)
class House:
    """One run's part of it.

    ``run_id`` and ``folder`` were given when the run was asked for; ``station`` seats it among the devices that are
    open already; ``stop`` is a person's. ``recorded`` is told of the record once it is open, ``streamed`` of the
    readings before the first. A house keeps the bench for the next run, simulated or not, and looks itself for runs
    that were interrupted. ``guarded`` is given what is called, with its name and the device that saw it, when another
    run of the zone has found fire, gas or runaway. ``sealing`` is held while the bundle is sealed: each takes a process
    of its own, and what many ends at once would take is another run's.
    """

    run_id: str
    folder: Path
    station: Callable[[Plan], Station]
    stop: asyncio.Event
    gate: Gate
    recorded: Callable[[RunLog], object]
    streamed: Callable[[Stream], object]
    guarded: Callable[[Callable[[str, str], None]], object]
    sealing: asyncio.Semaphore
