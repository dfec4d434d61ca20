"""From a plan to its safe plan: what a guardian is handed before anything is energised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bench.binding.shapes import BoundChannel
from bench.config.profiles import profile_text
from bench.plan import Plan
from bench.safe_plan import OwedObservation, SafeDevice, SafePlan, steps_for
from drivers.models import driver_model
from sequences.language import Observe
from sequences.tree import numbered


def safe_plan(plan: Plan, urls: Mapping[str, str]) -> SafePlan:
    """``urls`` stand in for the bench file's, by device. Raises ConfigError for a profile that is no longer there."""
    bench, allowed = plan.bench, frozenset(plan.bench.distributions)
    places = (plan.channel, *(place for place in plan.places.values() if place is not plan.channel))
    return SafePlan(
        bench=bench.name,
        channel=plan.channel.name,
        devices=tuple(_device(plan, name, urls) for name in plan.devices),
        steps=steps_for({name: driver_model(bench.devices[name].model, allowed).kind for name in plan.devices}),
        feedbacks=plan.feedbacks,
        contactors=contactors(plan),
        detectors=tuple(dict.fromkeys(name for place in places for name in place.detectors.values())),
        surfaces=tuple(dict.fromkeys(name for place in places for name in place.surface)),
        distributions=tuple(bench.distributions),
        observation=_observation(plan),
        mode="simulated" if plan.simulated else "live",
    )


def contactors(plan: Plan) -> tuple[str, ...]:
    """The modules that drive the sample's contactors, that of the start place first."""
    places = (plan.channel, *plan.places.values())
    return tuple(dict.fromkeys(name for place in places for name in _drivers_of(place)))


def _drivers_of(place: BoundChannel) -> Iterator[str]:
    yield place.contactor.device
    if place.short is not None:
        yield place.short.device


def _device(plan: Plan, name: str, urls: Mapping[str, str]) -> SafeDevice:
    entry, page = plan.bench.devices[name], profile_text(plan.bench, name)
    return SafeDevice(
        name=name,
        model=entry.model,
        url=urls.get(name, entry.url),
        unit=entry.unit,
        serial=entry.serial,
        rating=dict(entry.rating),
        points=tuple(plan.points[name]),
        mains_hz=plan.bench.mains_hz,
        profile=None if page is None else page.text,
        profile_where="" if page is None else page.where,
    )


def _observation(plan: Plan) -> OwedObservation | None:
    """The longest of the sequence's observations; None if it has none."""
    steps = [step for _, step in numbered(plan.sequence.steps) if isinstance(step, Observe)]
    if not steps:
        return None
    return OwedObservation(
        duration_s=max(plan.evaluate(step.duration) for step in steps),
        at_most_s=max(plan.evaluate(step.at_most) for step in steps),
        until_c=min(plan.evaluate(step.until) for step in steps),
        rate_k_s=min(plan.evaluate(step.rate) for step in steps),
    )
