"""The guard's rules beyond plain limits, for one place and phase, and what each channel's instrument can show."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from bench.binding.limits import Margins, meter
from bench.binding.points import Equipment, bound_places
from bench.binding.shapes import BoundChannel, Point, Poll, Window
from bench.config import BenchFile, CellFile
from bench.rules.shapes import (
    Ceiling,
    Companion,
    CrossCheck,
    Detached,
    Detector,
    Rate,
    RuleSpec,
    Runaway,
    Stuck,
)
from sequences.language import RepeatUntilStable, Sequence, SequenceClass
from sequences.tree import walk_steps

#: What lies further outside an instrument's range than this part of it is no measurement.
BEYOND = 0.1
#: GB 38031-2025, C.5.3.7 c).
RUNAWAY_K_S = 1.0
#: The most that a cell holds and gives away (ours, on the safe side: nothing is said where it may be colder than this).
HEAT_CAPACITY_J_KG_K = 1300.0
COOLING_W_M2_K = 50.0
#: Plates around a cell take heat up and give it away, nobody says how much (ours).
FIXTURE = 3.0
#: On top of the estimated time, for what takes time besides.
BESIDES_S = 3600.0


def guard_rules(
    sequence: Sequence,
    cell: CellFile,
    equipment: Equipment,
    channel: BoundChannel,
    used: Mapping[str, tuple[str, ...]],
    inside: Window,
    stand_off: Margins,
    periods: Mapping[str, Poll],
    *,
    stimulated: bool,
) -> tuple[RuleSpec, ...]:
    """Those of one place and phase. ``stimulated`` is stimulus and observation of an abuse sequence."""
    table = equipment.bench.guard
    abuse = sequence.class_ is SequenceClass.ABUSE
    charge_ah = cell.rated_capacity_ah * (table.stimulus_charge if stimulated else table.charge)
    found: list[RuleSpec] = [
        Runaway(channel.place, channel.cell_voltage, channel.surface, cell.operating.temperature.high_c, RUNAWAY_K_S),
        CrossCheck(
            channel.voltage,
            channel.current,
            channel.cell_voltage,
            round(stand_off.terminal_v + stand_off.cell_v, 9),
            table.lead_ohm,
        ),
        Ceiling(
            channel.voltage,
            channel.current,
            f"{channel.cycler.device} output",
            charge_ah,
            charge_ah * inside.high_v,
        ),
        *_neighbours(equipment.bench, channel, used, cell),
    ]
    if channel.ambient is not None:
        found += _detached(equipment, channel, cell, trips=abuse)
    if not stimulated:
        found += _rates(equipment, channel, periods)
        found += _stuck(equipment, channel)
    return tuple(found)


def _rates(equipment: Equipment, channel: BoundChannel, periods: Mapping[str, Poll]) -> Iterator[Rate]:
    table = equipment.bench.guard

    def window_s(reading: str) -> float:
        poll = periods.get(reading.partition(".")[0])
        return max(table.rate_window_s, 0.0 if poll is None else 3 * poll.energised_s)

    for sensor in channel.surface:
        rule, most = "sample.temperature_rate", table.temperature_rate_k_s
        yield Rate(rule, sensor, most, window_s(sensor), rising=True)
    if table.voltage_rate_v_s is not None:
        sense = channel.cell_voltage
        yield Rate("sample.voltage_rate", sense, table.voltage_rate_v_s, window_s(sense), rising=False)


def _stuck(equipment: Equipment, channel: BoundChannel) -> Iterator[Stuck]:
    """Each voltage by the other, each surface point by all others, the place's air by its chamber."""
    bench, lead_ohm = equipment.bench, equipment.bench.guard.lead_ohm
    volts = _resolution(equipment, str(channel.cycler), "voltage_v")
    sense = _resolution(equipment, str(channel.cell_voltage_point), "voltage_v")
    yield Stuck(channel.voltage, volts, (Companion(channel.cell_voltage, sense),), channel.current, lead_ohm)
    yield Stuck(channel.cell_voltage, sense, (Companion(channel.voltage, volts),), channel.current, lead_ohm)
    references = bench.places[channel.place].surface
    steps = {
        name: _resolution(equipment, reference, "temperature_c")
        for name, reference in zip(channel.surface, references, strict=True)
    }
    for name, step in steps.items():
        others = tuple(Companion(other, its) for other, its in steps.items() if other != name)
        if others:
            yield Stuck(name, step, others)
    if channel.ambient is not None and channel.chamber is not None and channel.chamber_air is not None:
        air = bench.places[channel.place].ambient or ""
        its = Companion(channel.chamber_air, _resolution(equipment, str(channel.chamber), "temperature_c"))
        yield Stuck(channel.ambient, _resolution(equipment, air, "temperature_c"), (its,))


def _resolution(equipment: Equipment, reference: str, quantity: str) -> float:
    known = meter(equipment, reference, quantity)
    return 0.0 if known is None else known.resolution


def _detached(equipment: Equipment, channel: BoundChannel, cell: CellFile, *, trips: bool) -> Iterator[Detached]:
    size = cell.dimensions
    length_m = size.length_mm / 1e3
    if size.diameter_mm is not None:
        radius_m = size.diameter_mm / 2e3
        area_m2 = 2 * math.pi * radius_m * (length_m + radius_m)
    else:
        width_m, thickness_m = (size.width_mm or 0.0) / 1e3, (size.thickness_mm or 0.0) / 1e3
        area_m2 = 2 * (length_m * width_m + length_m * thickness_m + width_m * thickness_m)
    more = FIXTURE if cell.fixture else 1.0
    references = equipment.bench.places[channel.place].surface
    for sensor, reference in zip(channel.surface, references, strict=True):
        yield Detached(
            surface=sensor,
            ambient=channel.ambient or "",
            voltage=channel.voltage,
            current=channel.current,
            voltage_resolution_v=_resolution(equipment, str(channel.cycler), "voltage_v"),
            resolution_k=_resolution(equipment, reference, "temperature_c"),
            heat_capacity_j_k=more * HEAT_CAPACITY_J_KG_K * cell.mass_kg,
            cooling_w_k=more * COOLING_W_M2_K * area_m2,
            trips=trips,
        )


def _neighbours(
    bench: BenchFile, channel: BoundChannel, used: Mapping[str, tuple[str, ...]], cell: CellFile
) -> Iterator[RuleSpec]:
    """Detectors and surface points of the zone's other places, as far as this run's devices read them."""
    own = {*channel.surface, *channel.interlocks.values()}
    for place in bound_places(bench):
        if place.zone != channel.zone or place.name == channel.place:
            continue
        for kind, reading in place.detectors.items():
            if reading not in own and _is_read(reading, used):
                yield Detector(place.name, kind, reading)
        seen = tuple(reading for reading in place.surface if reading not in own and _is_read(reading, used))
        if seen:
            yield Runaway(place.name, None, seen, cell.operating.temperature.high_c, RUNAWAY_K_S, neighbour=True)


def _is_read(reading: str, used: Mapping[str, tuple[str, ...]]) -> bool:
    device, point, _ = reading.split(".", 2)
    return point in used.get(device, ())


def shown_spans(equipment: Equipment, channels: Iterable[BoundChannel]) -> dict[str, tuple[float, float]]:
    """By reading channel, what its instrument can show at all, a tenth of its range beyond either end. A chamber's own
    reading is left out: its rating says what it can be set to."""
    found: dict[str, tuple[float, float]] = {}
    for channel in channels:
        place = equipment.bench.places[channel.place]
        named = [
            (channel.voltage, channel.cycler, "voltage_v"),
            (channel.current, channel.cycler, "current_a"),
            (channel.cell_voltage, channel.cell_voltage_point, "voltage_v"),
            *((its, Point.of(ref), "temperature_c") for its, ref in zip(channel.surface, place.surface, strict=True)),
        ]
        if channel.ambient is not None and place.ambient is not None:
            named.append((channel.ambient, Point.of(place.ambient), "temperature_c"))
        for reading, point, quantity in named:
            span = equipment.span(point.device, quantity)
            if span is not None:
                room = BEYOND * (span.high - span.low)
                found[reading] = (span.low - room, span.high + room)
    return found


def energised_at_most_s(sequence: Sequence, estimated_s: float, part: float) -> float:
    """How long a run may have anything energised: ``part`` of its estimate, in which a repeat until stable counts with
    as many turns as it may take."""
    repeats = [step for _, step in walk_steps(sequence.steps) if isinstance(step, RepeatUntilStable)]
    turns = max((step.at_most / step.stable.last for step in repeats), default=1.0)
    return part * max(1.0, turns) * estimated_s + BESIDES_S
