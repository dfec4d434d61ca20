"""What a step may say about being resumed after a crash."""

from __future__ import annotations

from collections.abc import Iterator

from sequences.check_values import Finding
from sequences.language import (
    Call,
    Charge,
    Discharge,
    Phase,
    Repeat,
    RepeatUntilStable,
    Rest,
    Resume,
    Sequence,
    SequenceClass,
    Step,
)
from sequences.tree import Path

#: The kinds that can go on where they were: what they had counted stands in the record.
GOES_ON = (Charge, Discharge, Rest)


def check_resume(step: Step, sequence: Sequence, path: Path) -> Iterator[Finding]:
    """Every slip in one step's ``resume``."""
    here = (*path, "resume")
    if step.resume in (None, Resume.NEVER):
        return
    if sequence.class_ is SequenceClass.ABUSE:
        yield Finding(here, "an abuse test is never resumed", "remove it, or write resume: never")
    elif step.phase is not Phase.CONDITIONING:
        error = f"a step in phase {step.phase} is never resumed: its clock begins anew"
        yield Finding(here, error, "remove it, or write resume: never")
    elif isinstance(step, Call):
        yield Finding(here, "a call is not resumed, its steps are", "write resume in the called sequence", key=True)
    elif step.resume is Resume.RESUME and isinstance(step, Repeat | RepeatUntilStable):
        yield Finding(here, "a repeat cannot go on in the middle, its steps can", "write resume: redo, of its turn")
    elif step.resume is Resume.RESUME and not isinstance(step, GOES_ON):
        yield Finding(here, f"{step.kind} cannot go on in the middle", "write resume: redo")
    elif step.resume is Resume.REDO and isinstance(step, Charge | Discharge) and step.results:
        error = f"a {step.kind} that is begun again counts only what is left of it"
        fix = "write resume: resume, or resume: redo at the repeat that holds it"
        yield Finding(here, error, fix)
