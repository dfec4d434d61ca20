"""A disk that fails once, at contact or in the observation, costs a pierced sample no observation and no eye."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import Any

import pytest

from bench import record
from bench.log import RunLog
from bench.stroke import StrokeRun
from simulators.strikes import Strike
from tests.simulation import failing_disk, harness
from tests.simulation.worlds import World

pytestmark = [pytest.mark.scenario, pytest.mark.fault("F67", "F68")]


@pytest.mark.parametrize("when", ["at contact", "in the observation"])
def test_one_failed_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    armed: list[str] = []
    failed: list[str] = []
    synced, said = failing_disk.FailingDisk.sync, RunLog.event

    def sync(self: Any, handle: int) -> None:
        if armed and not failed:
            failed.append(armed[0])
            raise OSError(errno.EIO, "Input/output error")
        synced(self, handle)

    def event(self: Any, kind: str, /, **data: Any) -> Any:
        if when == "at contact" and kind == "contact":
            armed.append(kind)
        if when == "in the observation" and kind == "step_started" and data["step_kind"] == "observe":
            asyncio.get_running_loop().call_later(10.05, armed.append, kind)
        return said(self, kind, **data)

    monkeypatch.setattr(failing_disk.FailingDisk, "sync", sync)
    monkeypatch.setattr(RunLog, "event", event)
    if when == "at contact":  # it stops short of it, and the rig says that it has touched
        monkeypatch.setattr(StrokeRun, "has_touched", lambda *_: True)
    strikes = (Strike("person_stops", at_s=47.0),) if when == "at contact" else ()
    world = World(seed=3, period_s=1.0, start_soc=1.0, most_turns=0, strikes=strikes, again=False, nailed="nmc-25ah")
    found = harness.simulate(world, tmp_path)

    assert failed
    assert found.raised is None
    assert not found.callbacks
    assert not found.left_tasks
    assert found.result is not None
    kept = record.load(found.folder)
    kinds = [event.kind for event in kept.events]
    silent = [it.data for it in kept.events if it.kind in ("trip", "bench_event") and "silent" in str(it.data["rule"])]
    assert not silent, "every device was read to the end"
    assert "safe_state" in kinds
    assert kinds[-1] == "log_closed"
    observed = {
        it.data["path"] for it in kept.events if it.kind == "step_started" and it.data["step_kind"] == "observe"
    }
    assert observed & {it.data["path"] for it in kept.events if it.kind == "step_ended"}, "observed to its end"
