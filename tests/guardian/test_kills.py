"""Kills and restarts at random instants of live runs on a standing bench: nothing is ever energised but by a run that
has written so first, and what a kill leaves on is off in time.

Of ``ALL`` kills a run draws ``PART`` by the seed that is printed, unless CELLBENCH_ALL is set, which ``scripts/soak``
does; CELLBENCH_KILLS asks for another number, CELLBENCH_KILLS_BUDGET_S ends the drawing after so many seconds. Some
benches stand beside each other, each with runs of its own.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.guardian.standing import LOOK_S, Standing, child_of, kill, over, standing

pytestmark = pytest.mark.scenario

SEED = int(os.environ.get("CELLBENCH_SEED", "20261123"))
ALL, PART = 1000, 2
WANTED = int(os.environ.get("CELLBENCH_KILLS", ALL if os.environ.get("CELLBENCH_ALL") else PART))
BUDGET_S = float(os.environ.get("CELLBENCH_KILLS_BUDGET_S", "inf"))
#: Benches that stand beside each other.
LANES = min(4, WANTED)
#: A run is killed so long after its start at most: before it connects, in its preflight, under current.
LATEST_S = 8.0
#: Half of them: so long after a current has begun to flow.
UNDER_CURRENT_S = 2.0
#: What is energised is off by then.
KILLED_S, STOPPED_S = 5.0, 7.0
#: And stays off for so long before the next start.
QUIET_S = 0.5

#: Who is struck, by what. With both gone only the watchdogs of the devices are left.
STRIKES = (
    (("run",), signal.SIGKILL),
    (("run",), signal.SIGSTOP),
    (("guardian",), signal.SIGKILL),
    (("guardian",), signal.SIGSTOP),
    (("guardian", "run"), signal.SIGKILL),
)


@dataclass
class Watch:
    """Looks at the plant all the time. ``allowed_until_s`` is when everything must be off; None while a run may."""

    bench: Standing
    allowed_until_s: float | None = 0.0
    told: bool = False
    energised: int = 0
    wrong: list[str] = field(default_factory=list)

    async def look(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            found = self.bench.energised()
            if found:
                if self.allowed_until_s is not None and loop.time() > self.allowed_until_s:
                    self.wrong.append(f"{found} {loop.time() - self.allowed_until_s:.2f} s too late")
                    self.allowed_until_s = None
                elif not self.told:
                    self.told = True
                    self.energised += 1
                    if not any('"contactor_close"' in path.read_text() for path in self.events()):
                        self.wrong.append(f"{found} although no run has written that it would")
            await asyncio.sleep(LOOK_S)

    def events(self) -> list[Path]:
        return list((self.bench.data / "runs").glob("*/events.jsonl"))

    def begin(self) -> None:
        self.allowed_until_s, self.told = None, False


async def one(bench: Standing, watch: Watch, draw: random.Random, number: int) -> str:
    """One start, one strike, one wait. Says what was done."""
    loop = asyncio.get_running_loop()
    whom, how = draw.choice(STRIKES)
    under_current = draw.random() < 0.5
    after_s = draw.uniform(0.0, UNDER_CURRENT_S if under_current else LATEST_S)
    bench.new_data(f"data-{number}")
    watch.begin()
    run = await bench.started()
    if under_current:
        try:
            await bench.under_current()
        except AssertionError as error:
            with suppress(ProcessLookupError):
                kill(run.pid, signal.SIGKILL)
            raise AssertionError(f"kill {number}: {error}; the run said: {await over(run)}") from None
    await asyncio.sleep(after_s)
    with suppress(IndexError, FileNotFoundError):  # not started yet, or over
        child = child_of(run)
        was_on = bool(bench.energised())
        for name in whom:
            with suppress(ProcessLookupError):
                kill(run.pid if name == "guardian" else child, how)
        within_s = STOPPED_S if how is signal.SIGSTOP else KILLED_S
        watch.allowed_until_s = loop.time() + within_s
        await asyncio.sleep(within_s if was_on else 1.0)
        for pid in (run.pid, child):
            for last in (signal.SIGCONT, signal.SIGKILL):
                with suppress(ProcessLookupError):
                    kill(pid, last)
        await over(run)
        watch.allowed_until_s = loop.time() if was_on else loop.time() + KILLED_S
        await asyncio.sleep(QUIET_S if was_on else KILLED_S)
        shutil.rmtree(bench.data)
        return f"{how.name} of {' and '.join(whom)} after {after_s:.2f} s, {'under current' if was_on else 'off'}"
    with suppress(ProcessLookupError):
        kill(run.pid, signal.SIGKILL)
    await over(run)
    watch.allowed_until_s = loop.time()
    shutil.rmtree(bench.data, ignore_errors=True)  # else what it left there holds the next run up
    return "ended before it was struck"


@pytest.mark.fault("F64", "F72")
async def test_nothing_is_energised_but_by_a_run_and_nothing_stays_on_after_a_kill(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    end_s, left = loop.time() + BUDGET_S, iter(range(WANTED))
    done: list[str] = []
    wrong: list[str] = []
    energised = 0

    async def lane(number: int) -> None:
        nonlocal energised
        async with standing(tmp_path / str(number)) as bench:
            watch = Watch(bench)
            looking = asyncio.create_task(watch.look())
            for at in left:
                if loop.time() > end_s:
                    break
                said = await one(bench, watch, random.Random(f"{SEED}:{at}"), at)
                done.append(said)
                wrong.extend(f"kill {at} ({said}): {what}" for what in watch.wrong)
                watch.wrong.clear()
            energised += watch.energised
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    await asyncio.gather(*(lane(number) for number in range(LANES)))
    print(f"{len(done)} of {ALL} kills and restarts, {energised} of them energised, {len(wrong)} wrong (seed {SEED})")
    assert not wrong, wrong
    assert len(done) == WANTED or loop.time() > end_s
