"""Binding: a sequence, a bench and a cell become a plan, in which nothing is left to decide - or every fault at once.

No device is touched. What a plan says about limits, from the sample outwards, stands in ``bench/binding/limits.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sequences
from bench.binding.document import document
from bench.binding.electrical import LimitsAt, RulesAt, electrical
from bench.binding.estimate import estimate, step_seconds
from bench.binding.evidence import Evidence, evidence
from bench.binding.faults import Findings
from bench.binding.guarding import energised_at_most_s, shown_spans
from bench.binding.limits import Margins
from bench.binding.points import Models, bind_roles, bound_channel, equip, used_points
from bench.binding.route import Route, route
from bench.binding.shapes import BoundChannel, BoundParameter, Estimate, GuardLimit, Point, Poll
from bench.binding.steps import Reach, where_is
from bench.binding.taking_away import takes_away
from bench.binding.values import bind_parameters, cell_values, entries_of, simulated_entries
from bench.config import BenchFile, CellFile
from bench.rules.shapes import RuleSpec
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

    ``channel`` is the bench's channel at the place where the run starts, ``places`` the same at every place that the
    run visits, the start first. ``values`` holds ``cell.*``, ``param.*`` and ``run.sample_mass`` for expressions.
    ``device_limits`` leave room for what the steps set. ``points`` are the used points by device, ``polls`` and
    ``watchdogs`` their times. ``entries`` is what an operator will be asked for, ``simulated_entries`` what the
    simulated one says. ``spans`` are what each channel's instrument can show, ``energised_at_most_s`` how long anything
    may be energised, ``takes_away`` says of each stimulus step what takes its energy away and by when.
    """

    sequence: Sequence
    bench: BenchFile
    cell: CellFile
    sample: Sample | None
    mode: Mode
    simulated: bool
    places: Mapping[str, BoundChannel]
    route: Route
    points: Mapping[str, tuple[str, ...]]
    values: Mapping[str, float]
    parameters: tuple[BoundParameter, ...]
    sample_mass_kg: float
    sample_mass_nominal: bool
    limits_at: LimitsAt
    rules_at: RulesAt
    spans: Mapping[str, tuple[float, float]]
    energised_at_most_s: float
    takes_away: tuple[str, ...]
    device_limits: TerminalLimits
    margins: Margins
    polls: Mapping[str, Poll]
    watchdogs: Mapping[str, float]
    entries: tuple[Entry, ...]
    simulated_entries: Mapping[str, float | str]
    evidence: Evidence
    estimated: Estimate
    warnings: tuple[str, ...]
    reaches: Mapping[str, Reach]

    @property
    def channel(self) -> BoundChannel:
        return self.places[self.route.start]

    @property
    def limits(self) -> tuple[GuardLimit, ...]:
        """Those of conditioning in the start place."""
        return self.limits_in(self.route.start, Phase.CONDITIONING)

    def limits_in(self, place: str, phase: Phase) -> tuple[GuardLimit, ...]:
        """What the guard holds everything to while the sample is at this place in this phase.

        In stimulus and observation of an abuse sequence the sample's are its abuse ceilings, and the place's those that
        it is built for. Raises KeyError for a place that the run does not visit.
        """
        return self.limits_at[place, phase]

    def rules_in(self, place: str, phase: Phase) -> tuple[RuleSpec, ...]:
        """The guard's rules beyond limits, as :meth:`limits_in`."""
        return self.rules_at[place, phase]

    @property
    def reach(self) -> Reach:
        """What bounds set values in the start place; the cycler's part holds everywhere."""
        return self.reaches[self.route.start]

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices of this run, in the bench file's order."""
        return tuple(self.points)

    @property
    def feedbacks(self) -> tuple[str, ...]:
        """The feedback of every contactor that the run may close, and of every short contactor."""
        each = (name for place in self.places.values() for name in (place.contactor_feedback, place.short_feedback))
        return tuple(dict.fromkeys(name for name in each if name is not None))

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
        number = self._number(step)
        place = self.route.start if number is None else self.route.at[number]
        return self.reaches[place].check(step, setpoints, self.where(step))

    def step_seconds(self, step: Step) -> float:
        """How long a step is expected to take."""
        return step_seconds(step, self.values)

    def where(self, step: Step) -> str:
        """A step's place in the sequence, for messages."""
        found = self._number(step)
        return f"{self.sequence.id}: {step.kind}" if found is None else where_is(self.sequence, found, step)

    def _number(self, step: Step) -> tuple[int, ...] | None:
        return next((number for number, its in numbered(self.sequence.steps) if its is step), None)

    def document(self) -> dict[str, Any]:
        """Everything that was decided, as plain JSON data (plan.json of a bundle)."""
        return document(self)


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
    findings.need(
        bench.maintenance is None,
        f"the bench is in maintenance: {bench.maintenance}",
        bench.where("maintenance"),
        "finish the work, then take the line out of the bench file",
    )
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
    way = route(sequence, bench, name, findings)
    places = {place: bound_channel(bench, name, place) for place in way.places}
    _class_allowed(sequence, bench, cell, places[way.start], findings)
    for channel_there in places.values():
        _sensed(bench, channel_there, findings)
    used = used_points(bench, places.values())
    fixed = electrical(sequence, cell, equipment, way, places, used, values, findings, live=not simulated)
    if findings.faults or fixed is None:
        raise ConfigError(findings.faults)
    proof = evidence(sequence, bench, places.values(), simulated=simulated)
    if proof.uncertified:
        findings.warn(f"no certificate for {', '.join(proof.uncertified)}: whether calibration is in date is unknown")
    if nominal:
        findings.warn(f"the mass {mass_kg:g} kg is NOMINAL, from the cell file: no sample was weighed")
    stored_values = sum(len(points) for points in used.values()) + 2
    estimated = estimate(sequence, values, fixed.reaches[way.start].windows[Phase.CONDITIONING], stored_values)
    return Plan(
        sequence=sequence,
        bench=bench,
        cell=cell,
        sample=sample,
        mode=mode,
        simulated=simulated,
        places=places,
        route=way,
        points=used,
        values=values,
        parameters=parameters,
        sample_mass_kg=mass_kg,
        sample_mass_nominal=nominal,
        limits_at=fixed.limits_at,
        rules_at=fixed.rules_at,
        spans=shown_spans(equipment, places.values()),
        energised_at_most_s=energised_at_most_s(sequence, estimated.seconds, bench.guard.time),
        takes_away=takes_away(sequence, equipment, way, places, fixed.polls, fixed.watchdogs),
        device_limits=fixed.device_limits,
        margins=fixed.margins,
        polls=fixed.polls,
        watchdogs=fixed.watchdogs,
        entries=entries,
        simulated_entries=answered,
        evidence=proof,
        estimated=estimated,
        warnings=findings.warnings,
        reaches=fixed.reaches,
    )


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
        known = {"destroyed": "test another sample", "under_test": "its run goes on, or was interrupted: close it"}
        fix = known.get(sample.state.value, "release it from quarantine first")
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
