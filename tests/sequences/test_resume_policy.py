"""What a step may say about being resumed: each slip at its own place."""

from __future__ import annotations

import pytest

import sequences
from drivers import ConfigError

HEAD = """\
schema: cellbench/sequence/1
id: test/policy
title: {{en: T, zh: 题}}
summary: {{en: S., zh: 摘。}}
class: {class_}
log: {{every: 10 s}}
steps:
"""
RUNS = "  - charge: {mode: cc, voltage: cell.charge_voltage, current: 1 I3, timeout: 5 h%s}\n"


def slips(steps: str, *, class_: str = "cycling") -> list[str]:
    try:
        sequences.parse(HEAD.format(class_=class_) + steps, "test.yaml")
    except ConfigError as error:
        return [fault.error for fault in error.faults]
    return []


@pytest.mark.parametrize(
    "steps",
    [
        RUNS % ", resume: resume",
        RUNS % ", resume: redo",
        RUNS % ", resume: never",
        "  - rest: {duration: 1 h, resume: resume}\n",
        "  - soak: {temperature: 25 degC, tolerance: 2 K, duration: 1 h, timeout: 5 h, resume: redo}\n",
        "  - repeat: {count: 2, resume: redo, steps: [{rest: {duration: 1 h}}]}\n",
    ],
)
def test_a_policy_that_can_be_kept_is_taken(steps: str) -> None:
    assert slips(steps) == []


@pytest.mark.parametrize(
    ("steps", "slip"),
    [
        ("  - soak: {temperature: 25 degC, tolerance: 2 K, duration: 1 h, timeout: 5 h, resume: resume}\n", "middle"),
        ("  - repeat: {count: 2, resume: resume, steps: [{rest: {duration: 1 h}}]}\n", "middle"),
        (RUNS % ", resume: redo, results: {in_ah: charge}", "counts only what is left"),
        ("  - rest: {phase: observation, duration: 1 h, resume: redo}\n", "its clock begins anew"),
        (RUNS % ", resume: maybe", "'maybe' is not a resume that is known"),
    ],
)
def test_a_policy_that_cannot_be_kept_is_a_slip(steps: str, slip: str) -> None:
    assert len(slips(steps)) == 1
    assert slip in slips(steps)[0]


def test_nothing_of_an_abuse_test_is_resumed() -> None:
    assert "an abuse test is never resumed" in slips(RUNS % ", resume: resume", class_="abuse")
    assert slips(RUNS % ", resume: never", class_="abuse") == []
