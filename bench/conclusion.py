"""From how a run ended to its outcome: verdict, results, and what is wrong."""

from __future__ import annotations

from contextlib import suppress

from bench.aftermath import Aftermath
from bench.cause import Cause, EndKind
from bench.causes import cause_of, faults_of, unsafe
from bench.judging import settle
from bench.live import Live
from bench.log import RunLog
from bench.notebook import Notebook, TruthProbe
from bench.outcome import EndedBy, Outcome
from bench.plan import Plan
from bench.recorder import Recorder
from bench.safe_state import SafeResult
from drivers.errors import RecordError
from sequences.language import Phase

PEAK = "run.peak_temperature"


def conclude(
    plan: Plan,
    cause: Cause,
    error: BaseException | None,
    safe: SafeResult,
    *,
    log: RunLog,
    recorder: Recorder,
    live: Live,
    notebook: Notebook,
    aftermath: Aftermath,
    truth: TruthProbe | None,
    phase: Phase | None,
    guards_error: str,
    test_s: float,
) -> Outcome:
    """The outcome of a run whose safe state has ended; its verdict is put on the log, if that still takes anything.

    A record that could not be kept, and a bench that did not become safe, outrank how the sequence itself ended.
    """
    try:
        recorder.finish()
    except RecordError as failed:
        error = error or failed
    if log.failed is not None and cause.kind is not EndKind.HOST:
        cause, error = cause_of(log.failed), log.failed
    sequence = plan.sequence
    aftermath.tell()
    if truth is not None and aftermath.begun:
        notebook.put_truth(PEAK, truth.totals(plan.channel.name).peak_surface_c)
    if not safe.confirmed and cause.kind is EndKind.COMPLETED:
        cause = Cause(EndKind.DEVICE, f"safe state: {safe.failures[0].what}", safe.failures[0].device)
    ended = cause.kind if safe.confirmed or cause.kind is EndKind.HOST else EndKind.DEVICE
    said = None if phase is None else phase.value
    settled = settle(sequence, live.values, ended=ended.value, phase=said)
    true = {name: notebook.evaluate_truth(expression) for name, expression in sequence.results.items()}
    peaks = {name for name, expr in sequence.results.items() if PEAK in expr.names}
    with suppress(RecordError):  # told by log.failed
        log.event("verdict", verdict=settled.verdict, phase=said, ended_by=cause.kind, rule=cause.rule)
    return Outcome(
        verdict=settled.verdict,
        ended_by=EndedBy(said, cause.kind, cause.rule, cause.device, cause.value, cause.limit),
        criteria=settled.criteria,
        results=settled.results,
        plant_truth=None if truth is None else {name: it for name, it in true.items() if it is not None},
        test_s=test_s,
        safe_state=safe,
        faults=(*faults_of(cause, error, guards_error), *unsafe(safe)),
        error=error,
        at_least=frozenset(peaks) if aftermath.at_least else frozenset(),
        awaiting=settled.awaiting,
        values=dict(live.values),
        stimulated=aftermath.begun,
    )
