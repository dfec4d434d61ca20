"""What limits, devices, places and steps come to together: the guard's limits, periods, watchdogs and set values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.binding.faults import Findings
from bench.binding.guarding import guard_rules
from bench.binding.limits import (
    Margins,
    bench_limits,
    check_bench_limits,
    check_cell_limits,
    device_limits,
    margins,
    place_limits,
    sample_limits,
    window,
)
from bench.binding.points import Equipment
from bench.binding.polling import check_hard_polls, check_tools, heater_without_host, polls, watchdogs
from bench.binding.reaction import check_reaction
from bench.binding.route import Route
from bench.binding.shapes import BoundChannel, GuardLimit, Poll, Window
from bench.binding.steps import Extent, Reach, check_steps
from bench.binding.stimulus import check_stimulus, energised_beside
from bench.binding.tiers import check_distances, tiered
from bench.config import CellFile
from bench.rules.shapes import RuleSpec
from drivers.capabilities import TerminalLimits
from sequences.language import Charge, Discharge, Phase, Sequence, SequenceClass, Step
from sequences.tree import numbered

#: The guard's limits by place and phase.
LimitsAt = Mapping[tuple[str, Phase], tuple[GuardLimit, ...]]
#: Its rules beyond them.
RulesAt = Mapping[tuple[str, Phase], tuple[RuleSpec, ...]]


@dataclass(frozen=True, slots=True)
class Electrical:
    """``margins`` are those of the start place; ``reaches`` bound the set values of the steps at each place."""

    limits_at: LimitsAt
    rules_at: RulesAt
    device_limits: TerminalLimits
    margins: Margins
    polls: Mapping[str, Poll]
    watchdogs: Mapping[str, float]
    reaches: Mapping[str, Reach]


def electrical(
    sequence: Sequence,
    cell: CellFile,
    equipment: Equipment,
    route: Route,
    places: Mapping[str, BoundChannel],
    used: Mapping[str, tuple[str, ...]],
    values: Mapping[str, float],
    findings: Findings,
    *,
    live: bool,
) -> Electrical | None:
    """None where a device is not known well enough, a fault by itself. ``live`` is a run on hardware."""
    bench, channels, start = equipment.bench, tuple(places.values()), places[route.start]
    for channel in channels:
        check_bench_limits(equipment, channel, findings)
        check_cell_limits(equipment, channel, cell, findings)
        warning = heater_without_host(equipment, channel)
        if warning is not None:
            findings.warn(warning)
    steps = dict(numbered(sequence.steps))
    periods = polls(equipment, used, findings, energised=energised_beside(steps, route, places))
    armed = watchdogs(equipment, channels, used, periods, findings)
    check_tools(sequence, equipment, route, places, findings)
    windows = {
        phase: window(cell, sequence.class_, phase, abuse_channel=start.abuse and cell.abuse is not None)
        for phase in Phase
    }
    _check_polls(sequence, equipment, route, places, periods, findings)
    reaches = _reaches(sequence, equipment, places, windows)
    if reaches is None:
        return None
    check_stimulus(sequence, equipment, route, places, values, findings)
    extent = check_steps(sequence, lambda number: reaches[route.at[number]], values, findings)
    stand_off = {name: margins(equipment, channel, cell, findings) for name, channel in places.items()}
    known = {name: found for name, found in stand_off.items() if found is not None}
    if len(known) < len(places):
        return None
    driven = any(
        isinstance(step, Charge | Discharge) and step.phase is not Phase.CONDITIONING for step in steps.values()
    )
    inside = windows[Phase.STIMULUS] if driven else windows[Phase.CONDITIONING]
    cycler = start.cycler.device
    watchdog_s = armed.get(cycler, bench.devices[cycler].watchdog_s or 0.0)
    own = device_limits(bench, start, inside, known[route.start], _highest(extent, inside), watchdog_s, findings)
    check_distances(bench, findings)
    limits_at = {
        (name, phase): tiered(
            (
                *sample_limits(channel, windows[phase], known[name]),
                *bench_limits(equipment, channel, stimulated=_stimulated(sequence, phase)),
            ),
            bench,
            findings,
        )
        for name, channel in places.items()
        for phase in Phase
    }
    rules_at = {
        (name, phase): guard_rules(
            sequence,
            cell,
            equipment,
            channel,
            used,
            windows[phase],
            known[name],
            periods,
            stimulated=_stimulated(sequence, phase),
        )
        for name, channel in places.items()
        for phase in Phase
    }
    for name in sorted({route.at[number] for number, step in steps.items() if _conditions(step)}):
        limits = limits_at[name, Phase.CONDITIONING]
        check_reaction(bench, cell, places[name], limits, periods, findings, live=live)
    return Electrical(
        limits_at=limits_at,
        rules_at=rules_at,
        device_limits=own,
        margins=known[route.start],
        polls=periods,
        watchdogs=armed,
        reaches=reaches,
    )


def _conditions(step: Step) -> bool:
    return isinstance(step, Charge | Discharge) and step.phase is Phase.CONDITIONING


def _stimulated(sequence: Sequence, phase: Phase) -> bool:
    """Whether what a place is built for counts, instead of the bench's common limits."""
    return sequence.class_ is SequenceClass.ABUSE and phase is not Phase.CONDITIONING


def _check_polls(
    sequence: Sequence,
    equipment: Equipment,
    route: Route,
    places: Mapping[str, BoundChannel],
    periods: Mapping[str, Poll],
    findings: Findings,
) -> None:
    """Hard limits are read often enough where a cell is under current, and wherever a stimulus happens."""
    bench = equipment.bench
    at: dict[str, set[Phase]] = {name: set() for name in places}
    under_current = {route.start}
    for number, step in numbered(sequence.steps):
        at[route.at[number]].add(step.phase)
        if isinstance(step, Charge | Discharge) and step.phase is Phase.CONDITIONING:
            under_current.add(route.at[number])
    for name, channel in places.items():
        if name in under_current:
            check_hard_polls(bench, periods, bench_limits(equipment, channel, stimulated=False), findings)
        if at[name] - {Phase.CONDITIONING}:
            limits = bench_limits(equipment, channel, stimulated=True)
            check_hard_polls(bench, periods, limits, findings, key="stimulus")


def _highest(extent: Extent, inside: Window) -> tuple[float, float]:
    """The highest voltage and current set, as far as known; within the sample's limits, or refused already."""
    return (
        min(inside.high_v, max(extent.voltages_v, default=0.0)),
        min(max(inside.charge_a, inside.discharge_a), max(extent.currents_a, default=0.0)),
    )


def _reaches(
    sequence: Sequence, equipment: Equipment, places: Mapping[str, BoundChannel], windows: Mapping[Phase, Window]
) -> dict[str, Reach] | None:
    found: dict[str, Reach] = {}
    for name, channel in places.items():
        cycler, chamber = channel.cycler.device, channel.chamber_device
        volts, amps = equipment.span(cycler, "voltage_v"), equipment.span(cycler, "current_a")
        watts = equipment.span(cycler, "power_w")
        if volts is None or amps is None or watts is None:
            return None
        warmth = equipment.span(chamber, "temperature_c") if chamber is not None else None
        air = {
            phase: place_limits(equipment.bench, name, stimulated=_stimulated(sequence, phase))[0] for phase in Phase
        }
        found[name] = Reach(cycler, volts, amps, watts, chamber, warmth, equipment.bench.limits, windows, air)
    return found
