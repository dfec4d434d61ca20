"""The order of a sequence's phases: what may stand in which, and what has to follow a stimulus."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sequences.check_values import Finding
from sequences.language import Call, Phase, Repeat, RepeatUntilStable, Sequence, SequenceClass, Step
from sequences.tree import Path, walk_steps

#: The phases in which a kind of step has a meaning; the other kinds may stand in any.
_PHASES: dict[str, tuple[Phase, ...]] = {
    "transfer": (Phase.CONDITIONING,),
    **dict.fromkeys(("penetrate", "crush", "short", "heat"), (Phase.STIMULUS,)),
    "hold": (Phase.STIMULUS, Phase.OBSERVATION),
    **dict.fromkeys(("retract", "observe", "judge", "quarantine"), (Phase.OBSERVATION,)),
}

#: What has to follow, in this order: its kind, and what a person is told that it is for.
_AFTERWARDS = (
    ("observe", "a stimulus is observed afterwards"),
    ("judge", "what happened is judged by a person after the observation"),
    ("quarantine", "the last step hands the sample over"),
)


def check_order(sequence: Sequence, callee: Callable[[Call], Sequence | None], *, whole: bool) -> list[Finding]:
    """Every slip in phases, class and order. ``callee`` gives a called sequence, or None where it cannot be had.

    What is missing after a stimulus is told only of a file that could be read as a ``whole``, its phases right.
    """
    steps = list(_in_order(sequence, callee))
    findings = [finding for path, step in steps for finding in _in_its_phase(path, step)]
    stimuli = [at for at, (_, step) in enumerate(steps) if step.phase is Phase.STIMULUS]
    if not stimuli:
        return findings
    path, first = steps[stimuli[0]]
    if sequence.class_ is not SequenceClass.ABUSE:
        error = f"{first.kind} is a stimulus, and this sequence is not of class abuse"
        findings.append(Finding(path, error, "write class: abuse, if that is what is meant", key=True))
        return findings
    if whole and not findings:
        findings += _behind_observation(steps)
    if whole and not findings:
        findings += _afterwards([step.kind for _, step in steps], stimuli[-1], [path for path, _ in steps])
    return findings


def _afterwards(kinds: list[str], stimulus: int, paths: list[Path]) -> list[Finding]:
    """What is missing behind the last stimulus, and what stands behind the end. Kinds and paths of every step."""
    behind = stimulus
    for kind, why in _AFTERWARDS:
        if kind not in kinds[behind:]:
            error = f"no {kind} step follows: {why}"
            fix = f"add '- {kind}: {{phase: observation, ...}}' behind it"
            return [Finding(paths[behind], error, fix, key=True)]
        behind = kinds.index(kind, behind)
    if behind != len(kinds) - 1:
        error = f"{kinds[-1]} stands behind the quarantine, which hands the sample over"
        return [Finding(paths[-1], error, "let the quarantine be the last step", key=True)]
    return []


def _behind_observation(steps: list[tuple[Path, Step]]) -> list[Finding]:
    """The first step behind an observation that is not of it: a sample that had its stimulus is left alone."""
    watched = next((at for at, (_, step) in enumerate(steps) if step.kind == "observe"), len(steps))
    for path, step in steps[watched + 1 :]:
        if step.phase is not Phase.OBSERVATION and step.kind != "confirm":
            fix = "every stimulus before the observation; another test is another sample"
            return [Finding(path, f"{step.kind} stands behind the observation", fix, key=True)]
    return []


def _in_order(sequence: Sequence, callee: Callable[[Call], Sequence | None]) -> Iterator[tuple[Path, Step]]:
    """Every step that does something, those of a call at the call's place."""
    for path, step in walk_steps(sequence.steps):
        if isinstance(step, Call):
            called = callee(step)
            for _, inner in walk_steps(called.steps) if called is not None else ():
                if not isinstance(inner, Repeat | RepeatUntilStable):
                    yield path, inner
        elif not isinstance(step, Repeat | RepeatUntilStable):
            yield path, step


def _in_its_phase(path: Path, step: Step) -> Iterator[Finding]:
    allowed = _PHASES.get(step.kind)
    if allowed is None or step.phase in allowed:
        return
    names = " or ".join(allowed)
    error = f"{step.kind} has no meaning in phase {step.phase}"
    yield Finding((*path, "phase"), error, f"write phase: {names}")
