"""The sample of a run: the id it goes by, the record that a simulated run makes up, and what a real one learns."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from bench.cause import EndKind
from bench.config import CellFile
from bench.outcome import Outcome
from bench.samples import Sample, SampleDimensions, SampleState, SampleStore
from drivers import ConfigError, Fault, RecordError


def sample_id(sample: Sample | None, cell: CellFile, seed: int) -> str:
    """The sample's id; a simulated run without one makes its own, which lives in the bundle alone."""
    return sample.id if sample is not None else f"{cell.type}-simulated-{seed}"


def made_up(identity: str, cell: CellFile) -> Sample:
    """The sample that a simulated run makes for itself, as the cell file describes its type: nothing was weighed."""
    return Sample(
        id=identity,
        type=cell.type,
        nominal_mass_kg=cell.mass_kg,
        dimensions=SampleDimensions.model_validate(cell.dimensions.model_dump()),
        fixture=cell.fixture,
        stack_pressure_kpa=cell.fixture_pressure_kpa,
    )


class Touched:
    """Called when the stimulus reaches the sample: its record says so at once, in a thread of its own, so that a
    program that dies now leaves no pierced cell behind that passes for a charged one. ``faults`` after ``settle``."""

    def __init__(self, store: SampleStore, sample: Sample | None) -> None:
        self.faults: tuple[Fault, ...] = ()
        self._store = store
        self._sample = sample
        self._writing: asyncio.Future[Sample] | None = None

    def __call__(self) -> None:
        sample = self._sample
        if sample is not None and self._writing is None:
            write = partial(self._store.update, sample.id, state=SampleState.UNDER_TEST)
            self._writing = asyncio.get_running_loop().run_in_executor(None, write)

    async def settle(self) -> None:
        """Wait until it is written. Raises nothing: what went wrong is in ``faults``."""
        if self._writing is None:
            return
        try:
            await self._writing
        except (ConfigError, RecordError) as error:
            self.faults = error.faults


def keep(store: SampleStore, sample: Sample, run_id: str, outcome: Outcome) -> None:
    """Write into the sample's record what it went through. Raises ConfigError, RecordError.

    Only a run that came to its own end conditions a sample and says what it holds.
    """
    changes: dict[str, Any] = {}
    completed = outcome.ended_by.kind is EndKind.COMPLETED
    if outcome.stimulated:
        changes["state"] = _state_after_stimulus(outcome)
    elif completed:
        changes["state"] = SampleState.CONDITIONED
    if completed and "capacity_ah" in outcome.results:
        changes["actual_capacity_ah"] = outcome.results["capacity_ah"]
    store.add_run(sample.id, run_id, **changes)


def _state_after_stimulus(outcome: Outcome) -> SampleState:
    """A sample that had its stimulus is never energised again. What the sample did itself belongs to the test; where
    the bench or a person cut it short, the sample stays under supervision with what is left inside."""
    if outcome.ended_by.kind not in (EndKind.COMPLETED, EndKind.SAMPLE_EVENT):
        return SampleState.QUARANTINED
    return SampleState.AWAITING_JUDGEMENT if outcome.awaiting else SampleState.DESTROYED


def judged(store: SampleStore, sample_id: str, run_id: str) -> SampleState | None:
    """Nothing of this run awaits a judgement any more: its sample, if it waited for that, is destroyed. Gives the new
    state; None where the store has no such sample, or it did not wait for this run. Raises ConfigError, RecordError."""
    known = next((sample for sample in store.list() if sample.id == sample_id), None)
    if known is None or run_id not in known.runs or known.state is not SampleState.AWAITING_JUDGEMENT:
        return None
    return store.update(sample_id, state=SampleState.DESTROYED).state
