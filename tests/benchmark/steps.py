"""Microseconds per step of our engine beside a phase of OpenHTF with one limit.

Both are given N steps and one step, each in whole runs; the difference over N - 1 leaves out what a run costs once.
Ours runs on small devices in memory, so that no wire is in it, with all that a step is: what will end it worked out,
two journal records written to a file in their chain of hashes, results taken, the newest reading stored, and, in the
second row, three devices read once a step, every reading through guard, live values and recorder.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from drivers.clock import real_elapsed_s
from tests.bench.small_bench import run_small
from tests.benchmark.pairs import Comparison, Measure, compare, take_pairs

ROOT = Path(__file__).parents[2]
PHASES = ROOT / "tests" / "benchmark" / "openhtf_phases.py"
AGAINST = "OpenHTF phase with one limit"

_STEPS = """
steps:
  - repeat:
      count: {count}
      steps:
        - measure: {{duration: {duration}, results: {{seen: voltage}}}}
"""
_TAIL = "results: {mean_v: mean(result.seen)}\n"


#: Name, how long a step lasts in virtual time, and what that means.
_ROWS = (
    ("engine, one step", "1 ms", "nothing is read while the step lasts"),
    ("engine, one step and its readings", "1 s", "cycler, inputs and thermocouples are read in each step"),
)


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A row whose reference is not on this machine, and ``why``; ``ours`` is the median of our side alone."""

    name: str
    against: str
    unit: str
    ours: float
    why: str

    def document(self) -> dict[str, Any]:
        return asdict(self)


def steps(pairs: int, count: int, openhtf: Path | None) -> Sequence[Comparison | Unmeasured]:
    """Both comparisons, with ``count`` steps a run. ``openhtf`` is the Python that has it, None if there is none."""
    if openhtf is None:
        return [_alone(name, _ours(duration, count), pairs) for name, duration, _ in _ROWS]
    with _openhtf(openhtf) as seconds:
        reference = partial(_per_step_us, seconds, count)
        return [
            compare(
                name,
                AGAINST,
                "us",
                take_pairs(pairs, _ours(duration, count), reference),
                goal=None,
                notes=(f"{count} steps a run", note),
            )
            for name, duration, note in _ROWS
        ]


def _alone(name: str, ours: Measure, times: int) -> Unmeasured:
    ours()  # warming up
    why = "OpenHTF could not be installed here"
    return Unmeasured(name, AGAINST, "us", median(ours() for _ in range(times)), why)


def _ours(duration: str, count: int) -> Measure:
    return partial(_per_step_us, partial(_engine_s, duration), count)


def _per_step_us(seconds: Callable[[int], float], count: int) -> float:
    one_s = seconds(1)
    return (seconds(count) - one_s) / (count - 1) * 1e6


def _engine_s(duration: str, count: int) -> float:
    """Seconds of one whole run of ``count`` steps. Raises RuntimeError if it does not come to its end."""
    with tempfile.TemporaryDirectory() as folder:
        begun_s = real_elapsed_s()
        ran = run_small(Path(folder), _STEPS.format(count=count, duration=duration), tail=_TAIL, truth=False)
        took_s = real_elapsed_s() - begun_s
    ended = sum(event["kind"] == "step_ended" for event in ran.events)
    if ended != count:
        raise RuntimeError(f"{ended} of {count} steps ended: {ran.outcome.faults}")
    return took_s


@contextmanager
def _openhtf(python: Path) -> Iterator[Callable[[int], float]]:
    process = subprocess.Popen(
        [python, PHASES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    given, told = process.stdin, process.stdout
    assert given is not None
    assert told is not None

    def seconds(phases: int) -> float:
        given.write(f"{phases}\n")
        given.flush()
        return float(told.readline())

    try:
        yield seconds
    finally:
        given.close()
        process.wait()
        told.close()
