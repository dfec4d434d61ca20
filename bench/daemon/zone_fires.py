"""What one run finds of fire, gas or runaway, told to every other run of the same zone.

A run's own guard hears the detectors that its devices read. A neighbour on other modules would not, and would go on
charging beside a fire; the guard of each is told, and acts as on a detector of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.cause import is_fire
from bench.daemon.feed import Quiet
from bench.daemon.runs import Runs
from bench.daemon.tenancy import BESIDE
from bench.daemon.views import RunView

_FOUND = ("trip", "sample_event", "bench_event")


class ZoneFires(Quiet):
    """A :class:`bench.daemon.feed.Feed`."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    def event(self, run: RunView, kind: str, data: Mapping[str, Any]) -> None:
        rule = data.get("rule")
        if kind not in _FOUND or not is_fire(rule) or str(rule).endswith(BESIDE):
            return
        found = self._runs.of(run.run_id)
        if found is None:
            return
        device = str(data.get("device") or found.place.contactor.device)
        for other in self._runs.all:
            if other is not found and not other.over and other.place.zone == found.place.zone:
                other.burns_beside(found.place.place, device)
