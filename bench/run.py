"""One run, from what a person asked for to a sealed bundle: every part meets here, and nowhere else."""

from __future__ import annotations

import asyncio
import platform
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeVar

import sequences
from bench import bundle, engine
from bench.answers import Answers, GivenAnswers, HeardAnswers, answers_from_file
from bench.config import load_bench, load_cell, wire_keys
from bench.data_folder import DataFolder, check_space
from bench.log import RunLog
from bench.notebook import TruthProbe
from bench.observing import Observer, nobody
from bench.plan import Plan, bind
from bench.recorder import RecordedChannels, Recorder
from bench.results import FaultRow, RunResult, SampleUsed, run_result
from bench.samples import Sample, SampleDimensions, SampleState
from bench.simulated import SceneSpec, SimulatedBench, in_virtual_time, scene_spec, virtual_bench
from bench.station import Station
from drivers import Clock, ConfigError, Fault, RecordError, real_elapsed_s, system_clock
from drivers.wires import Flight

Mode = Literal["simulated", "live"]
T = TypeVar("T")

#: Versions that a record should name.
LIBRARIES = ("cellbench", "pymodbus", "pyserial", "pyvisa", "pyvisa-py", "pydantic", "pyarrow")


@dataclass(frozen=True)
class Order:
    """What a person asked for, as they wrote it.

    ``start_utc_s`` is where a simulated run's wall clock begins; ``answers`` a file of the operator's entries.
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


@dataclass(frozen=True)
class FarEnd:
    """Where the bytes go and what time it is there."""

    clock: Clock
    urls: Mapping[str, str]
    flight: Flight
    simulated: bool
    truth: TruthProbe | None = None
    forced_jumps: Callable[[], int] = lambda: 0


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
    if order.simulate:
        _spec(plan, order.seed)  # what the simulators refuse is refused now
    mode: Mode = "simulated" if plan.simulated else "live"
    prepared = Prepared(order, plan, data, sample, source.text, mode)
    return prepared if order.answers is None else _with_answers(prepared, order.answers)


def _with_answers(prepared: Prepared, path: Path) -> Prepared:
    """With the answers of a file, each fit for the entry that the sequence asks for; a missing one is a warning."""
    plan = prepared.plan
    answers = answers_from_file(path, simulated=prepared.order.simulate, entries=plan.entries)
    missing = (
        f"{path} has no answer for {name}: what needs it stays unmeasured" for name in answers.without(plan.entries)
    )
    return replace(prepared, plan=replace(plan, warnings=(*plan.warnings, *missing)), answers=answers)


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
            return await carry_out(prepared, far_end_of(bench), answers, observer)

    return in_virtual_time(main(), speed=prepared.order.speed)


def run_live(prepared: Prepared, answers: Answers, observer: Observer = nobody) -> RunResult:
    """Carry a prepared run out on the bench file's own wires, each locked before the first byte."""

    async def main() -> RunResult:
        clock = system_clock(asyncio.get_running_loop().time)
        keys = wire_keys(prepared.plan.bench, prepared.plan.devices)
        with prepared.data.lock(keys, run=prepared.plan.sequence.id, start_utc_s=clock.utc_s()):
            return await carry_out(prepared, FarEnd(clock, {}, Flight(), simulated=False), answers, observer)

    return asyncio.run(main())


def far_end_of(bench: SimulatedBench) -> FarEnd:
    """The product's side of a simulated bench."""
    return FarEnd(
        bench.clock, bench.urls, bench.flight, simulated=True, truth=bench.truth, forced_jumps=bench.forced_jumps
    )


async def carry_out(prepared: Prepared, far: FarEnd, answers: Answers, observer: Observer = nobody) -> RunResult:
    """Connect, run, seal. Raises DeviceError if a device does not answer as it must (nothing was recorded then) and
    RecordError if the record cannot be begun or closed; what happens in between is in the result."""
    plan, begun_s, heard = prepared.plan, real_elapsed_s(), HeardAnswers(answers)
    with _stop_signals() as stop:
        async with Station(plan, far.clock, urls=far.urls, flight=far.flight, simulated=far.simulated) as station:
            check_space(prepared.order.out or prepared.data.runs, plan.estimated.bytes)
            run_id, folder = prepared.data.new_run(prepared.order.out, plan.sequence.id)
            log = RunLog.create(folder, far.clock, durable=not far.simulated, header=_header(prepared, run_id, far))
            try:
                _put_inputs(folder, prepared)
                recorder = Recorder(log, _recorded(plan, station))
                outcome = await engine.run(
                    plan, station, log, recorder, answers=heard, truth=far.truth, stop=stop, observer=observer
                )
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
                id=_sample_id(prepared), mass_kg=plan.sample_mass_kg, mass_is_nominal=plan.sample_mass_nominal
            ),
            entered=_entered(plan, heard),
        )
        try:
            bundle.seal(log, result)
        except RecordError as error:
            faults = [*result.faults, *(FaultRow.of(fault) for fault in error.faults)]
            return result.model_copy(update={"exit_code": 4, "verdict": "error", "faults": faults})
        try:
            _keep_sample(prepared, result)
        except (ConfigError, RecordError) as error:  # the run stands as it was sealed; only the sample missed it
            faults = [*result.faults, *(FaultRow.of(fault) for fault in error.faults)]
            return result.model_copy(update={"faults": faults})
        return result


def _keep_sample(prepared: Prepared, result: RunResult) -> None:
    """What the sample's record learns from a run on hardware; a simulated cell is not the sample.

    Only a run that came to its own end conditions a sample and says what it holds. Raises ConfigError, RecordError.
    """
    if prepared.mode != "live" or prepared.sample is None:
        return
    changes: dict[str, Any] = {}
    if result.ended_by.kind == "completed":
        changes["state"] = SampleState.CONDITIONED
        if "capacity_ah" in result.results:
            changes["actual_capacity_ah"] = result.results["capacity_ah"].value
    prepared.data.samples.add_run(prepared.sample.id, result.run_id, **changes)


def _put_inputs(folder: Path, prepared: Prepared) -> None:
    """The run's inputs as they were read, and what was decided from them."""
    plan = prepared.plan
    bundle.put(folder, "bench.toml", plan.bench.origin.text)
    bundle.put(folder, "cell.toml", plan.cell.origin.text)
    bundle.put(folder, "sequence.yaml", prepared.sequence_text)
    bundle.put(folder, "plan.json", plan.document())
    sample = prepared.sample or _own_sample(prepared)
    bundle.put(folder, "sample.json", sample.model_dump_json(by_alias=True, indent=1) + "\n")
    versions = {name: version(name) for name in LIBRARIES}
    system = {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine()}
    bundle.put(folder, "environment.json", {**system, "packages": versions})


def _own_sample(prepared: Prepared) -> Sample:
    """The sample that a simulated run makes for itself, as the cell file describes its type: nothing was weighed."""
    cell = prepared.plan.cell
    return Sample(
        id=_sample_id(prepared),
        type=cell.type,
        nominal_mass_kg=cell.mass_kg,
        dimensions=SampleDimensions.model_validate(cell.dimensions.model_dump()),
        fixture=cell.fixture,
        stack_pressure_kpa=cell.fixture_pressure_kpa,
    )


def _sample_id(prepared: Prepared) -> str:
    """The sample's id; a simulated run without one makes its own, which lives in the bundle alone."""
    sample = prepared.sample
    return sample.id if sample is not None else f"{prepared.plan.cell.type}-simulated-{prepared.order.seed}"


def _header(prepared: Prepared, run_id: str, far: FarEnd) -> dict[str, Any]:
    order, plan = prepared.order, prepared.plan
    return {
        "run_id": run_id,
        "mode": prepared.mode,
        "virtual_time": far.simulated,
        "sequence": plan.sequence.id,
        "bench": plan.bench.name,
        "channel": plan.channel.name,
        "cell": plan.cell.type,
        "sample": _sample_id(prepared),
        "operator": order.operator or ("simulated operator" if order.simulate else None),
        "seed": order.seed if order.simulate else None,
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
        others=tuple(name for device in station.devices.values() for name in device.channels),
    )


def _entered(plan: Plan, answers: HeardAnswers) -> dict[str, str]:
    """By criterion, who entered the value that it judges; nobody did where an answer is missing."""
    asked = {
        criterion.id: {name.removeprefix("entry.") for name in criterion.value.names if name.startswith("entry.")}
        for criterion in plan.sequence.criteria
    }
    return {identity: answers.by for identity, names in asked.items() if names and names <= answers.heard}


@contextmanager
def _stop_signals() -> Iterator[asyncio.Event]:
    """Ctrl-C and SIGTERM set the event; a second one sets it again, which changes nothing."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    handled = [number for number in (signal.SIGINT, signal.SIGTERM) if _handle(loop, number, stop)]
    try:
        yield stop
    finally:
        for number in handled:
            loop.remove_signal_handler(number)


def _handle(loop: asyncio.AbstractEventLoop, number: signal.Signals, stop: asyncio.Event) -> bool:
    if threading.current_thread() is not threading.main_thread():
        return False  # an embedding program's thread: only its main thread may take signals
    loop.add_signal_handler(number, stop.set)
    return True
