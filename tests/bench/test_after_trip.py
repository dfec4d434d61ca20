"""What is latched: also what the sample did by itself, if the bench was not proven safe after it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench.after_trip import AfterTrip
from bench.cause import STOPPED, Cause, EndKind
from bench.energy import Energy
from bench.guardian.link import NoGuardian
from bench.latch import latch_of
from bench.safe_state import MadeSafe, SafeResult
from bench.stream import Stream
from sequences.language import Phase
from tests.bench.benchtop import Events, in_virtual_time
from tests.bench.small_bench import ONE_CYCLE, plan_of

COLLAPSED = Cause(EndKind.SAMPLE_EVENT, "sample.voltage", "psb")


@pytest.mark.fault("H11")
@pytest.mark.parametrize("safe", [True, False])
def test_a_test_that_went_its_way_latches_only_a_bench_that_is_not_proven_safe(safe: bool) -> None:
    put: list[Cause] = []

    async def scene() -> None:
        made: asyncio.Future[SafeResult] = asyncio.get_running_loop().create_future()
        part = MadeSafe("io1", "contactor open by feedback", confirmed=safe, error=None if safe else "it is welded")
        made.set_result(SafeResult("trip", (part,), safe, 1.0))
        after = AfterTrip(
            stream=Stream(),
            energy=Energy(),
            safe=cast("Any", SimpleNamespace(begin=lambda _: made)),
            log=cast("Any", Events()),
            link=NoGuardian(),
            tell=lambda _: None,
            on_trip=lambda cause, _: put.append(cause),
        )
        await after.latch(cast("Any", SimpleNamespace(cause=COLLAPSED, later=None, stimulated=True)))

    in_virtual_time(scene())
    assert put == ([] if safe else [COLLAPSED])


@pytest.mark.parametrize("tier", ["trip", "stop"])
def test_a_limit_that_outlasts_the_run_must_hold_again_whichever_tier_it_passed(tier: str) -> None:
    plan = plan_of(ONE_CYCLE)
    rule = "sample.temperature"
    mine = [it for it in plan.limits_in(plan.channel.place, Phase.CONDITIONING) if it.rule == rule]
    assert mine
    cause = Cause(EndKind.SAMPLE_EVENT, rule + (STOPPED if tier == "stop" else ""), "th1", 70.0, 61.0)
    result = SafeResult("x", (), isolated=True, took_s=1.0)
    latch = latch_of(plan.document(), cause, result, bench="demo", run_id="0001-x", bundle="x", utc_s=0.0)
    assert {it.channel for it in mine} <= {it.channel for it in latch.limits if it.rule == rule}


@pytest.mark.fault("F45")
@pytest.mark.parametrize("rule", ["runaway", "zone.rig1.runaway", "interlock.smoke_clear", "rate.temperature"])
def test_after_fire_and_runaway_the_sample_must_have_cooled_down(rule: str) -> None:
    plan = plan_of(ONE_CYCLE)
    result = SafeResult("x", (), isolated=True, took_s=1.0)
    cause = Cause(EndKind.SAMPLE_EVENT, rule, "th1", 700.0, None)
    latch = latch_of(plan.document(), cause, result, bench="demo", run_id="0001-x", bundle="x", utc_s=0.0)
    surface = plan.channel.surface[0]
    limits = {it.rule for it in latch.limits if it.channel == surface}
    assert limits == {"sample.temperature", "bench.surface_temperature"}
