"""Giving an interrupted run up: the bench made safe, the record closed with what it has, the sample kept from harm."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import sequences
from bench import bundle, record
from bench.cause import EndKind
from bench.claim import note_use
from bench.config import load_bench, load_cell, wire_keys
from bench.data_folder import DataFolder
from bench.hold import hold
from bench.judging import settle
from bench.latch import Latches
from bench.latch_owed import put_owed, told
from bench.log import RunLog
from bench.open_runs import OpenRuns, order_of
from bench.outcome import EndedBy, Outcome
from bench.plan import bind
from bench.record import Record
from bench.results import FaultRow, RunResult, SampleUsed, run_result
from bench.resumption import gathered
from bench.safe_state import SafeResult
from bench.samples import SampleState
from bench.station import Station
from drivers import BenchError, Clock, ConfigError, Fault, RecordError, real_elapsed_s, system_clock
from drivers.wires import Flight
from sequences.language import Phase, Sequence

RULE = "interrupted"
#: What sealing makes; a seal that was broken off left some of it.
_DERIVED = ("values.json", "result.json", "report.html", "SHA256SUMS", "*.bdf.csv", "*.bdf.metadata.json", "*.part")


def close_run(
    folder: Path,
    *,
    by: str,
    note: str,
    data: Path | None,
    environment: Mapping[str, str],
    made_safe: Callable[[], list[Fault]] | None = None,
) -> RunResult:
    """Close an interrupted bundle. Raises ConfigError (no name, no bundle, closed), BenchHeld, RecordError.

    A bench that cannot be made safe does not keep the record open: the result's faults say so, loudly. ``made_safe``
    is for a program that has the bench open itself; it gives what was found.
    """
    if not by.strip():
        raise ConfigError([Fault("closing a run needs a name", "--by", 'write for example --by "Wang Fang"')])
    if (folder / bundle.MANIFEST).exists():
        raise ConfigError([Fault("the run is closed", str(folder), "there is nothing to close")])
    kept = record.load(folder)
    if not kept.events:
        raise ConfigError([Fault("its record holds nothing", str(folder), "delete the folder")])
    where = DataFolder.choose(data, environment)
    faults: list[Fault] = []
    if not kept.header.get("virtual_time"):
        note_use(folder, where, environment)
        faults += _made_safe(folder, where) if made_safe is None else made_safe()
        latch = put_owed(folder, Latches(where.path))  # before the record is closed: then nobody would ask any more
        faults += [] if latch is None else [told(latch)]
    return _closed(folder, kept, where, by.strip(), note, faults)


def _closed(folder: Path, kept: Record, data: DataFolder, by: str, note: str, faults: list[Fault]) -> RunResult:
    clock = system_clock(lambda: _later(kept))
    key = data.seal_key()
    sequence = sequences.expand(sequences.parse((folder / "sequence.yaml").read_text(), str(folder / "sequence.yaml")))
    outcome = _outcome(kept, sequence, by)
    log = RunLog.reopen(folder, clock, durable=bool(kept.header.get("durable", True)))
    try:
        ended = outcome.ended_by
        log.event("closed", by=by, note=note, faults=[fault.error for fault in faults])
        if next(kept.of("ending"), None) is None:
            log.event("ending", cause=ended.kind, rule=ended.rule)
        log.event("verdict", verdict=outcome.verdict, phase=ended.phase, ended_by=ended.kind, rule=ended.rule)
        for pattern in _DERIVED:
            for path in folder.glob(pattern):
                path.unlink()
    except BaseException:
        log.abandon()
        raise
    plan = kept.json(record.PLAN)
    result = run_result(
        outcome,
        run_id=str(kept.header["run_id"]),
        bundle=str(folder),
        mode="live" if kept.header["mode"] == "live" else "simulated",
        wall_s=0.0,
        sample=SampleUsed(
            id=str(kept.header.get("sample")),
            mass_kg=float(plan.get("sample_mass_kg", 0.0)),
            mass_is_nominal=bool(plan.get("sample_mass_nominal", True)),
        ),
    )
    result = result.model_copy(update={"faults": [FaultRow.of(fault) for fault in faults]})
    values = {name: _plain(value) for name, value in sorted(outcome.values.items())}
    bundle.put(folder, bundle.VALUES, values)
    bundle.seal(log, result, key=key)
    OpenRuns(data.path).end(result.run_id)
    return _kept_sample(result, kept, data)


def _outcome(kept: Record, sequence: Sequence, by: str) -> Outcome:
    """The verdict by the rules of an abort, on what the record holds."""
    static = kept.json(record.PLAN)["values"]
    values: dict[str, float | tuple[float, ...]] = {name: _number(value) for name, value in static.items()}
    values |= gathered(kept, sequence)
    at_end = kept.json(bundle.VALUES)  # of a run that died in being sealed
    values |= {name: tuple(map(_number, it)) if isinstance(it, list) else _number(it) for name, it in at_end.items()}
    begun = list(kept.of("step_started", "step_resumed"))
    phase = str(begun[-1].data["phase"]) if begun else None
    was = next(kept.of("ending"), None)
    kind = EndKind.PERSON if was is None else EndKind(str(was.data["cause"]))
    rule = f"{RULE}, closed by {by}" if was is None else was.data.get("rule")
    if kind is EndKind.COMPLETED:  # it had come to its end, and its program died in closing
        rule = None
    device = None if was is None else was.data.get("device")
    settled = settle(sequence, values, ended=kind.value, phase=phase)
    return Outcome(
        verdict=settled.verdict,
        ended_by=EndedBy(phase, kind, rule, device),
        criteria=settled.criteria,
        results=settled.results,
        plant_truth=None,
        test_s=max(0.0, kept.events[-1].mono_s - kept.start_s),
        safe_state=SafeResult("interrupted", (), isolated=False, took_s=0.0),
        awaiting=settled.awaiting,
        values=values,
        stimulated=_stimulated(kept),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _stimulated(kept: Record) -> bool:
    """Whether the stimulus reached the sample, or nobody can say that it did not."""
    begun = any(event.data.get("phase") == Phase.STIMULUS.value for event in kept.of("step_started"))
    return begun or next(kept.of("contact"), None) is not None


def _kept_sample(result: RunResult, kept: Record, data: DataFolder) -> RunResult:
    """The sample's record says that it was in this run; one that may have had its stimulus is never energised again."""
    sample = result.sample
    if kept.header["mode"] != "live" or sample is None:
        return result
    changes: dict[str, Any] = {"state": SampleState.QUARANTINED} if _stimulated(kept) else {}
    try:
        known = data.samples.show(sample.id)
        if known.state is SampleState.DESTROYED:
            changes = {}
        data.samples.add_run(sample.id, result.run_id, **changes)
    except (ConfigError, RecordError) as error:
        faults = [*result.faults, *(FaultRow.of(fault) for fault in error.faults)]
        return result.model_copy(update={"faults": faults})
    return result


def _made_safe(folder: Path, data: DataFolder) -> list[Fault]:
    """Make the run's bench safe, and say what was found. What keeps it from that is said too, never raised - but a
    bench that a live run holds is (BenchHeld)."""
    isolate = "isolate the sample by hand before anyone approaches; nobody has seen this bench safe"
    try:
        was = order_of(folder)
        bench, cell = load_bench(was["bench"]), load_cell(was["cell"])
        where = folder / "sequence.yaml"
        sequence = sequences.parse(where.read_text(), str(where), distributions=bench.distributions)
        sample = None if was.get("sample") is None else data.samples.show(was["sample"])
        if sample is not None:
            sample = sample.model_copy(update={"state": SampleState.RECEIVED})  # nothing is energised
        plan = bind(
            sequence,
            bench,
            cell,
            channel=was.get("channel"),
            overrides=was.get("overrides") or {},
            mode="live",
            sample=sample,
        )
    except (BenchError, OSError) as error:
        said = error.faults[0].error if isinstance(error, BenchError) else str(error)
        return [Fault(f"the bench was not made safe: {said}", str(folder), isolate)]

    async def main() -> list[Fault]:
        clock = system_clock(asyncio.get_running_loop().time)
        async with Station(plan, clock, urls={}, flight=Flight(), simulated=False) as station:
            return list((await hold(station))[1])

    with data.lock(wire_keys(bench, plan.devices), bench=Path(was["bench"]), run="close", start_utc_s=_wall().utc_s()):
        try:
            return asyncio.run(main())
        except BenchError as error:
            return [Fault(f"the bench was not made safe: {it.error}", it.where, isolate) for it in error.faults]


def _later(kept: Record) -> float:
    """The record's own clock goes on from its last word: a computer that booted counts from zero."""
    last = kept.events[-1]
    return last.mono_s + max(0.0, _wall().utc_s() - last.utc_s)


def _wall() -> Clock:
    return system_clock(real_elapsed_s)


def _plain(value: float | tuple[float, ...]) -> float | list[float | None] | None:
    if isinstance(value, tuple):
        return [it if math.isfinite(it) else None for it in value]
    return value if math.isfinite(value) else None
