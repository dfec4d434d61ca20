"""One run, from what a person asked for to a sealed bundle: every part meets here, and nowhere else."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeVar

import sequences
from bench import bundle, engine, faulted, run_sample
from bench.after_trip import OnTrip, not_latched
from bench.answers import Answers, GivenAnswers, HeardAnswers, SimulatedOperator
from bench.answers_file import Asked, answers_from_file
from bench.cause import Cause
from bench.claim import claim
from bench.config import load_bench, load_cell
from bench.data_folder import DataFolder
from bench.guardian.link import NoGuardian, Supervised, inherited_link
from bench.hands import BorrowedHands
from bench.house import House
from bench.latch import Latches, latch_of
from bench.means import Hands
from bench.notebook import TruthProbe
from bench.observing import Message, Observer, nobody
from bench.open_runs import OpenRuns
from bench.plan import Plan, bind
from bench.recorder import RecordedChannels, Recorder
from bench.results import FaultRow, RunResult, SampleUsed, run_result
from bench.resume import gap_fault, resumption
from bench.resumption import Resumption
from bench.run_record import open_record, own_sample, sample_id
from bench.safe_planning import contactors, safe_plan
from bench.safe_state import SafeResult
from bench.samples import Sample
from bench.sealing import sealed
from bench.simulated import SceneSpec, SimulatedBench, Strike, in_virtual_time, scene_spec, virtual_bench
from bench.station import Station
from bench.stop_signals import stop_signals
from drivers import Clock, ConfigError, Fault, RecordError, real_elapsed_s, system_clock
from drivers.wires import Flight, Wire
from sequences.names import JUDGEMENT

Mode = Literal["simulated", "live"]
T = TypeVar("T")


@dataclass(frozen=True)
class Order:
    """What a person asked for, as they wrote it.

    ``start_utc_s`` is where a simulated run's wall clock begins; ``answers`` a file of entries, judgements and leave.
    """

    sequence: str
    bench: Path
    cell: Path
    simulate: bool
    channel: str | None = None
    sample: str | None = None
    operator: str | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    seed: int = 1
    speed: float | None = None
    start_utc_s: float = 0.0
    data: Path | None = None
    out: Path | None = None
    answers: Path | None = None
    faults: Path | None = None
    #: The bundle of an interrupted run that is to go on; ``scan`` is its sample's id, scanned again.
    resume: Path | None = None
    scan: str | None = None
    auto: bool = False


@dataclass(frozen=True)
class Prepared:
    """An order that was found fine, before any device was touched. ``answers`` are those of the order's file."""

    order: Order
    plan: Plan
    data: DataFolder
    sample: Sample | None
    sequence_text: str
    mode: Mode
    answers: GivenAnswers | None = None
    strikes: tuple[Strike, ...] = ()
    resumption: Resumption | None = None


@dataclass(frozen=True)
class FarEnd:
    """Where the bytes go and what time it is there. ``hands`` carry the sample where it is simulated; ``link`` is that
    to the run's guardian, which has ``lent`` wires, by key; ``house`` the program that carries out several runs."""

    clock: Clock
    urls: Mapping[str, str]
    flight: Flight
    simulated: bool
    truth: TruthProbe | None = None
    hands: Hands | None = None
    forced_jumps: Callable[[], int] = lambda: 0
    link: Supervised = field(default_factory=NoGuardian)
    lent: Mapping[str, Wire] = field(default_factory=dict)
    house: House | None = None


def prepare(order: Order, environment: Mapping[str, str]) -> Prepared:
    """Read the files, bind the plan. Raises ConfigError with the faults of all of them at once."""
    faults: list[Fault] = []
    data = DataFolder.choose(order.data, environment)
    bench = _tried(lambda: load_bench(order.bench), faults)
    cell = _tried(lambda: load_cell(order.cell), faults)
    libraries = () if bench is None else bench.distributions
    source = _tried(lambda: sequences.source(order.sequence, distributions=libraries), faults)
    sequence = (
        None
        if source is None
        else _tried(lambda: sequences.parse(source.text, source.where, distributions=libraries), faults)
    )
    wanted = order.sample
    sample = None if wanted is None else _tried(lambda: data.samples.show(wanted), faults)
    if faults or bench is None or cell is None or source is None or sequence is None:
        raise ConfigError(faults)
    plan = bind(
        sequence,
        bench,
        cell,
        channel=order.channel,
        overrides=order.overrides,
        mode="simulated" if order.simulate else "live",
        sample=sample,
    )
    strikes: tuple[Strike, ...] = ()
    if order.simulate:
        scene = _spec(plan, order.seed)  # what the simulators refuse is refused now
        strikes = () if order.faults is None else faulted.load(order.faults, scene, plan.sequence)
    mode: Mode = "simulated" if plan.simulated else "live"
    prepared = Prepared(order, plan, data, sample, source.text, mode, strikes=strikes)
    if order.resume is not None:
        prepared = replace(prepared, resumption=resumption(order.resume, plan))
    return prepared if order.answers is None else _with_answers(prepared, order.answers)


def _with_answers(prepared: Prepared, path: Path) -> Prepared:
    """With the answers of a file, each fit for what the sequence asks; a missing one is a warning."""
    plan = prepared.plan
    asked = Asked.by(plan.sequence, plan.entries)
    answers = answers_from_file(path, asked, simulated=plan.simulated, sample=sample_id(prepared))
    open_ = [
        f"{path} has no answer for {name}: what needs it stays unmeasured" for name in answers.without(plan.entries)
    ]
    names = sorted(set(asked.questions.values()) - set(answers.judged))
    open_ += [f"{path} has no answer for {name}: it awaits a person's judgement" for name in names]
    if answers.permits and not plan.simulated:
        leave = ", ".join(sorted(answers.permits))
        open_.append(f"{path} gives leave to {leave}: not on real devices; a person at the bench is asked")
    return replace(prepared, plan=replace(plan, warnings=(*plan.warnings, *open_)), answers=answers)


def _tried(read: Callable[[], T], faults: list[Fault]) -> T | None:
    try:
        return read()
    except ConfigError as error:
        faults.extend(error.faults)
        return None


def _spec(plan: Plan, seed: int) -> SceneSpec:
    return scene_spec(plan.bench, plan.cell, channel=plan.channel.name, mass_kg=plan.cell.mass_kg, seed=seed)


def run_simulated(
    prepared: Prepared,
    answers: Answers,
    observer: Observer = nobody,
    *,
    arrange: Callable[[SimulatedBench], None] | None = None,
) -> RunResult:
    """Carry a prepared run out against simulated devices in virtual time.

    ``arrange`` is handed the simulated bench before the first byte: what is to break in this run is set up there.
    """

    async def main() -> RunResult:
        order = prepared.order
        async with virtual_bench(_spec(prepared.plan, order.seed), start_utc_s=order.start_utc_s) as bench:
            if arrange is not None:
                arrange(bench)
            if prepared.strikes:
                with faulted.struck(prepared.strikes, bench, observer, seed=order.seed) as script:
                    work = carry_out(prepared, far_end_of(bench), answers, script.observer)
                    result = await asyncio.get_running_loop().create_task(work, name="run")
                    missed = [FaultRow.of(fault) for fault in script.missed()]
                    return result.model_copy(update={"faults": [*result.faults, *missed]})
            return await carry_out(prepared, far_end_of(bench), answers, observer)

    return in_virtual_time(main(), speed=prepared.order.speed)


def run_live(prepared: Prepared, answers: Answers, observer: Observer = nobody) -> RunResult:
    """Carry a prepared run out on the bench file's own wires, each locked before the first byte; the guardian, whose
    child this process must be, holds the locks as well. Raises DeviceError without one, BenchHeld, RecordError."""

    async def main() -> RunResult:
        clock, order = system_clock(asyncio.get_running_loop().time), prepared.order
        with claim(
            prepared.data,
            prepared.plan.bench,
            order.bench,
            devices=prepared.plan.devices,
            run=prepared.plan.sequence.id,
            start_utc_s=clock.utc_s(),
            environment=os.environ,
            resuming=order.resume,
        ) as lock:
            for fault in lock.warnings:
                observer(Message(f"{fault.error}; {fault.fix}", loud=True))
            async with inherited_link(os.environ) as link:
                link.holding(lock.handles)
                devices = prepared.plan.bench.devices
                lent = link.lent(devices[name].url for name in contactors(prepared.plan))
                hands = _standing_hands(prepared.plan)
                far = FarEnd(clock, {}, Flight(), simulated=False, hands=hands, link=link, lent=lent)
                result = await carry_out(prepared, far, answers, observer)
                told = map(FaultRow.of, lock.warnings)
                return result.model_copy(update={"faults": [*result.faults, *told]})

    return asyncio.run(main())


def _standing_hands(plan: Plan) -> Hands | None:
    """Those of a standing bench; on hardware a person carries."""
    url = plan.bench.simulation.hands
    return BorrowedHands(url) if url is not None and plan.bench.far_end == "simulated" else None


def far_end_of(bench: SimulatedBench) -> FarEnd:
    """The product's side of a simulated bench."""
    return FarEnd(
        bench.clock,
        bench.urls,
        bench.flight,
        simulated=True,
        truth=bench.truth,
        hands=bench.hands,
        forced_jumps=bench.forced_jumps,
    )


async def carry_out(prepared: Prepared, far: FarEnd, answers: Answers, observer: Observer = nobody) -> RunResult:
    """Connect, run, seal. Raises DeviceError if a device does not answer as it must (nothing was recorded then) and
    RecordError if the record cannot be begun or closed; what happens in between is in the result."""
    plan, begun_s, heard = prepared.plan, real_elapsed_s(), HeardAnswers(_at_bench(answers, prepared, far))
    key = prepared.data.seal_key()  # now: no run ends with a bundle that cannot be signed
    house = far.house
    with stop_signals() if house is None else nullcontext(house.stop) as stop:
        async with _station(plan, far) as station:
            run_id, folder, log, resumed = await open_record(prepared, far, station, heard, observer)
            shift_s = 0.0 if resumed is None else resumed.shift_s
            touched = run_sample.Touched(prepared.data.samples, own_sample(prepared))
            try:
                recorder = Recorder(log, _recorded(plan, station), shift_s=shift_s)
                await far.link.arm(safe_plan(plan, far.urls), folder)
                outcome = await engine.run(
                    plan,
                    station,
                    log,
                    recorder,
                    answers=heard,
                    truth=far.truth,
                    stop=stop,
                    observer=observer,
                    hands=far.hands,
                    on_trip=_latching(prepared, run_id, folder, far),
                    link=far.link,
                    on_stimulus=touched,
                    resumed=resumed,
                    house=house,
                )
                await far.link.release()
                await touched.settle()
            except BaseException:
                log.close()
                raise
        jumps = far.forced_jumps()
        if jumps and log.failed is None:
            log.event("forced_jumps", count=jumps)
        result = run_result(
            outcome,
            run_id=run_id,
            bundle=str(folder),
            mode=prepared.mode,
            wall_s=real_elapsed_s() - begun_s,
            sample=SampleUsed(
                id=sample_id(prepared), mass_kg=plan.sample_mass_kg, mass_is_nominal=plan.sample_mass_nominal
            ),
            entered=_entered(plan, heard),
        )
        told = [*([] if resumed is None else [gap_fault(resumed)]), *touched.faults]
        if told:
            result = result.model_copy(update={"faults": [*result.faults, *(FaultRow.of(fault) for fault in told)]})
        try:
            bundle.put(folder, bundle.VALUES, _plain(outcome.values))
            async with nullcontext() if house is None else house.sealing:
                await sealed(log, result, key=key)
        except RecordError as error:
            faults = [*result.faults, *(FaultRow.of(fault) for fault in error.faults)]
            return result.model_copy(update={"exit_code": 4, "verdict": "error", "faults": faults})
        OpenRuns(prepared.data.path).end(run_id)
        try:
            sample = own_sample(prepared)
            if sample is not None:
                run_sample.keep(prepared.data.samples, sample, run_id, outcome)
        except (ConfigError, RecordError) as error:  # the run stands as it was sealed; only the sample missed it
            faults = [*result.faults, *(FaultRow.of(fault) for fault in error.faults)]
            return result.model_copy(update={"faults": faults})
        return result


def _station(plan: Plan, far: FarEnd) -> Station:
    if far.house is not None:
        return far.house.station(plan)
    return Station(plan, far.clock, urls=far.urls, flight=far.flight, simulated=far.simulated, lent=far.lent)


def _latching(prepared: Prepared, run_id: str, folder: Path, far: FarEnd) -> OnTrip:
    """Where a trip is latched: in the data folder, unless the bench is gone with its run."""
    if prepared.mode == "simulated" and far.truth is not None and far.house is None:
        return not_latched
    latches = Latches(prepared.data.path)

    def put(cause: Cause, safe: SafeResult) -> None:
        utc_s = far.clock.utc_s()
        plan = prepared.plan
        latch = latch_of(
            plan.document(), cause, safe, bench=plan.bench.name, run_id=run_id, bundle=str(folder), utc_s=utc_s
        )
        latches.put(latch)

    return put


def _at_bench(answers: Answers, prepared: Prepared, far: FarEnd) -> Answers:
    """Simulated people see the bench that they stand at: its sample, and what becomes of the cell."""
    if not isinstance(answers, SimulatedOperator):
        return answers
    truth, channel = far.truth, prepared.plan.channel.name
    seen = None if truth is None else lambda: truth.seen(channel)
    return answers.at_bench(sample=sample_id(prepared), seen=seen)


def _plain(values: Mapping[str, float | tuple[float, ...]]) -> dict[str, float | list[float | None] | None]:
    """Values as JSON has them: one that is no number is null."""

    def number(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        name: [number(turn) for turn in value] if isinstance(value, tuple) else number(value)
        for name, value in sorted(values.items())
    }


def _recorded(plan: Plan, station: Station) -> RecordedChannels:
    """Every channel of the station, the channel's own roles first."""
    channel = plan.channel
    return RecordedChannels(
        voltage=channel.voltage,
        current=channel.current,
        ambient=channel.ambient,
        surfaces=channel.surface,
        cell_voltage=channel.cell_voltage,
        elsewhere=tuple(name for place in plan.places.values() for name in place.surface),
        others=tuple(name for device in station.devices.values() for name in device.channels),
    )


def _entered(plan: Plan, answers: HeardAnswers) -> dict[str, str]:
    """By criterion, who entered or judged what it rests on; nobody did where an answer is missing."""
    said = {f"entry.{name}": by for name, by in answers.heard.items()}
    said |= {f"{JUDGEMENT}{name}": by for name, by in answers.judged.items()}
    asked = {
        criterion.id: {name for name in criterion.value.names if name.startswith(("entry.", JUDGEMENT))}
        for criterion in plan.sequence.criteria
    }
    return {
        identity: ", ".join(dict.fromkeys(said[name] for name in sorted(names)))
        for identity, names in asked.items()
        if names and names <= set(said)
    }
