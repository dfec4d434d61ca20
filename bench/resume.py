"""Taking an interrupted run up again: the hardware first, then the journal, then a person - and only then energy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import record
from bench.answers import SCANNED, Answers
from bench.hold import hold
from bench.log import RunLog
from bench.observing import Message, Observer
from bench.plan import Plan
from bench.resume_auto import authorise
from bench.resume_checks import compared, refused, scanned, span
from bench.resumption import Resumption, read_back, with_gap
from bench.station import Station
from bench.transfer import SCAN
from drivers.clock import Clock
from drivers.errors import ConfigError, Fault
from sequences.language import Confirm, Text

#: Monotonic and wall clock agree this closely about how long a program was dead, if the computer has not booted since.
SAME_BOOT_S = 60.0

SCAN_AGAIN = Text(
    en="The run goes on. Look at the sample in its place and scan it again.",
    zh="试验将继续。请查看样品并重新扫描样品编号。",
)


def resumption(folder: Path, plan: Plan) -> Resumption:
    """Where the run in this bundle may go on under this plan. Raises ConfigError, RecordError."""
    if (folder / "manifest.json").exists():
        raise ConfigError([Fault("the run is closed", str(folder), "there is nothing to resume; run it again")])
    kept = record.load(folder)
    if not kept.events:
        raise ConfigError([Fault("its record holds nothing", str(folder), "run it again")])
    was, now = kept.json(record.PLAN), json.loads(json.dumps(plan.document()))
    other = sorted(key for key in {*was, *now} if was.get(key) != now.get(key))
    if other:
        what = f"the plan is not the one that the run began with: {', '.join(other)} differ"
        fix = (
            "put the bench file, the cell file, the sample's record and the program back as they were, or close the run"
        )
        raise ConfigError([Fault(what, str(folder / record.PLAN), fix)])
    return read_back(kept, plan.sequence)


async def taken_up(
    folder: Path,
    found: Resumption,
    station: Station,
    clock: Clock,
    *,
    sample: str,
    operator: str,
    scan: str | None,
    auto: bool,
    data: Path,
    answers: Answers,
    observer: Observer,
) -> tuple[RunLog, Resumption]:
    """Read and compare, ask for the scan, and open the record again: it holds every check, and who resumed.

    Raises PreflightRefused with every check that does not hold; the bench is safe and holds then, and the run stays
    interrupted. Raises ConfigError where a bench may not resume by itself, DeviceError, RecordError.
    """
    heard, on = await hold(station)
    found = with_gap(found, now_utc_s=clock.utc_s(), who=operator)
    longest_s = station.plan.bench.resume.longest_gap_s
    checks = compared(station.plan, found, heard, station.identities, longest_gap_s=longest_s)
    leave: Mapping[str, Any] = {}
    for check in checks:
        observer(Message(str(check), loud=not check.ok))
    if auto and refused(checks) is None:
        leave = authorise(station.plan, found, data, utc_s=clock.utc_s()).data()
    elif not auto and refused(checks) is None:
        checks = (*checks, scanned(sample, await _scan(scan, answers)))
        observer(Message(str(checks[-1]), loud=not checks[-1].ok))
    shift_s = _shift_s(found, clock)
    log = RunLog.reopen(folder, Clock(lambda: clock.mono_s() + shift_s, clock.utc_s, clock.boot_s), durable=True)
    log.event("found_on_resuming", found=[fault.error for fault in on], checks=[check.data() for check in checks])
    error = refused(checks)
    if error is not None:
        log.event("resume_refused", by=operator, why=[fault.error for fault in error.faults])
        log.abandon()
        raise error
    if leave:
        log.event("authorised_start", **leave)
    log.event(
        "resumed",
        by=operator,
        path=found.where,
        how=found.how,
        gap_s=round(found.gap_s, 3),
        unseen_ah=round(found.unseen_ah, 6),
        auto=auto,
    )
    observer(Message(_said(found)))
    return log, replace(found, row_s=found.row_s - shift_s, shift_s=shift_s)


def _shift_s(found: Resumption, clock: Clock) -> float:
    """What the record's clock is ahead of the loop's: a computer that booted again counts from zero, the record goes on
    by the wall clock. 0 where both agree already."""
    now_s, due_s = clock.mono_s(), found.last_s + found.gap_s
    return 0.0 if now_s >= found.last_s and abs(now_s - due_s) <= SAME_BOOT_S else due_s - now_s


async def _scan(given: str | None, answers: Answers) -> str | None:
    if given is not None:
        return given
    said = await answers.ask(Confirm(text=SCAN_AGAIN, entries=(SCAN,)))
    value = (said or {}).get(SCANNED)
    return value if isinstance(value, str) else None


def _said(found: Resumption) -> str:
    how = {"resume": "goes on within", "redo": "redoes", "next": "goes on behind"}[found.how]
    unseen = f"; at most {found.unseen_ah:.4g} Ah flowed unseen" if found.unseen_ah else ""
    return f"resumed after {span(found.gap_s)}: {how} step {found.where}{unseen}"


def gap_fault(found: Resumption) -> Fault:
    """What a result must say of the gap."""
    fix = "look whether the clause allows it; what the conditions measure of it has been judged"
    return Fault(_said(found), f"step {found.where}", fix)


def order_data(fields: Mapping[str, Any]) -> dict[str, Any]:
    """An order for the bundle: paths made absolute, nothing that belongs to a simulated run."""
    return {
        "schema": "cellbench/order/1",
        **{key: str(value.resolve()) if isinstance(value, Path) else value for key, value in fields.items()},
    }
