"""What a plan needs that is there only once, read off its steps before it starts."""

from __future__ import annotations

from bench.daemon.leases import Need
from bench.plan import Plan
from sequences.expressions import MissingValueError
from sequences.language import ChamberSet, SequenceClass
from sequences.tree import numbered


def needs(plan: Plan) -> tuple[Need, ...]:
    """Its channel, places and their rigs for itself, its chambers for the one temperature that it sets there.

    A run that sets several temperatures, or one that only the run can work out, or that may set a fire, has the chamber
    for itself. One that sets none leaves the chamber to others.
    """
    found = [Need(f"channel {plan.channel.name}")]
    for name, place in plan.places.items():
        found.append(Need(place.rig.device if place.rig is not None else name))
        if place.chamber is not None and (need := _chamber(plan, name, place.chamber.device)) is not None:
            found.append(need)
    return tuple(dict.fromkeys(found))


def _chamber(plan: Plan, place: str, device: str) -> Need | None:
    if plan.sequence.class_ is SequenceClass.ABUSE:
        return Need(device)
    steps = [(number, step) for number, step in numbered(plan.sequence.steps) if isinstance(step, ChamberSet)]
    wanted: set[float] = set()
    for number, step in steps:
        if plan.route.at.get(number, place) != place:
            continue
        try:
            wanted.add(plan.evaluate(step.temperature))
        except MissingValueError:
            return Need(device)
    if not wanted:
        return None
    return Need(device, wanted.pop()) if len(wanted) == 1 else Need(device)
