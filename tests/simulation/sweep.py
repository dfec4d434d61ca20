"""Many worlds, one after the other, and what they add up to."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.clock import real_elapsed_s
from tests.simulation.harness import Found, scene_of, simulate
from tests.simulation.oracle import Judged, judge
from tests.simulation.seeds import drawn
from tests.simulation.shrinking import shrunk
from tests.simulation.worlds import World


@dataclass
class Sweep:
    """The tally. ``worst`` is the longest time of each kind of bound and its largest share of what is allowed."""

    runs: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    times: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    nothing_left: int = 0
    unseen: int = 0
    again: int = 0
    broken: dict[int, list[str]] = field(default_factory=dict)
    took_s: float = 0.0

    def take(self, found: Found, judged: Judged) -> None:
        self.runs += 1
        result = found.result
        self.ends[type(found.raised).__name__ if result is None else f"{result.verdict}/{result.ended_by.kind}"] += 1
        self.faults.update(it.strike.fault for it in found.struck)
        for kind, times in judged.bounds.items():
            self.times.setdefault(kind, []).extend(times)
        self.nothing_left += judged.nothing_left
        self.unseen += judged.unseen
        self.again += found.again is not None
        if judged.findings:
            self.broken[found.world.seed] = judged.findings

    def document(self, asked: int) -> dict[str, Any]:
        """All figures, each with its n."""
        return {
            "asked": asked,
            "runs": self.runs,
            "broken": {str(seed): findings for seed, findings in self.broken.items()},
            "ends": dict(self.ends.most_common()),
            "faults_struck": dict(sorted(self.faults.items())),
            "nothing_left": self.nothing_left,
            "unseen": self.unseen,
            "next_runs": self.again,
            "times": {kind: _times(times) for kind, times in sorted(self.times.items())},
            "took_s": round(self.took_s, 1),
        }

    def text(self, asked: int) -> str:
        """The same for people."""
        of = f"{self.runs} of {asked} runs" if self.runs < asked else f"{self.runs} runs"
        lines = [f"{of}, {len(self.broken)} broke a promise, {self.again} next runs, {self.took_s:.0f} s"]
        for kind, times in sorted(self.times.items()):
            it = _times(times)
            lines.append(
                f"  {kind}: n={it['n']}, longest {it['longest_s']:.2f} s, p99 {it['p99_s']:.2f} s, "
                f"at most {it['worst_share']:.0%} of what is allowed"
            )
        lines.append(f"  counted apart: nothing was left that could act {self.nothing_left}, unseen {self.unseen}")
        lines.append(f"  {len(self.faults)} kinds of faults, struck {sum(self.faults.values())} times")
        lines += [f"  SEED {seed}: {line}" for seed, findings in self.broken.items() for line in findings]
        return "\n".join(lines)


def _times(times: list[tuple[float, float]]) -> dict[str, float]:
    took = sorted(took_s for took_s, _ in times)
    return {
        "n": len(took),
        "longest_s": round(took[-1], 3),
        "p99_s": round(took[min(int(0.99 * len(took)), len(took) - 1)], 3),
        "worst_share": round(max(took_s / allowed_s for took_s, allowed_s in times), 3),
    }


class Folder:
    """Where the bundles of a sweep go, and go away again."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="simulation-"))
        self.scene = scene_of(self.path)

    def tried(self, world: World) -> tuple[Found, Judged]:
        """Carry a world out and judge it; nothing of it stays."""
        found = simulate(world, self.path)
        judged = judge(found)
        self.clear()
        return found, judged

    def clear(self) -> None:
        """Take the bundles away."""
        for bundle in self.path.glob("tmp*"):
            shutil.rmtree(bundle, ignore_errors=True)

    def shrunk(self, world: World, judged: Judged) -> World:
        """The smallest world that breaks the same kind of promise."""
        kinds = {line.partition(":")[0] for line in judged.findings}
        return shrunk(world, lambda it: bool(kinds & {line.partition(":")[0] for line in self.tried(it)[1].findings}))

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def swept(
    seeds: Iterable[int],
    *,
    budget_s: float | None = None,
    on_broken: Callable[[World, Judged, Folder], object] | None = None,
) -> Sweep:
    """The worlds of these seeds, until the budget of real time is used up."""
    folder, sweep, begun_s = Folder(), Sweep(), real_elapsed_s()
    try:
        for seed in seeds:
            if budget_s is not None and real_elapsed_s() - begun_s > budget_s:
                break
            world = drawn(seed, folder.scene)
            found, judged = folder.tried(world)
            sweep.take(found, judged)
            if judged.findings and on_broken is not None:
                on_broken(world, judged, folder)
    finally:
        folder.close()
    sweep.took_s = real_elapsed_s() - begun_s
    return sweep
