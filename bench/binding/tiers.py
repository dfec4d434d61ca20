"""The ``[guard.limits]`` of a bench file put on the limits: patience, and what warns or stops before the trip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from bench.binding.faults import Findings
from bench.binding.shapes import GuardLimit, Tier
from bench.config import BenchFile
from bench.config.guard_table import Distance, LimitName, Patience
from drivers import BASE, Dimension

_DIMENSION: dict[LimitName, Dimension] = {
    "sample.voltage": Dimension.VOLTAGE,
    "sample.cell_voltage": Dimension.VOLTAGE,
    "sample.current": Dimension.CURRENT,
    "sample.temperature": Dimension.TEMPERATURE_CHANGE,
    "bench.voltage": Dimension.VOLTAGE,
    "bench.cell_voltage": Dimension.VOLTAGE,
    "bench.current": Dimension.CURRENT,
    "bench.place_temperature": Dimension.TEMPERATURE_CHANGE,
    "bench.chamber_temperature": Dimension.TEMPERATURE_CHANGE,
    "bench.surface_temperature": Dimension.TEMPERATURE_CHANGE,
    "bench.pressure": Dimension.PRESSURE,
}


def check_distances(bench: BenchFile, findings: Findings) -> None:
    """Each distance is one of the limit's quantity, and leads inwards."""
    for name, patience in bench.guard.limits.items():
        wanted = _DIMENSION[name]
        for key in ("warn", "stop", "hysteresis"):
            distance: Distance | None = getattr(patience, key)
            where = bench.where("guard", "limits", name, key)
            if distance is not None and findings.need(
                distance.dimension is wanted,
                f"{key} of {name} is a {distance.dimension.value}, wanted a {wanted.value}",
                where,
                f'write for example "1 {BASE[wanted]}"',
            ):
                fix = "give the distance from the limit inwards, above 0"
                findings.need(distance.value > 0.0, f"{key} of {name} does not lead inwards", where, fix)


def tiered(limits: Iterable[GuardLimit], bench: BenchFile, findings: Findings) -> tuple[GuardLimit, ...]:
    """The limits with their patience, and their own earlier tiers."""
    return tuple(its for limit in limits for its in _tiers(limit, bench, findings))


def _tiers(limit: GuardLimit, bench: BenchFile, findings: Findings) -> Iterator[GuardLimit]:
    patience = next((its for name, its in bench.guard.limits.items() if name == limit.rule), None)
    if patience is None:
        yield limit
        return
    hits, of = patience.readings
    back = 0.0 if patience.hysteresis is None else patience.hysteresis.value
    patient = replace(limit, delay_s=patience.delay_s or 0.0, hysteresis=back, hits=hits, of=of)
    yield patient
    for tier, distance in _inner(patience):
        low = None if limit.low is None else limit.low + distance.value
        high = None if limit.high is None else limit.high - distance.value
        if findings.need(
            low is None or high is None or low + back < high - back,
            f"nothing is left between the {tier} bounds of {limit.rule}",
            bench.where("guard", "limits", limit.rule, tier),
            "give a smaller distance",
        ):
            yield replace(patient, low=low, high=high, tier=tier)


def _inner(patience: Patience) -> Iterator[tuple[Tier, Distance]]:
    if patience.stop is not None:
        yield "stop", patience.stop
    if patience.warn is not None:
        yield "warn", patience.warn
