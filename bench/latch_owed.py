"""The latch that a run owes whose program died between its trip and the latch: put from what its record says.

While a program lives it latches what ``bench/after_trip.py`` says, once the safe state has ended. One that was killed
before has left the trip on the record and a bench that the guardian made safe, and nothing that keeps the next run from
it. Whoever meets the interrupted run (a start that is refused, ``cellbench resume``, ``cellbench close``) puts the
latch then. It names the same first cause, and is put once: what a person has acknowledged is not latched again. A run
that was resumed after that may trip once more: what is on its record since it was reopened is looked at by itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.cause import STOPPED, Cause, EndKind, is_fire
from bench.event_files import read_events
from bench.latch import Latch, Latches, latch_of, latching
from bench.open_runs import OpenRun
from bench.record import PLAN
from bench.safe_state import MadeSafe, SafeResult
from drivers.errors import Fault, RecordError

Events = Sequence[Mapping[str, Any]]


def put_owed(bundle: Path, latches: Latches) -> Latch | None:
    """Latch the bench for this interrupted run, if it owes that; gives the latch that was put. Raises RecordError."""
    latch = owed(bundle)
    if latch is not None:
        latch = owed(bundle, after_s=latches.acknowledged_s(latch.bench, latch.run_id))
    if latch is not None:
        latches.put(latch)
    return latch


def owed_by(runs: Iterable[OpenRun], data: Path) -> tuple[Fault, ...]:
    """The same for every run of a bench whose start is refused: what a person must be told of it. Never raises."""
    faults: list[Fault] = []
    for run in runs:
        try:
            latch = put_owed(run.bundle, Latches(data))
        except RecordError as error:
            faults += error.faults
        else:
            faults += [] if latch is None else [told(latch)]
    return tuple(faults)


def told(latch: Latch) -> Fault:
    """What a person must know who meets the interrupted run."""
    return Fault(
        f"its program died before its trip was latched; the bench is latched: {latch.text()}",
        latch.bundle,
        'mend the cause, then `cellbench ack --bench FILE --by "your name"`',
    )


def owed(bundle: Path, *, after_s: float = -math.inf) -> Latch | None:
    """What the record of a dead run calls for and its program did not come to: the first that began after this time,
    s UTC. None also for a run in virtual time, whose bench is gone. Raises RecordError if the record cannot be read."""
    try:
        events: Events = read_events(bundle).records
        header = events[0]["data"] if events else {}
        plan = _plan(bundle)
        if header.get("virtual_time"):
            return None
        tripped = next((it for it in map(_tripped, _unlatched(events)) if it is not None and it[2] > after_s), None)
        if tripped is None:
            return None
        cause, safe, utc_s = tripped
        run_id = str(header["run_id"])
        return latch_of(plan, cause, safe, bench=header["bench"], run_id=run_id, bundle=str(bundle), utc_s=utc_s)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        fix = "look at the bench; `cellbench verify` says how far the record is good"
        raise RecordError(f"whether it tripped cannot be read: {error}", str(bundle), fix) from error


def _unlatched(events: Events) -> list[Events]:
    """What each program put on the record that had the run after the last one that latched the bench."""
    programs: list[list[Mapping[str, Any]]] = [[]]
    for event in events:
        if event["kind"] == "reopened":
            programs.append([])
        programs[-1].append(event)
    latched = max((at for at, its in enumerate(programs) if _of(its, "latched")), default=-1)
    return list(programs[latched + 1 :])


def _tripped(events: Events) -> tuple[Cause, SafeResult, float] | None:
    """What is to be latched, what became of it and when it began, by the rules of a program that lives; None where that
    is nothing."""
    samples = list(_all(events, "sample_event"))
    trip, later = _of(events, "trip", "stop"), _of(events, "bench_event")
    spoke = next((it for it in samples if is_fire(it["data"]["rule"])), None)
    begun = next((it for it in (trip, later, spoke, _of(events, "safe_state")) if it is not None), None)
    if begun is None:
        return None
    # only from the stimulus on is an event of the sample noted by itself
    of_test = trip is not None and any(it["data"]["rule"] == trip["data"]["rule"] for it in samples)
    safe = _made_safe(events)
    cause = latching(_cause(trip), _cause(later), _cause(spoke), safe, of_test=of_test)
    return None if cause is None else (cause, safe, float(begun["utc_s"]))


def _cause(event: Mapping[str, Any] | None) -> Cause | None:
    if event is None:
        return None
    data = event["data"]
    rule = f"{data['rule']}{STOPPED}" if event["kind"] == "stop" else data["rule"]
    return Cause(EndKind(data["cause"]), rule, data["device"], data["value"], data["limit"])


def _made_safe(events: Events) -> SafeResult:
    """What the record says of the safe state; one that is not on it was confirmed by nobody."""
    ended = _of(events, "safe_state")
    if ended is None:
        error = "the program died before the safe state was confirmed"
        nobody = MadeSafe("the bench", "safe state", confirmed=False, error=error)
        return SafeResult("trip", (nobody,), isolated=False, took_s=0.0)
    data = ended["data"]
    parts = tuple(MadeSafe(it["device"], it["what"], it["confirmed"], it["error"]) for it in data["parts"])
    return SafeResult("trip", parts, data["isolated"], data["took_s"])


def _of(events: Events, *kinds: str) -> Mapping[str, Any] | None:
    return next(iter(_all(events, *kinds)), None)


def _all(events: Events, *kinds: str) -> Iterable[Mapping[str, Any]]:
    return (it for it in events if it["kind"] in kinds)


def _plan(bundle: Path) -> Mapping[str, Any]:
    """The run's plan; empty where it is not there or is none: the bench is latched all the same."""
    try:
        found = json.loads((bundle / PLAN).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
