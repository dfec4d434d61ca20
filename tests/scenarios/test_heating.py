"""A chamber on its way to a setpoint is a heater step: its interlocks are read at P, not as slowly as at rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.scenarios.interrupted import BRIEF
from tests.scenarios.runs import order, run
from tests.scenarios.test_faults import at

pytestmark = pytest.mark.scenario

#: Half an hour after its chamber was sent from 23 to 40 degC, at 5 K/min at most.
HEATING = BRIEF.read_text().replace("  - discharge:", "  - rest: {duration: 30 min}\n  - discharge:", 1)
#: Of the demonstration bench: polls while energised, and at rest.
ENERGISED_S, REST_S = 1.0, 2.0


def trip_after_s(folder: Path, smoke_s: float) -> float:
    """How long after the smoke the guard tripped."""
    folder.mkdir()
    sequence = folder / "heating.yaml"
    sequence.write_text(HEATING)
    arrange = at(smoke_s, lambda bench: bench.scene.plant.set_input("chamber1", "smoke", 0.0))
    result, watched = run(order(folder, sequence=sequence), arrange=arrange)
    assert result.ended_by.rule == "interlock.smoke_clear"
    assert watched.made_safe()
    lines = (Path(result.bundle) / "events.jsonl").read_text().splitlines()
    trip = next(event for event in map(json.loads, lines) if event["kind"] == "trip")
    return float(trip["mono_s"]) - smoke_s


def test_smoke_is_seen_within_p_while_the_chamber_heats_and_at_rest_once_it_holds(tmp_path: Path) -> None:
    phases = [0.1, 0.6, 1.1, 1.6]
    heating = [trip_after_s(tmp_path / f"heating-{phase}", 60.0 + phase) for phase in phases]
    holding = [trip_after_s(tmp_path / f"holding-{phase}", 1500.0 + phase) for phase in phases]
    assert max(heating) <= ENERGISED_S + 0.1
    assert ENERGISED_S < max(holding) <= REST_S + 0.1
