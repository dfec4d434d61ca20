"""The engine beats only after the guard's checks, and a guardian that is gone ends the run by the way out."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bench.guardian.link import NoGuardian
from tests.bench.small_bench import Scene, energised, run_small


class Told(NoGuardian):
    """A link in virtual time: remembers when it was told what."""

    name = "process 4711"
    every_s = 0.5

    def __init__(self) -> None:
        super().__init__()
        self.beats_s: list[float] = []
        self.endings_s: list[float] = []

    def beat(self) -> None:
        self.beats_s.append(asyncio.get_running_loop().time())

    def ending(self, within_s: float = 120.0) -> None:
        self.endings_s.append(asyncio.get_running_loop().time())


def test_while_energy_is_on_it_beats_at_least_every_half_second(tmp_path: Path) -> None:
    link = Told()
    ran = run_small(tmp_path / "run", link=link)
    assert ran.outcome.ended_by.kind.value == "completed"
    gaps_s = [later - earlier for earlier, later in zip(link.beats_s, link.beats_s[1:], strict=False)]
    assert len(gaps_s) > 1000
    assert max(gaps_s) <= 0.5 + 1e-6
    assert link.endings_s
    assert link.endings_s[0] >= link.beats_s[-1] - 0.5 - 1e-6


def test_a_guard_whose_timer_does_not_come_round_does_not_beat(tmp_path: Path) -> None:
    link = Told()
    held: list[int] = []

    async def meanwhile(scene: Scene) -> None:
        await energised(scene)
        (guard,) = [task for task in asyncio.all_tasks() if task.get_name() == "guard"]
        guard.cancel()  # whatever ends it
        before = len(link.beats_s)
        await asyncio.sleep(0.0)
        held.append(len(link.beats_s) - before)

    ran = run_small(tmp_path / "run", link=link, meanwhile=meanwhile)
    assert held == [0]
    assert ran.outcome.ended_by.kind.value == "host"  # a guard that ends ends the run
    assert not ran.world.output


def test_a_run_that_loses_its_guardian_makes_safe_and_ends(tmp_path: Path) -> None:
    link = Told()

    async def meanwhile(scene: Scene) -> None:
        await energised(scene)
        link.lost.set_result("no heartbeat for 2 s")

    ran = run_small(tmp_path / "run", link=link, meanwhile=meanwhile)
    ended = ran.outcome.ended_by
    assert ended.kind.value == "host"
    assert ended.rule == "guardian lost: no heartbeat for 2 s"
    assert not ran.world.output
    assert not ran.world.contactor
    assert "ch1 safe" in ran.world.acts
