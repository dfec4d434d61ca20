"""A run in virtual time against the same exchanges made bare: same scene, same loop, same requests, same instants.

One run of the product, with a hook on every simulated device, says which exchanges it makes and when. Bare clients make
them again; a second hook shows that they are the same to the byte. Then both are timed, without a hook.
"""

from __future__ import annotations

import gc
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.answers import simulated_operator
from bench.results import RunResult
from bench.run import Order, Prepared, prepare, run_simulated
from bench.shipped import examples
from bench.simulated import SceneSpec, in_virtual_time, scene_spec, virtual_bench
from drivers.clock import real_elapsed_s
from tests.benchmark.exchanges import Exchanges, Script, differences, replay, scripts
from tests.benchmark.pairs import Comparison, compare, take_pairs

SEQUENCE = Path(__file__).with_name("hours.yaml")
START_UTC_S = 1767600000.0
GOAL = 2.5


class UnfairError(Exception):
    """The two sides do not do the same work; a ratio of them would mean nothing."""


@dataclass(frozen=True)
class Contest:
    """The product's run and its bare twin."""

    prepared: Prepared
    spec: SceneSpec
    scripts: tuple[Script, ...] = ()

    def run(self, hook: Exchanges | None = None) -> RunResult:
        answers = simulated_operator(self.prepared.plan.bench.simulation.operator)
        return run_simulated(self.prepared, answers, arrange=None if hook is None else hook.hook)

    def bare(self, hook: Exchanges | None = None) -> None:
        async def main() -> None:
            async with virtual_bench(self.spec, start_utc_s=START_UTC_S) as bench:
                if hook is not None:
                    hook.hook(bench)
                await replay(self.scripts, bench.urls, bench.flight)
                if bench.forced_jumps():
                    raise UnfairError(f"the bare run forced {bench.forced_jumps()} jumps of the clock")

        in_virtual_time(main(), speed=None)

    def run_s(self) -> float:
        gc.collect()
        begun_s = real_elapsed_s()
        self.run()
        return real_elapsed_s() - begun_s

    def bare_s(self) -> float:
        gc.collect()
        begun_s = real_elapsed_s()
        self.bare()
        return real_elapsed_s() - begun_s


def virtual_run(pairs: int) -> Comparison:
    """Compare. Raises UnfairError when the bare side does not make the same exchanges."""
    with tempfile.TemporaryDirectory() as folder:
        contest = _contest(Path(folder))
        ours = Exchanges()
        result = contest.run(ours)
        if result.exit_code:
            raise UnfairError(f"the run did not come to its end: {result.faults}")
        contest = Contest(contest.prepared, contest.spec, scripts(contest.spec, ours.taken))
        bare = Exchanges()
        contest.bare(bare)
        others, answers = differences(contest.scripts, scripts(contest.spec, bare.taken))
        if others:
            raise UnfairError(f"{others} of {len(ours.taken)} exchanges are not the same bare")
        taken = take_pairs(pairs, contest.run_s, contest.bare_s)
    wall_s = median(pair.ours for pair in taken)
    return compare(
        "virtual-time run",
        "same exchanges made bare",
        "s",
        taken,
        goal=GOAL,
        notes=(
            f"{result.test_s:.0f} virtual s in {wall_s:.2f} s: {result.test_s / wall_s:.0f} times real time",
            f"{len(ours.taken)} exchanges on each side, {len(ours.taken) - answers} of them answered by the same bytes",
            "ours includes connecting, preflight, guard, record, report and the sealed bundle",
        ),
    )


def _contest(folder: Path) -> Contest:
    order = Order(
        sequence=str(SEQUENCE),
        bench=examples() / "benches" / "demo.toml",
        cell=examples() / "cells" / "nmc-21700.toml",
        simulate=True,
        start_utc_s=START_UTC_S,
        data=folder / "data",
    )
    prepared = prepare(order, {})
    plan = prepared.plan
    spec = scene_spec(plan.bench, plan.cell, channel=plan.channel.name, mass_kg=plan.cell.mass_kg, seed=order.seed)
    return Contest(prepared, spec)
