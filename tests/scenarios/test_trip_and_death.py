"""A program is killed between its trip and the latch: the bench is energised again only after an acknowledgement."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from bench.after_trip import AfterTrip
from bench.cli.resume import latch_what_is_owed
from bench.closing import close_run
from bench.latch import Acknowledged, Latch, Latches
from bench.verify import verify
from drivers import BenchHeld, ConfigError
from tests.scenarios.resuming import Standing, events, in_step, on_standing
from tests.scenarios.runs import SHORT

pytestmark = [pytest.mark.scenario, pytest.mark.fault("F54", "F64", "H13")]

DOOR = "interlock.door_closed"


@pytest.fixture(autouse=True)
def _a_disk_that_needs_no_waiting_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """These programs die; the machine's power stays on."""
    monkeypatch.setattr("os.fdatasync", lambda _: None)


async def _killed_in_its_trip(bench: Standing, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose door opens under current, and whose program does not come to the latch any more."""

    async def never(*_: object) -> None:
        return

    with monkeypatch.context() as patched:
        patched.setattr(AfterTrip, "latch", never)
        dying = asyncio.create_task(bench.die(SHORT, lambda seen: any(it["kind"] == "trip" for it in seen)))
        flows = in_step("output_on", "1")
        while not (bench.bundles() and flows(events(bench.bundles()[-1]))):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.5)
        bench.bench.scene.plant.set_input("chamber1", "door_closed", 0.0)
        bundle = await dying
    bench.bench.scene.plant.set_input("chamber1", "door_closed", 1.0)
    assert not [it for it in events(bundle) if it["kind"] in ("latched", "log_closed")]
    return bundle


def _latch(bench: Standing) -> Latch | None:
    return Latches(bench.folder).of("demo")


def _acknowledge(bench: Standing) -> None:
    latch = _latch(bench)
    assert latch is not None
    Latches(bench.folder).release(Acknowledged(latch=latch, by="Wang", utc_s=latch.utc_s + 60.0, seen={}))


def test_a_refused_start_latches_what_the_dead_run_owed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(bench: Standing) -> None:
        bundle = await _killed_in_its_trip(bench, monkeypatch)
        assert _latch(bench) is None, "nobody has latched it"
        moved_ah = bench.moved_ah()
        with pytest.raises(BenchHeld, match="was interrupted") as refused:
            await bench.run(bench.order(SHORT))
        assert any("the bench is latched" in it.error and "cellbench ack" in it.fix for it in refused.value.faults)
        latch = _latch(bench)
        assert latch is not None
        assert (latch.rule, latch.run_id) == (DOOR, events(bundle)[0]["data"]["run_id"])

        closed = await asyncio.to_thread(
            close_run, bundle, by="Zhao", note="", data=bench.folder, environment=os.environ
        )
        assert closed.verdict == "aborted"
        with pytest.raises(BenchHeld, match=DOOR):
            Latches(bench.folder).refuse("demo")
        _acknowledge(bench)
        assert bench.moved_ah() == moved_ah
        assert (await bench.run(bench.order(SHORT))).verdict == "pass"
        assert _latch(bench) is None, "once acknowledged it is not latched again"

    on_standing(tmp_path, story)


def test_closing_it_latches_before_anybody_may_start_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(bench: Standing) -> None:
        bundle = await _killed_in_its_trip(bench, monkeypatch)
        closed = await asyncio.to_thread(
            close_run, bundle, by="Zhao", note="", data=bench.folder, environment=os.environ
        )
        assert any("the bench is latched" in fault.error for fault in closed.faults)
        assert not verify(bundle).problems
        with pytest.raises(BenchHeld, match=DOOR):
            Latches(bench.folder).refuse("demo")

    on_standing(tmp_path, story)


def test_resuming_it_is_refused_and_latches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(bench: Standing) -> None:
        bundle = await _killed_in_its_trip(bench, monkeypatch)
        await asyncio.to_thread(latch_what_is_owed, bundle, bench.folder)
        with pytest.raises(ConfigError, match="had ended"):
            await bench.resume(bundle)
        with pytest.raises(BenchHeld, match=DOOR):
            Latches(bench.folder).refuse("demo")

    on_standing(tmp_path, story)
