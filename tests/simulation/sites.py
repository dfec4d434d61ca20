"""Kill or cancel at every await site: every place in the program where a task of a reference run is suspended."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from simulators.strikes import Strike
from tests.simulation.harness import Found, simulate
from tests.simulation.worlds import World

ROOT = str(Path(__file__).parents[2])

#: A run that passes, one that trips, one that a person stops.
REFERENCES = (
    World(1, 0.5, 0.6, 0, (), again=False),
    World(2, 0.5, 0.6, 0, (Strike("door_opens", "chamber1", step="charge", after_s=2.0),), again=False),
    World(3, 0.5, 0.6, 0, (Strike("person_stops", step="discharge", after_s=2.0),), again=False),
)


@dataclass(frozen=True)
class Interruption:
    """``fault`` (killed or cancelled) before the ``visit``-th turn at a site of a reference run."""

    reference: int
    site: str
    visit: int
    fault: str


@dataclass
class Visits:
    """How often each site was visited; strikes at one visit if told to."""

    at: Interruption | None = None
    found: Found | None = None
    counts: dict[str, int] = field(default_factory=dict)
    struck: bool = False

    def turn(self, _name: str, coroutine: Coroutine[Any, Any, Any]) -> None:
        """A task is about to take a turn."""
        site = site_of(coroutine)
        if site is None:
            return
        count = self.counts[site] = self.counts.get(site, 0) + 1
        at = self.at
        if at is not None and not self.struck and site == at.site and count == at.visit and self.found is not None:
            self.struck = True
            self.found.strike(at.fault)


def site_of(coroutine: Any) -> str | None:
    """The innermost line of the program at which a coroutine is suspended; None before its first turn."""
    site: str | None = None
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is not None and frame.f_code.co_filename.startswith(ROOT):
            file = frame.f_code.co_filename.removeprefix(f"{ROOT}/")
            if not file.startswith((".venv", "tests", "simulators")):
                site = f"{file}:{frame.f_lineno}"
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return site


def interruptions(folder: Path, *, between: int, seed: int = 1) -> list[Interruption]:
    """First and last visit of every site of every reference, killed and cancelled, and so many visits between."""
    found: list[Interruption] = []
    every: list[tuple[int, str, int]] = []
    for index, world in enumerate(REFERENCES):
        visits = Visits()
        simulate(world, folder, on_turn=visits.turn)
        for site, count in visits.counts.items():
            every += [(index, site, visit) for visit in range(2, count)]
            for visit in sorted({1, count}):
                found += [Interruption(index, site, visit, fault) for fault in ("killed", "cancelled")]
    random = Random(f"visits {seed}")
    for index, site, visit in random.sample(every, min(between, len(every))):
        found.append(Interruption(index, site, visit, random.choice(("killed", "cancelled"))))
    return found


def interrupted(at: Interruption, folder: Path) -> Found:
    """The reference run, interrupted there."""
    visits = Visits(at)

    def begun(found: Found) -> None:
        visits.found = found

    return simulate(REFERENCES[at.reference], folder, on_turn=visits.turn, on_begin=begun)
