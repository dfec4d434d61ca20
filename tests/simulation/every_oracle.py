"""What holds in every world, whatever was done in it."""

from __future__ import annotations

from bench import record
from bench.results import VerifyStatus
from bench.verify import verify
from drivers.errors import DeviceError, RecordError
from tests.simulation.harness import Found
from tests.simulation.in_force import Faults, Judged

SAFE_STATE_S = 15.0


def ends(found: Found, faults: Faults, judged: Judged) -> None:
    """It ends, by no crash of its own, and leaves nothing behind."""
    if found.hung:
        judged.find("ends", f"the run had not ended after {found.ended_s:.0f} s")
    error = found.raised
    cancelled = bool(faults.any_of("cancelled", "killed")) or found.hung
    if error is not None and not isinstance(error, DeviceError | RecordError):
        if not (cancelled and type(error).__name__ == "CancelledError"):
            judged.find("ends", f"raised {type(error).__name__}: {error}")
    elif isinstance(error, RecordError) and not faults.any_of("disk_full", "disk_fails"):
        judged.find("ends", f"the record failed on a good disk: {error}")
    elif isinstance(error, DeviceError) and not faults.struck:
        judged.find("ends", f"a device failed on a good bench: {error}")
    if found.callbacks:
        judged.find("ends", f"callbacks raised: {found.callbacks[:3]}")
    if found.left_tasks:
        judged.find("ends", f"left tasks: {sorted(found.left_tasks)}")


def durable(found: Found, judged: Judged) -> None:
    """What the program goes on from is made lasting; a record that could not be begun begins no run."""
    if found.unsynced and not isinstance(found.raised, RecordError):
        judged.find("durable", f"{found.unsynced} bytes were written and not confirmed when the program went on")


def said(found: Found) -> str:
    result = found.result
    return f"{type(found.raised).__name__}" if result is None else f"{result.verdict}, {result.ended_by}"


def kept_record(found: Found, faults: Faults, judged: Judged) -> record.Record | None:
    """The record is whole and tells of one safe state that ended in time; None if it cannot be read."""
    disk = bool(faults.any_of("disk_full", "disk_fails"))
    if not disk:
        checked = verify(found.folder)
        if checked.status is not VerifyStatus.INTACT:
            judged.find("record", f"{checked.status}: {[str(it) for it in checked.problems][:3]}")
    try:
        kept = record.load(found.folder)
    except RecordError as error:
        judged.find("record", f"cannot be read: {error}")
        return None
    crash = next((event for event in kept.of("crash", "observer_failed")), None)
    if crash is not None:
        judged.find("crash", str(crash.data.get("trace", crash.data))[-900:])
    safe = list(kept.of("safe_state"))
    if len(safe) != 1 and not disk:
        judged.find("safe state", f"ended {len(safe)} times")
    for event in safe:
        frozen = sum(it.strike.for_s or 0.0 for it in faults.any_of("frozen"))
        if event.data["took_s"] > SAFE_STATE_S + frozen:
            judged.find("safe state", f"took {event.data['took_s']} s")
    return kept
