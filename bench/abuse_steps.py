"""The steps of an abuse test: which module carries out each, and what will end it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import observation, stimulus, transfer
from bench.waiting import ConditionEnd
from sequences.language import (
    Crush,
    Heat,
    Hold,
    Judge,
    Observe,
    Penetrate,
    Quarantine,
    Retract,
    Short,
    Transfer,
)

if TYPE_CHECKING:
    from bench.steps import StepRun

AbuseStep = Transfer | Penetrate | Crush | Hold | Retract | Short | Heat | Observe | Judge | Quarantine


async def carry_out(run: StepRun, step: AbuseStep) -> None:
    """Do one of these steps. Raises what ``StepRun.run`` says, and NotConfirmedError and SampleRefused."""
    match step:
        case Transfer():
            await transfer.transfer(run, step)
        case Penetrate() | Crush():
            await stimulus.stroke(run, step)
        case Hold():
            await stimulus.hold(run, step)
        case Retract():
            await stimulus.retract(run, step)
        case Short():
            await stimulus.short(run, step)
        case Heat():
            await stimulus.heat(run, step)
        case Observe():
            await observation.observe(run, step)
        case Judge():
            await observation.judge(run, step)
        case Quarantine():
            await observation.quarantine(run, step)


def ends_of(run: StepRun, step: AbuseStep) -> str:
    """What will end the step, in words; sets its judge. Touches no device."""
    worth, live = run.means.worth, run.means.notebook.live
    if isinstance(step, Penetrate | Crush | Short | Heat) and step.end is not None:
        run.judge = ConditionEnd(step.end, live, worth)
    or_when = f" or {run.judge.text()}" if run.judge is not None else ""
    match step:
        case Transfer():
            return f"when it has been carried to the {step.to}"
        case Penetrate():
            return f"at {worth(step.depth):.4g} mm from contact{or_when}"
        case Crush():
            share, force_kn, volts = 100 * worth(step.deformation), worth(step.force) / 1000, worth(step.voltage)
            return f"at {share:.3g} % deformation, {force_kn:.4g} kN or {volts:.3g} V{or_when}"
        case Hold():
            run.planned_s = worth(step.duration)
            return f"after {run.planned_s / 60:.3g} min"
        case Short():
            run.planned_s = worth(step.duration)
            return f"after {run.planned_s / 60:.3g} min{or_when}"
        case Heat():
            return f"at {worth(step.temperature):g} degC{or_when}"
        case Observe():
            return f"{worth(step.duration) / 3600:.3g} h and below {worth(step.until):g} degC"
        case Judge():
            return f"when {len(step.questions)} questions are answered"
        case Retract():
            return "when a person has decided"
        case Quarantine():
            return "when a person takes over"
