"""A plan as plain JSON data (plan.json of a bundle)."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bench.binding.shapes import BoundChannel
from sequences.language import Phase

if TYPE_CHECKING:
    from bench.plan import Plan


def document(plan: Plan) -> dict[str, Any]:
    """``limits`` are those of conditioning in the start place; ``places`` holds every place with all of its own."""
    return {
        "schema": "cellbench/plan/1",
        "sequence": plan.sequence.id,
        "class": plan.sequence.class_.value,
        "bench": plan.bench.name,
        "cell": plan.cell.type,
        "sample": None if plan.sample is None else plan.sample.id,
        "mode": plan.mode,
        "simulated": plan.simulated,
        "channel": _channel(plan.channel),
        "places": {
            name: {
                "channel": _channel(channel),
                "limits": {phase.value: [asdict(limit) for limit in plan.limits_in(name, phase)] for phase in Phase},
                "rules": {
                    phase.value: [{"kind": type(rule).__name__, **asdict(rule)} for rule in plan.rules_in(name, phase)]
                    for phase in Phase
                },
            }
            for name, channel in plan.places.items()
        },
        "points": {device: list(points) for device, points in plan.points.items()},
        "values": {name: _number(value) for name, value in sorted(plan.values.items())},
        "parameters": [asdict(parameter) for parameter in plan.parameters],
        "sample_mass_kg": plan.sample_mass_kg,
        "sample_mass_nominal": plan.sample_mass_nominal,
        "limits": [asdict(limit) for limit in plan.limits],
        "spans": {channel: list(span) for channel, span in plan.spans.items()},
        "energised_at_most_s": plan.energised_at_most_s,
        "takes_away": list(plan.takes_away),
        "device_limits": asdict(plan.device_limits),
        "margins": dict(plan.margins.document()),
        "polls": {device: asdict(poll) for device, poll in plan.polls.items()},
        "watchdogs_s": dict(plan.watchdogs),
        "entries": [entry.name for entry in plan.entries],
        "simulated_entries": dict(plan.simulated_entries),
        "calibration": [
            {"point": point, "certificate": certificate, "due": None if due is None else due.isoformat()}
            for point, certificate, due in plan.evidence.points
        ],
        "estimate": asdict(plan.estimated),
        "warnings": list(plan.warnings),
    }


def _channel(channel: BoundChannel) -> dict[str, Any]:
    return {**asdict(channel), "interlocks": dict(channel.interlocks)}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
