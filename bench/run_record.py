"""The record that a run begins, or that an interrupted one is taken up in, and what a bundle holds from the start."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import bundle, run_sample
from bench.answers import HeardAnswers
from bench.data_folder import check_space
from bench.hold import hold
from bench.host_room import check_host, measured
from bench.latch_owed import owed_by
from bench.log import RunLog
from bench.observing import Observer
from bench.open_runs import ORDER, OpenRuns, refusal
from bench.resume import order_data, taken_up
from bench.resumption import Resumption
from bench.samples import Sample
from bench.station import Station

if TYPE_CHECKING:
    from bench.run import FarEnd, Prepared

#: Versions that a record should name.
LIBRARIES = ("cellbench", "pymodbus", "pyserial", "pyvisa", "pyvisa-py", "pydantic", "pyarrow")


async def open_record(
    prepared: Prepared, far: FarEnd, station: Station, heard: HeardAnswers, observer: Observer
) -> tuple[str, Path, RunLog, Resumption | None]:
    """The run's record: a new one, or an interrupted one that is taken up. Raises BenchHeld where another run of this
    bench was interrupted; the bench was made safe then."""
    plan, order = prepared.plan, prepared.order
    if prepared.resumption is not None and order.resume is not None:
        log, resumed = await taken_up(
            order.resume,
            prepared.resumption,
            station,
            far.clock,
            sample=sample_id(prepared),
            operator=order.operator or ("cellbench" if order.auto else "operator"),
            scan=order.scan,
            auto=order.auto,
            data=prepared.data.path,
            answers=heard,
            observer=observer,
        )
        heard.heard.update(resumed.heard)
        if far.house is not None:
            far.house.recorded(log)
        return resumed.run_id, order.resume, log, resumed
    house = far.house
    stays = far.truth is None or house is not None  # a bench in virtual time is gone with its run
    open_runs = OpenRuns(prepared.data.path)
    interrupted = open_runs.interrupted(plan.bench.name) if stays and house is None else ()
    if interrupted:
        owed = owed_by(interrupted, prepared.data.path)
        raise refusal(interrupted, (*owed, *(await hold(station))[1]))
    check_space(order.out or prepared.data.runs, plan.estimated.bytes)
    check_host(measured())
    if house is None:
        run_id, folder = prepared.data.new_run(order.out, plan.sequence.id)
    else:
        run_id, folder = house.run_id, house.folder
    log = RunLog.create(folder, far.clock, durable=not far.simulated, header=_header(prepared, run_id, far))
    try:
        _put_inputs(folder, prepared)
        if stays:
            names = ("bench", "cell", "channel", "sample", "operator", "answers")
            fields = {name: getattr(order, name) for name in names}
            bundle.put(folder, ORDER, order_data({**fields, "overrides": dict(order.overrides)}))
            open_runs.begin(run_id, plan.bench.name, folder)
        if house is not None:
            house.recorded(log)
    except BaseException:
        log.close()
        raise
    return run_id, folder, log, None


def own_sample(prepared: Prepared) -> Sample | None:
    """The sample whose record this run changes; a simulated cell is not the sample."""
    return prepared.sample if prepared.mode == "live" else None


def _put_inputs(folder: Path, prepared: Prepared) -> None:
    """The run's inputs as they were read, and what was decided from them."""
    plan = prepared.plan
    bundle.put(folder, "bench.toml", plan.bench.origin.text)
    bundle.put(folder, "cell.toml", plan.cell.origin.text)
    bundle.put(folder, "sequence.yaml", prepared.sequence_text)
    bundle.put(folder, "plan.json", plan.document())
    sample = prepared.sample or run_sample.made_up(sample_id(prepared), plan.cell)
    bundle.put(folder, "sample.json", sample.model_dump_json(by_alias=True, indent=1) + "\n")
    system = {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine()}
    bundle.put(folder, "environment.json", {**system, "packages": _versions()})


@cache
def _versions() -> dict[str, str]:
    """Read off their files once: they are those of this process."""
    return {name: version(name) for name in LIBRARIES}


def sample_id(prepared: Prepared) -> str:
    return run_sample.sample_id(prepared.sample, prepared.plan.cell, prepared.order.seed)


def _header(prepared: Prepared, run_id: str, far: FarEnd) -> dict[str, Any]:
    order, plan = prepared.order, prepared.plan
    return {
        "run_id": run_id,
        "mode": prepared.mode,
        "virtual_time": far.simulated,
        "guardian": far.link.name,
        "sequence": plan.sequence.id,
        "bench": plan.bench.name,
        "channel": plan.channel.name,
        "cell": plan.cell.type,
        "sample": sample_id(prepared),
        "operator": order.operator or ("simulated operator" if order.simulate else None),
        "seed": order.seed if order.simulate else None,
    }
