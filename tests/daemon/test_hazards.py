"""What can hurt next, and when: on plans of the library, from sums that are done here by hand."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bench.daemon.front_desk import FrontDesk
from bench.daemon.hazards import ahead
from bench.daemon.house import BenchHouse
from bench.plan import Plan
from bench.run import Order, prepare
from bench.shipped import examples
from sequences.expressions import as_expression
from sequences.language import Phase, Repeat, Rest
from sequences.tree import numbered
from tests.daemon.houses import LINE, asked, in_house, in_step, started

NAIL, CAPACITY = "gbt31485-2015/nail-penetration", "gbt31486-2024/room-capacity"


def plan_of(sequence: str, tmp_path: Path, **overrides: str) -> Plan:
    cell = examples() / "cells" / "nmc-21700.toml"
    order = Order(sequence, LINE, cell, simulate=True, channel="1", data=tmp_path, overrides=overrides)
    return prepare(order, os.environ).plan


def test_before_the_nail_every_step_says_how_far_it_is(tmp_path: Path) -> None:
    plan = plan_of(NAIL, tmp_path)
    top = [step for number, step in numbered(plan.sequence.steps) if len(number) == 1]
    (nail,) = [at for at, step in enumerate(top, 1) if step.kind == "penetrate"]
    first = next(at for at, step in enumerate(top, 1) if step.phase is Phase.STIMULUS)
    assert first == nail
    for at in range(1, nail):
        found = ahead(plan, str(at))
        assert found is not None
        assert found.what == f"{NAIL}: step {nail} '{top[nail - 1].id}' (penetrate)"
        between = [plan.step_seconds(step) for step in top[at : nail - 1]]
        assert found.after_s == pytest.approx(sum(between))
        assert found.in_s(10.0, 25.0) == pytest.approx(25.0 + sum(between))
        assert found.in_s(10.0, None) == pytest.approx(max(0.0, plan.step_seconds(top[at - 1]) - 10.0) + sum(between))
    # 1 h of rest after the charge, at most 2 h with the carrying and what else is between
    charge = next(at for at, step in enumerate(top, 1) if step.id == "standard_charge")
    after_charge = ahead(plan, str(charge))
    assert after_charge is not None
    assert 3600.0 <= after_charge.after_s <= 7200.0
    stimulus = [at for at, step in enumerate(top, 1) if step.phase is Phase.STIMULUS]
    assert ahead(plan, str(max(stimulus))) is None, "behind the last one nothing is ahead"


def test_a_capacity_test_has_no_hazard_ahead(tmp_path: Path) -> None:
    plan = plan_of(CAPACITY, tmp_path)
    for number, step in numbered(plan.sequence.steps):
        if not hasattr(step, "steps"):
            path = "/".join(map(str, (number[0], *(part for each in number[1:] for part in (1, each)))))
            assert ahead(plan, path) is None


def rest(seconds: int) -> Rest:
    return Rest(duration=as_expression(f"{seconds} s").settled({}))


def test_the_turns_that_are_left_of_a_repeat_count(tmp_path: Path) -> None:
    plan = plan_of(NAIL, tmp_path)
    nail = next(step for step in plan.sequence.steps if step.kind == "penetrate")
    steps = (Repeat(count=3, steps=(rest(10), rest(20))), rest(5), nail)
    plan = replace(plan, sequence=plan.sequence.model_copy(update={"steps": steps}))
    # in turn 2 of 3, in its first rest: 20 s more of this turn, a turn of 30 s, then 5 s of rest, then the nail
    found = ahead(plan, "1/2/1")
    assert found is not None
    assert found.after_s == pytest.approx(20.0 + 30.0 + 5.0)
    assert found.here_s == pytest.approx(10.0)
    assert "step 3 " in found.what
    last = ahead(plan, "1/3/2")
    assert last is not None
    assert last.after_s == pytest.approx(5.0)
    assert last.in_s(15.0, None) == pytest.approx(5.0 + 5.0)


def test_a_hazard_within_the_turns_comes_again_in_the_next(tmp_path: Path) -> None:
    plan = plan_of(NAIL, tmp_path)
    nail = next(step for step in plan.sequence.steps if step.kind == "penetrate")
    steps = (Repeat(count=2, steps=(rest(10), nail, rest(20))),)
    plan = replace(plan, sequence=plan.sequence.model_copy(update={"steps": steps}))
    again = ahead(plan, "1/1/2")  # the first nail is under way: 20 s and 10 s of rest, then the second
    assert again is not None
    assert again.after_s == pytest.approx(30.0)
    assert "step 1.2 " in again.what
    assert ahead(plan, "1/2/2") is None


def test_the_wall_shows_it_where_there_is_one(tmp_path: Path) -> None:
    async def visit(house: BenchHouse, desk: FrontDesk) -> None:
        run = await started(desk, asked("1"), key="k")
        await in_step(house, run.run_id, "out")
        step = house.refresh().channels[0].step
        assert step is not None
        assert (step.next_hazard, step.next_hazard_s) == (None, None)
        await desk.stop(run.run_id, by="lin")
        nail = await started(desk, asked("2", sequence=NAIL), key="n")
        await in_step(house, nail.run_id, "soak")
        step = next(channel.step for channel in house.refresh().channels if channel.name == "2")
        assert step is not None
        assert step.next_hazard is not None
        assert "(penetrate)" in step.next_hazard
        assert step.next_hazard_s is not None
        # discharge and charge at no more than C/1 and C/3, an hour of rest behind each
        assert step.next_hazard_s > 2 * 3600.0
        await desk.abort_all(by="lin")

    in_house(tmp_path, visit)
