"""Binding: a sequence, a bench and a cell become a plan, in which nothing is left to decide - or every fault at once.

No device is touched. What a plan says about limits, from the sample outwards, stands in ``bench/binding/limits.py``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import sequences
from bench.binding.estimate import estimate, step_seconds
from bench.binding.evidence import Evidence, evidence
from bench.binding.faults import Findings
from bench.binding.limits import (
    Margins,
    bench_limits,
    check_bench_limits,
    check_cell_limits,
    device_limits,
    margins,
    sample_limits,
    window,
)
from bench.binding.points import Equipment, Models, bind_roles, bound_channel, equip, used_points
from bench.binding.polling import check_hard_polls, heater_without_host, polls, watchdogs
from bench.binding.shapes import BoundChannel, BoundParameter, Estimate, GuardLimit, Point, Poll, Window
from bench.binding.steps import Extent, Reach, check_steps, where_is
from bench.binding.values import bind_parameters, cell_values, entries_of, simulated_entries
from bench.config import BenchFile, CellFile
from bench.samples import ENDED, Sample
from drivers import ConfigError, Fault
from drivers.capabilities import Setpoints, TerminalLimits
from drivers.models import driver_model
from sequences.expressions import Expression
from sequences.language import Charge, Discharge, Entry, Phase, Sequence, SequenceClass, Step
from sequences.tree import numbered

__all__ = ["BoundChannel", "BoundParameter", "Estimate", "GuardLimit", "Mode", "Plan", "Point", "Poll", "bind"]

Mode = Literal["simulated", "live"]


@dataclass(frozen=True, slots=True)
class Plan:
    """A run, decided. ``mode`` is where the commands go; ``simulated`` is what the records are stamped with.

    ``values`` holds ``cell.*``, ``param.*`` and ``run.sample_mass`` for expressions. ``limits`` are those of
    conditioning; guard and preflight hold to them in every phase. ``stimulus_limits`` are wider only in an abuse
    sequence, and are what ``device_limits`` leave room for there. ``points`` are the used points by device, ``polls``
    and ``watchdogs`` their times. ``entries`` is what an operator will be asked for, ``simulated_entries`` what the
    simulated one says.
    """

    sequence: Sequence
    bench: BenchFile
    cell: CellFile
    sample: Sample | None
    mode: Mode
    simulated: bool
    channel: BoundChannel
    points: Mapping[str, tuple[str, ...]]
    values: Mapping[str, float]
    parameters: tuple[BoundParameter, ...]
    sample_mass_kg: float
    sample_mass_nominal: bool
    limits: tuple[GuardLimit, ...]
    stimulus_limits: tuple[GuardLimit, ...]
    device_limits: TerminalLimits
    margins: Margins
    polls: Mapping[str, Poll]
    watchdogs: Mapping[str, float]
    entries: tuple[Entry, ...]
    simulated_entries: Mapping[str, float | str]
    evidence: Evidence
    estimated: Estimate
    warnings: tuple[str, ...]
    reach: Reach

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices of this run, in the bench file's order."""
        return tuple(self.points)

    @property
    def estimate_s(self) -> float:
        return self.estimated.seconds

    @property
    def voltage_resolution_v(self) -> float:
        """The smallest step of the terminal's voltage."""
        return self.reach.volts.resolution

    @property
    def max_power_w(self) -> float:
        return self.reach.watts.high

    def max_current_a(self, step: Charge | Discharge) -> float:
        """The most that sample, bench and cycler allow in this step, for one that gives no current."""
        inside = self.reach.windows[step.phase]
        sample_a = inside.charge_a if isinstance(step, Charge) else inside.discharge_a
        return min(sample_a, self.bench.limits.current_a, self.reach.amps.high)

    def evaluate(self, expression: Expression, extra: Mapping[str, float | tuple[float, ...]] | None = None) -> float:
        """An expression's worth with the static values and ``extra``. Raises MissingValueError."""
        return expression.evaluate({**self.values, **(extra or {})})

    def check_setpoints(self, step: Step, setpoints: Setpoints | float) -> list[Fault]:
        """What is wrong with a step's set values now that they are known: a terminal's, or a temperature in degC."""
        return self.reach.check(step, setpoints, self.where(step))

    def step_seconds(self, step: Step) -> float:
        """How long a step is expected to take."""
        return step_seconds(step, self.values)

    def where(self, step: Step) -> str:
        """A step's place in the sequence, for messages."""
        found = next((number for number, its in numbered(self.sequence.steps) if its is step), None)
        return f"{self.sequence.id}: {step.kind}" if found is None else where_is(self.sequence, found, step)

    def document(self) -> dict[str, Any]:
        """Everything that was decided, as plain JSON data (plan.json of a bundle)."""
        return _document(self)


def bind(
    sequence: Sequence,
    bench: BenchFile,
    cell: CellFile,
    *,
    channel: str | None = None,
    overrides: Mapping[str, str] | None = None,
    mode: Mode,
    sample: Sample | None = None,
    models: Models = driver_model,
) -> Plan:
    """Bind. ``channel`` may be left out where the bench has one; ``overrides`` are as written after ``--set``.

    Raises ConfigError with every fault that can be found without a device.
    """
    findings = Findings()
    simulated = mode == "simulated" or bench.far_end == "simulated"
    sequence = _expanded(sequence, bench, findings)
    equipment = equip(bench, models, findings)
    bind_roles(equipment, findings)
    mass_kg, nominal = _mass(cell, sample, findings, simulated=simulated)
    values = cell_values(cell, mass_kg)
    parameters = bind_parameters(sequence, overrides or {}, values, findings)
    entries = entries_of(sequence)
    answered = simulated_entries(
        bench.simulation.operator, entries, bench.where("simulation", "operator"), findings, wanted=simulated
    )
    name = _chosen(bench, channel, findings)
    if name is None or bench.channels[name].place not in bench.places:
        raise ConfigError(findings.faults)
    bound = bound_channel(bench, name)
    _class_allowed(sequence, bench, cell, bound, findings)
    _sensed(bench, bound, findings)
    electrical = _electrical(sequence, cell, equipment, bound, values, findings)
    if findings.faults or electrical is None:
        raise ConfigError(findings.faults)
    used = used_points(bench, bound)
    proof = evidence(sequence, bench, bound, simulated=simulated)
    if proof.uncertified:
        findings.warn(f"no certificate for {', '.join(proof.uncertified)}: whether calibration is in date is unknown")
    if nominal:
        findings.warn(f"the mass {mass_kg:g} kg is NOMINAL, from the cell file: no sample was weighed")
    stored_values = sum(len(points) for points in used.values()) + 2
    return Plan(
        sequence=sequence,
        bench=bench,
        cell=cell,
        sample=sample,
        mode=mode,
        simulated=simulated,
        channel=bound,
        points=used,
        values=values,
        parameters=parameters,
        sample_mass_kg=mass_kg,
        sample_mass_nominal=nominal,
        limits=electrical.limits,
        stimulus_limits=electrical.stimulus_limits,
        device_limits=electrical.device_limits,
        margins=electrical.margins,
        polls=electrical.polls,
        watchdogs=electrical.watchdogs,
        entries=entries,
        simulated_entries=answered,
        evidence=proof,
        estimated=estimate(sequence, values, electrical.reach.windows[Phase.CONDITIONING], stored_values),
        warnings=findings.warnings,
        reach=electrical.reach,
    )


@dataclass(frozen=True, slots=True)
class _Electrical:
    """What limits, devices and steps come to together."""

    limits: tuple[GuardLimit, ...]
    stimulus_limits: tuple[GuardLimit, ...]
    device_limits: TerminalLimits
    margins: Margins
    polls: Mapping[str, Poll]
    watchdogs: Mapping[str, float]
    reach: Reach


def _electrical(
    sequence: Sequence,
    cell: CellFile,
    equipment: Equipment,
    channel: BoundChannel,
    values: Mapping[str, float],
    findings: Findings,
) -> _Electrical | None:
    """Limits, polling, watchdogs and set values. None where a device is not known well enough, a fault by itself."""
    bench = equipment.bench
    check_bench_limits(equipment, channel, findings)
    check_cell_limits(equipment, channel, cell, findings)
    periods = polls(equipment, tuple(used_points(bench, channel)), findings)
    armed = watchdogs(equipment, channel, periods, findings)
    warning = heater_without_host(equipment, channel)
    if warning is not None:
        findings.warn(warning)
    windows = {
        phase: window(cell, sequence.class_, phase, abuse_channel=channel.abuse and cell.abuse is not None)
        for phase in Phase
    }
    outer = bench_limits(bench, channel)
    check_hard_polls(bench, periods, outer, findings)
    reach = _reach(equipment, channel, windows)
    if reach is None:
        return None
    extent = check_steps(sequence, reach, values, findings)
    stand_off = margins(equipment, channel, cell, findings)
    if stand_off is None:
        return None
    inside = windows[Phase.STIMULUS] if sequence.class_ is SequenceClass.ABUSE else windows[Phase.CONDITIONING]
    watchdog_s = armed.get(channel.cycler.device, bench.devices[channel.cycler.device].watchdog_s or 0.0)
    own = device_limits(bench, channel, inside, stand_off, _highest(extent, inside), watchdog_s, findings)
    return _Electrical(
        limits=(*sample_limits(channel, windows[Phase.CONDITIONING], stand_off), *outer),
        stimulus_limits=(*sample_limits(channel, windows[Phase.STIMULUS], stand_off), *outer),
        device_limits=own,
        margins=stand_off,
        polls=periods,
        watchdogs=armed,
        reach=reach,
    )


def _highest(extent: Extent, inside: Window) -> tuple[float, float]:
    """The highest voltage and current set, as far as known; within the sample's limits, or refused already."""
    return (
        min(inside.high_v, max(extent.voltages_v, default=0.0)),
        min(max(inside.charge_a, inside.discharge_a), max(extent.currents_a, default=0.0)),
    )


def _reach(equipment: Equipment, channel: BoundChannel, windows: Mapping[Phase, Window]) -> Reach | None:
    cycler, chamber = channel.cycler.device, channel.chamber_device
    volts, amps = equipment.span(cycler, "voltage_v"), equipment.span(cycler, "current_a")
    watts = equipment.span(cycler, "power_w")
    if volts is None or amps is None or watts is None:
        return None
    warmth = equipment.span(chamber, "temperature_c") if chamber is not None else None
    return Reach(cycler, volts, amps, watts, chamber, warmth, equipment.bench.limits, windows)


def _expanded(sequence: Sequence, bench: BenchFile, findings: Findings) -> Sequence:
    try:
        return sequences.expand(sequence, distributions=bench.distributions)
    except ConfigError as error:
        findings.faults += error.faults
        return sequence


def _chosen(bench: BenchFile, channel: str | None, findings: Findings) -> str | None:
    try:
        return bench.chosen_channel(channel)
    except ConfigError as error:
        findings.faults += error.faults
        return None


def _mass(cell: CellFile, sample: Sample | None, findings: Findings, *, simulated: bool) -> tuple[float, bool]:
    """The mass that results divide by, and whether it is only the type's nominal one."""
    if sample is None:
        if not simulated:
            fix = (
                'weigh it, `cellbench sample add ID --cell CELL --mass "998.6 g" --balance B`, and run with --sample ID'
            )
            findings.fault("a live run needs a sample with a weighed mass", "--sample", fix)
        return cell.mass_kg, True
    where = f"sample {sample.id}"
    if sample.state in ENDED:
        fix = "test another sample" if sample.state == "destroyed" else "release it from quarantine first"
        findings.fault(f"it is {sample.state.value} and cannot be tested", where, fix)
    findings.need(
        sample.type == cell.type,
        f"it is of type {sample.type!r}, but the cell file is for {cell.type!r}",
        where,
        "give the cell file of its type, or correct the record",
    )
    if sample.mass_kg is None and not simulated:
        fix = f'weigh it: `cellbench sample weigh {sample.id} --mass "998.6 g" --balance B`'
        findings.fault("it was never weighed", where, fix)
    return (cell.mass_kg, True) if sample.mass_kg is None else (sample.mass_kg, False)


def _class_allowed(
    sequence: Sequence, bench: BenchFile, cell: CellFile, channel: BoundChannel, findings: Findings
) -> None:
    if sequence.class_ is not SequenceClass.ABUSE:
        return
    findings.need(
        channel.abuse,
        f"{sequence.id} is an abuse test and channel {channel.name} is not marked for one",
        bench.where("channels", channel.name),
        "run it on a channel with abuse = true; mark one only where its place can stand a fire",
    )
    fix = "agree ceilings with the person responsible and add a table [abuse]"
    findings.need(cell.abuse is not None, f"{sequence.id} needs the cell's abuse ceilings", cell.where(), fix)


def _sensed(bench: BenchFile, channel: BoundChannel, findings: Findings) -> None:
    """A place where a cell is energised has its own air and the cell's surface measured, and its interlocks read."""
    where = bench.where("places", channel.place)
    for fine, what, fix in (
        (channel.surface, "no point on the cell's surface", 'add surface = ["th1.ai0", "th1.ai1"]'),
        (channel.ambient, "nothing that measures its air", 'add ambient = "th1.ai3"'),
        (channel.interlocks, "no interlock", "add a table [places.NAME.interlocks]; without one no trip sees a fire"),
    ):
        findings.need(fine, f"place {channel.place} of channel {channel.name} has {what}", where, fix)


def _document(plan: Plan) -> dict[str, Any]:
    channel = plan.channel
    return {
        "schema": "cellbench/plan/1",
        "sequence": plan.sequence.id,
        "class": plan.sequence.class_.value,
        "bench": plan.bench.name,
        "cell": plan.cell.type,
        "sample": None if plan.sample is None else plan.sample.id,
        "mode": plan.mode,
        "simulated": plan.simulated,
        "channel": {**asdict(channel), "interlocks": dict(channel.interlocks)},
        "points": {device: list(points) for device, points in plan.points.items()},
        "values": {name: _number(value) for name, value in sorted(plan.values.items())},
        "parameters": [asdict(parameter) for parameter in plan.parameters],
        "sample_mass_kg": plan.sample_mass_kg,
        "sample_mass_nominal": plan.sample_mass_nominal,
        "limits": [asdict(limit) for limit in plan.limits],
        "stimulus_limits": [asdict(limit) for limit in plan.stimulus_limits],
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


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
