"""What is due, what was taken of it, and the load itself for a few seconds on a few channels."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmark.load.counts import quantile, slots, taken

ROOT = Path(__file__).parents[2]


def test_slots_lie_on_the_grid_of_their_device_and_the_end_is_not_in() -> None:
    assert slots(0.0, 0.1, 1.0, 2.0) == (10, 10)
    assert slots(0.03, 0.1, 1.0, 2.0) == (10, 10)
    assert slots(0.03, 0.1, 1.031, 1.129) == (11, 0)


def test_a_missing_sample_is_told_only_where_the_record_says_so() -> None:
    window: dict[str, float] = {"phase_s": 0.0, "period_s": 0.1, "begin_s": 1.0, "end_s": 2.0}
    instants_s = [1.001, 1.105, 1.262, 1.6, 1.7, 1.8, 1.9, 2.0]  # 1.3, 1.4 and 1.5 are not there, 1.2 is late
    found = taken(instants_s, [(1.3, 1.4)], **window)
    assert (found.due, found.missing, found.told, found.untold) == (10, 3, 2, 1)
    assert found.on_time == pytest.approx(0.6)
    assert found.late(1.0) == pytest.approx(0.062)
    assert taken([], [], **window).missing == 10


def test_a_sample_after_the_next_slot_is_late_and_not_the_next_ones() -> None:
    window: dict[str, float] = {"phase_s": 0.0, "period_s": 0.1, "begin_s": 1.0, "end_s": 1.6}
    found = taken([0.9, 1.001, 1.23, 1.24, 1.301, 1.4, 1.5, 1.6], [], **window)  # 1.1 came with 1.2
    assert (found.due, found.missing) == (6, 0)
    assert found.late_s == pytest.approx([0.001, 0.13, 0.04, 0.001, 0.0, 0.0], abs=1e-9)
    skipped = taken([1.0, 1.25, 1.4, 1.5], [(1.1, 1.1)], **window)  # 1.1 is told, and so 1.25 is 1.2's
    assert (skipped.missing, skipped.told) == (2, 1)


def test_a_quantile_is_one_of_the_values() -> None:
    assert quantile([3.0, 1.0, 2.0, 4.0], 0.5) == 2.0
    assert quantile([3.0, 1.0, 2.0, 4.0], 0.99) == 4.0
    assert math.isnan(quantile([], 0.5))


@pytest.mark.scenario
@pytest.mark.skipif(not os.environ.get("CELLBENCH_ALL"), reason="long: whole in ./scripts/soak")
def test_a_few_channels_under_load_for_a_few_seconds() -> None:
    command = [sys.executable, "-m", "tests.benchmark.load", "--channels", "4", "--rate", "2", "--for", "5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120.0)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if " due, " in line]
    assert len(lines) == 3  # nobody looks on, people do, a crowd comes
    due = [int(line.split("n = ")[1].split()[0]) for line in lines]
    recorded = [int(line.split(" due, ")[1].split()[0]) for line in lines]
    assert min(due) >= 2 * 5 * 2
    assert all(have >= 0.9 * wanted for have, wanted in zip(recorded, due, strict=True)), done.stdout
    assert "exit code 0" in done.stdout
