"""What the steps of an abuse test need of the place where they happen, and of the rig there."""

from __future__ import annotations

from collections.abc import Mapping

from bench.binding.faults import Findings
from bench.binding.points import Equipment
from bench.binding.route import Route
from bench.binding.shapes import BoundChannel
from bench.binding.steps import where_is
from bench.binding.values import worth
from sequences.expressions import Expression
from sequences.language import (
    Crush,
    Heat,
    Observe,
    Penetrate,
    Phase,
    Retract,
    Sequence,
    SequenceClass,
    Short,
    Step,
)
from sequences.tree import numbered

#: Peak temperature is the highest of the good surface points; one alone may be lost to the fire.
LEAST_SURFACE_POINTS = 2


def check_stimulus(
    sequence: Sequence,
    equipment: Equipment,
    route: Route,
    places: Mapping[str, BoundChannel],
    values: Mapping[str, float],
    findings: Findings,
) -> None:
    """Every such step has its tool at the place where the sample is then, and asks no more of it than its rating."""
    for number, step in numbered(sequence.steps):
        where, channel = where_is(sequence, number, step), places[route.at[number]]
        if sequence.class_ is SequenceClass.ABUSE and step.phase is Phase.STIMULUS:
            _sensed(equipment, channel, where, findings)
        match step:
            case Penetrate() | Crush() | Retract():
                _rig(step, equipment, channel, where, values, findings)
            case Short():
                findings.need(
                    channel.short is not None and channel.short_feedback is not None,
                    f"place {channel.place} has no short contactor with feedback",
                    where,
                    f"add short_contactor and short_contactor_feedback to [channels.{channel.name}.reaches."
                    f"{channel.place}], or transfer the sample to a place that has them first",
                )
            case Heat():
                _heater(step, channel, where, findings)
            case Observe():
                _observation(step, where, values, findings)
            case _:
                pass


def _sensed(equipment: Equipment, channel: BoundChannel, where: str, findings: Findings) -> None:
    at = equipment.bench.where("places", channel.place)
    findings.need(
        len(channel.surface) >= LEAST_SURFACE_POINTS,
        f"{where}: place {channel.place} has {len(channel.surface)} point on the cell's surface, an abuse test needs "
        f"{LEAST_SURFACE_POINTS}: one may be lost to the fire",
        at,
        'add surface = ["th1.ai4", "th1.ai5"]',
    )
    findings.need(
        channel.ambient is not None,
        f"{where}: nothing measures the air of place {channel.place}",
        at,
        'add ambient = "th1.ai7"',
    )


def _rig(
    step: Penetrate | Crush | Retract,
    equipment: Equipment,
    channel: BoundChannel,
    where: str,
    values: Mapping[str, float],
    findings: Findings,
) -> None:
    if not findings.need(
        channel.rig is not None,
        f"place {channel.place} has no rig",
        where,
        "transfer the sample to a place with rig = ... first, or use a bench that has one",
    ):
        return
    if channel.rig is None or isinstance(step, Retract):
        return
    device = channel.rig.device
    rating = equipment.rating(device)
    asked: list[tuple[str, Expression, str, str]] = [
        ("speed", step.speed, "speed_mm_s", "mm/s"),
        ("force", step.force, "force_n", "N"),
    ]
    if isinstance(step, Penetrate):
        asked.append(("depth", step.depth, "stroke_mm", "mm"))
    for what, expression, key, unit in asked:
        value, most = worth(expression, values), rating.get(key)
        if value is not None and most is not None:
            findings.need(
                0.0 < value <= most,
                f"the {what} {value:g} {unit} is outside the rating of {device} (above 0, up to {most:g} {unit})",
                where,
                f"choose a {what} within the rig's rating",
            )
    if isinstance(step, Crush):
        part = worth(step.deformation, values)
        findings.need(
            part is None or 0.0 < part <= 1.0,
            f"the deformation {part} is no part of the sample's thickness",
            where,
            "give a part above 0 and up to 100 %",
        )


def _heater(step: Heat, channel: BoundChannel, where: str, findings: Findings) -> None:
    has = channel.chamber if step.by == "chamber" else channel.heater
    findings.need(
        has is not None,
        f"place {channel.place} has no {step.by}",
        where,
        "heat it in a place that has one, or by the other of chamber and heater",
    )


def _observation(step: Observe, where: str, values: Mapping[str, float], findings: Findings) -> None:
    for name in ("duration", "until", "rate", "at_most"):
        findings.need(
            worth(getattr(step, name), values) is not None,
            f"{name} rests on what the run has to find out, and a trip may keep that from it",
            where,
            "an observation's own values rest on the cell and the parameters alone",
        )
    duration_s, longest_s = worth(step.duration, values), worth(step.at_most, values)
    if duration_s is not None and longest_s is not None:
        findings.need(
            longest_s >= duration_s,
            f"it would be cut short: at most {longest_s:g} s of at least {duration_s:g} s",
            where,
            "at_most is the longer one",
        )


def energised_beside(
    steps: Mapping[tuple[int, ...], Step], route: Route, places: Mapping[str, BoundChannel]
) -> set[str]:
    """The rigs of the places where a cell is charged or discharged in conditioning."""
    found = set()
    for number, step in steps.items():
        rig = places[route.at[number]].rig
        if rig is not None and step.kind in ("charge", "discharge") and step.phase is Phase.CONDITIONING:
            found.add(rig.device)
    return found
