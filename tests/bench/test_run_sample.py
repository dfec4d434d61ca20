"""What a run writes into the record of a real sample: what was done to it, and never a way back to the bench."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.cause import EndKind
from bench.outcome import EndedBy, Outcome
from bench.run_sample import keep
from bench.safe_state import SafeResult
from bench.samples import ENDED, Sample, SampleState, SampleStore
from sequences.verdict import Verdict

SAFE = SafeResult(why="completed", parts=(), isolated=True, took_s=0.5)
DONE = Outcome(
    verdict=Verdict.PASS,
    ended_by=EndedBy(None, EndKind.COMPLETED),
    criteria=(),
    results={"capacity_ah": 4.9},
    plant_truth=None,
    test_s=10.0,
    safe_state=SAFE,
)


def after(folder: Path, outcome: Outcome) -> Sample:
    store = SampleStore(folder)
    sample = store.add(Sample(id="S-1", type="nmc-21700"))
    keep(store, sample, "0001-run", outcome)
    return store.show("S-1")


def test_a_run_to_its_end_conditions_the_sample_and_says_what_it_holds(tmp_path: Path) -> None:
    kept = after(tmp_path, DONE)
    assert (kept.state, kept.actual_capacity_ah, kept.runs) == (SampleState.CONDITIONED, 4.9, ("0001-run",))


def test_a_run_that_was_cut_short_is_noted_and_changes_nothing_else(tmp_path: Path) -> None:
    kept = after(tmp_path, replace(DONE, ended_by=EndedBy("conditioning", EndKind.PERSON, "stop")))
    assert (kept.state, kept.actual_capacity_ah, kept.runs) == (SampleState.RECEIVED, None, ("0001-run",))


@pytest.mark.fault("F53", "H12")
@pytest.mark.parametrize(
    ("kind", "awaiting", "state"),
    [
        (EndKind.COMPLETED, (), SampleState.DESTROYED),
        (EndKind.SAMPLE_EVENT, (), SampleState.DESTROYED),
        (EndKind.COMPLETED, ("fire",), SampleState.AWAITING_JUDGEMENT),
        (EndKind.SAMPLE_EVENT, ("fire",), SampleState.AWAITING_JUDGEMENT),
        (EndKind.PERSON, (), SampleState.QUARANTINED),
        (EndKind.DEVICE, ("fire",), SampleState.QUARANTINED),
        (EndKind.INTERLOCK, (), SampleState.QUARANTINED),
    ],
)
def test_after_a_stimulus_no_sample_goes_back_to_a_bench(
    tmp_path: Path, kind: EndKind, awaiting: tuple[str, ...], state: SampleState
) -> None:
    kept = after(tmp_path, replace(DONE, ended_by=EndedBy(None, kind), awaiting=awaiting, stimulated=True))
    assert kept.state is state
    assert kept.state in ENDED
