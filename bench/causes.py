"""From exceptions to causes, and from causes to the words that a person reads."""

from __future__ import annotations

from bench.cause import Cause, EndKind, NotConfirmedError
from bench.energy import EnergyForbiddenError
from bench.safe_state import SafeResult
from bench.seat import SampleRefused
from bench.waiting import StepTimeoutError
from drivers.errors import BenchError, DeviceError, Fault, RecordError


def cause_of(error: BaseException) -> Cause:
    """The cause that an exception is."""
    match error:
        case SampleRefused():
            return error.cause
        case StepTimeoutError():
            return Cause(EndKind.DEVICE, f"timeout: {error.doing}", error.device)
        case DeviceError():
            return Cause(EndKind.DEVICE, error.doing, error.device)
        case NotConfirmedError():
            return Cause(EndKind.PERSON, "not confirmed")
        case RecordError():
            return Cause(EndKind.HOST, "record")
        case EnergyForbiddenError():
            return Cause(EndKind.HOST, "energy was forbidden")
        case BenchError():
            return Cause(EndKind.HOST, error.faults[0].error)
        case _:
            return Cause(EndKind.HOST, f"{type(error).__name__}: {error}")


def faults_of(cause: Cause, error: BaseException | None, guard_error: str) -> tuple[Fault, ...]:
    """What went wrong, ready to print; nothing for a run that came to its own end."""
    if isinstance(error, BenchError):
        return error.faults
    if cause.kind is EndKind.COMPLETED:
        return ()
    where = cause.device or "this run"
    if cause.kind is EndKind.PERSON:
        fix = "run it again when the reason is settled"
    elif cause.kind is EndKind.HOST:
        fix = "keep the bundle and report this: it is a fault of the program or its computer"
    else:
        fix = "the report shows the readings up to the trip; settle the cause before the next run"
    text = said(cause)
    return (Fault(f"{text}: {guard_error}" if guard_error else text, where, fix),)


def unsafe(safe: SafeResult) -> tuple[Fault, ...]:
    """A fault for every device that did not prove to be safe."""
    if safe.isolated:
        fix = "the sample's contactor is open, by its feedback; switch this device off at its own panel"
    else:
        fix = "isolate the sample by hand before anyone approaches"
    return tuple(
        Fault(f"safe state not confirmed ({part.what}): {part.error}", part.device, fix) for part in safe.failures
    )


def said(cause: Cause) -> str:
    """A cause in one line."""
    if cause.kind is EndKind.COMPLETED:
        return "the sequence has come to its end"
    text = f"ended by {cause.kind.value.replace('_', ' ')}"
    if cause.rule is not None:
        text += f": {cause.rule}"
    if cause.value is not None and cause.limit is not None:
        text += f" ({cause.value:.4g}, limit {cause.limit:.4g})"
    return text
