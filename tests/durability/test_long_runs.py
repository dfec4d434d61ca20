"""A run of months: memory does not grow with it, and no number in it wraps."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from bench import bundle, record
from bench import log as log_module
from bench.log import RunLog
from bench.results import VerifyStatus
from bench.verify import verify
from tests.bench.synthetic_run import Time, result

HEADER = {"run_id": "1", "mode": "simulated"}
#: What a long run may grow by: 5 MiB, as for 72 hours.
GROWTH_BYTES = 5 << 20


@pytest.mark.fault("F79")
def test_memory_does_not_grow_with_the_number_of_rows(tmp_path: Path) -> None:
    """Eight windows of an hour; whatever one takes, the eighth takes no more."""
    log = RunLog.create(tmp_path, Time().clock, durable=False, header=HEADER)
    log.open_readings([f"c{n}" for n in range(8)])
    tracemalloc.start()
    try:
        peaks = []
        for hour in range(8):
            tracemalloc.reset_peak()
            for second in range(3600):
                log.row([3600.0 * hour + second, 0.0, 1, *(3.0 + second * 1e-3 + n for n in range(8))])
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    log.close()
    assert max(peaks[4:]) - max(peaks[1:4]) < GROWTH_BYTES / 5, peaks


def sealing_peak_bytes(folder: Path, rows: int) -> int:
    """The most memory that closing a run of so many rows takes beyond what there was."""
    time = Time()
    log = RunLog.create(folder, time.clock, durable=False, header=HEADER)
    log.open_readings([f"c{n}" for n in range(8)], roles={"voltage": "c0", "current": "c1", "surface_1": "c2"})
    log.event("step_started", step=1, path="1", step_kind="discharge", phase="conditioning")
    for second in range(rows):
        log.row([100.0 + second, 1.79e9 + second, 1, *(3.0 + second * 1e-3 + n for n in range(8))])
    time.now_s += rows
    tracemalloc.start()
    try:
        bundle.seal(log, result())
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.fault("F79")
def test_closing_a_run_takes_no_more_memory_for_more_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of these takes about 0.7 kB as Python objects: six thousand more would be 4 MB."""
    monkeypatch.setattr(record, "SHOWN_ROWS", 500)
    monkeypatch.setattr(log_module, "WINDOW_ROWS", 1000)
    sealing_peak_bytes(tmp_path / "warm", 100)
    short, long = sealing_peak_bytes(tmp_path / "short", 2_000), sealing_peak_bytes(tmp_path / "long", 8_000)
    assert long - short < GROWTH_BYTES / 10, (short, long)


@pytest.mark.fault("F79")
def test_a_hundred_days_after_the_pc_was_started_nothing_wraps(tmp_path: Path) -> None:
    """2^31 ms are 24.9 days and 2^32 ms 49.7: the loop's time is far beyond both here."""
    time = Time(now_s=100 * 86_400.0)
    log = RunLog.create(tmp_path, time.clock, durable=False, header=HEADER)
    log.open_readings(["v"])
    times = [time.now_s + 0.2 * n for n in range(20)]
    for at_s in times:
        log.row([round(at_s, 6), 1.79e9, 2**31 + 7, 3.7])
    log.close()
    kept = record.load(tmp_path)
    assert kept.rows.mono_s == [round(at_s, 6) for at_s in times]
    assert set(kept.rows.steps) == {2**31 + 7}
    assert verify(tmp_path).status is VerifyStatus.NOT_CLOSED
