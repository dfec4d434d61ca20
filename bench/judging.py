"""From values to clause table, results and verdict - at a run's end, and again when a judgement comes later.

``values`` are every name that an expression may use, as they stood at the run's end. ``judgement.<name>`` is 1 (yes),
0 (no), NaN (answered, and contradicted by a detector), or missing: then it awaits a person.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sequences.expressions import Expression, MissingValueError
from sequences.language import Judge, Question, Sequence
from sequences.names import JUDGEMENT
from sequences.tree import walk_steps
from sequences.verdict import CriterionResult, Verdict, judge, overall

Values = Mapping[str, float | tuple[float, ...]]

#: The prefix of what a detector said from the stimulus on: 1 if it ever spoke, else 0.
DETECTOR = "detector."


@dataclass(frozen=True, slots=True)
class Settled:
    """``awaiting`` are the ids of the criteria that only want a person's answer."""

    criteria: tuple[CriterionResult, ...]
    results: Mapping[str, float]
    verdict: Verdict
    awaiting: tuple[str, ...]


def settle(sequence: Sequence, values: Values, *, ended: str, phase: str | None) -> Settled:
    """Judge every criterion and evaluate every result of a sequence. ``ended`` and ``phase`` as in ended_by."""
    criteria = tuple(judge(criterion, values) for criterion in sequence.criteria)
    worths = {name: worth(expression, values) for name, expression in sequence.results.items()}
    missing = {f"{JUDGEMENT}{question.name}" for question in questions(sequence)} - set(values)
    awaiting = tuple(row.criterion.id for row in criteria if row.criterion.value.names & missing)
    verdict = overall(criteria, ended, phase=phase or "conditioning")
    results = {name: value for name, value in worths.items() if value is not None}
    return Settled(criteria, results, verdict, awaiting)


def judgement(question: Question, *, answer: bool, values: Values) -> float:
    """What an answer is worth: NaN where a detector contradicts a no."""
    spoke = any(values.get(f"{DETECTOR}{kind}") == 1.0 for kind in question.detectors)
    return math.nan if spoke and not answer else float(answer)


def questions(sequence: Sequence) -> Iterator[Question]:
    """Every question that a sequence asks a person to judge."""
    for _, step in walk_steps(sequence.steps):
        if isinstance(step, Judge):
            yield from step.questions


def closed(sequence: Sequence) -> frozenset[str]:
    """Criteria (by id) and results (by name) that are yes or no: an answer or a watched condition, nothing else."""
    yes_or_no = {f"{JUDGEMENT}{question.name}" for question in questions(sequence)}
    yes_or_no |= {f"watch.{watch.name}" for watch in sequence.watch if watch.when is not None}
    found = {criterion.id for criterion in sequence.criteria if criterion.value.text.strip() in yes_or_no}
    return frozenset(found | {name for name, value in sequence.results.items() if value.text.strip() in yes_or_no})


def worth(expression: Expression, values: Values) -> float | None:
    """Its worth; None if a value is missing or it comes to no number."""
    try:
        value = expression.evaluate(values)
    except MissingValueError:
        return None
    return None if math.isnan(value) else value
