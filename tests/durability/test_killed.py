"""No acknowledged record is lost when the program is killed, at any moment of writing, rotating and sealing.

Of 1 000 kills a run does 20, by the seed that is printed, unless CELLBENCH_ALL is set, which ``scripts/soak`` does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import record
from bench.log import RunLog
from bench.results import VerifyStatus
from bench.verify import verify
from drivers.errors import RecordError
from tests.bench.synthetic_run import Time

pytestmark = pytest.mark.scenario

SEED = int(os.environ.get("CELLBENCH_SEED", "20261123"))
ALL = 1_000
PART = 20


@pytest.mark.fault("F64", "H15")
def test_no_acknowledged_record_is_lost_by_a_kill(tmp_path: Path) -> None:
    wanted = ALL if os.environ.get("CELLBENCH_ALL") else PART
    line = [sys.executable, "-m", "tests.durability.killed", str(tmp_path), str(wanted), str(SEED)]
    done = subprocess.run(line, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    told = [tuple(map(int, words.split())) for words in done.stdout.splitlines()]
    assert len(told) == wanted
    lost: list[tuple[object, ...]] = []
    torn = acknowledged = 0
    for number, ticks in told:
        folder = tmp_path / str(number)
        if not ticks:
            continue  # killed before its first acknowledgement; there may be no record at all
        acknowledged += ticks
        found = verify(folder)
        torn += any("torn" in problem.error for problem in found.problems)
        kept = record.load(folder)
        events = [event.data["number"] for event in kept.of("tick")]
        rows = kept.rows.mono_s
        good = events == list(range(len(events))) and rows == [float(at) for at in range(len(rows))]
        if not good or len(events) < ticks or len(rows) < 3 * ticks or found.status is not VerifyStatus.NOT_CLOSED:
            lost.append((number, ticks, len(events), len(rows), found.problems))
            continue
        try:
            RunLog.reopen(folder, Time().clock, durable=False).close()
        except RecordError as error:
            lost.append((number, ticks, "cannot be reopened", str(error), ()))
            continue
        again = record.load(folder)
        if again.rows.mono_s != rows or len(list(again.of("tick"))) != len(events):
            lost.append((number, ticks, "changed when it was reopened", len(again.rows), ()))
    print(f"{wanted} kills of {ALL}, {acknowledged} acknowledged events, {torn} torn (CELLBENCH_SEED={SEED})")
    assert not lost, (SEED, lost[:3])
