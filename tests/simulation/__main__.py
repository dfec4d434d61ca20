"""``python -m tests.simulation``: replay a seed, sweep many, plant bugs, interrupt at every await site.

--seed N            one world, told in full; shrinks it to a plan if it breaks a promise
--seeds A-B         these worlds (B included), at most --budget of real time
--plan FILE         a plan of tests/plans
--bugs              every planted bug, with the seeds that were needed (--most, 2000)
--sites N           every await site at its first and last visit, and N visits between

Ends with 1 if a promise was broken or a bug was not found, with 3 if it came to less than was asked for.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from drivers.clock import real_elapsed_s
from tests.simulation import plans
from tests.simulation.oracle import Judged, judge
from tests.simulation.planted import BUGS, DoesNotApplyError, planted
from tests.simulation.seeds import drawn
from tests.simulation.sites import interrupted, interruptions
from tests.simulation.sweep import Folder, swept
from tests.simulation.worlds import World

#: Less was done than was asked for, and nothing of it went wrong.
UNFINISHED = 3


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--seeds")
    parser.add_argument("--plan", type=Path)
    parser.add_argument("--bugs", action="store_true")
    parser.add_argument("--most", type=int, default=2000)
    parser.add_argument("--sites", type=int)
    parser.add_argument("--budget")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    budget_s = None if asked.budget is None else _seconds(asked.budget)
    if asked.seeds is not None:
        return _sweep(asked.seeds, budget_s, as_json=asked.json)
    if asked.bugs:
        return _bugs(asked.most, budget_s, as_json=asked.json)
    if asked.sites is not None:
        return _sites(asked.sites, budget_s, as_json=asked.json)
    if asked.seed is None and asked.plan is None:
        parser.error("say --seed, --seeds, --plan, --bugs or --sites")
    return _one(asked.seed, asked.plan, as_json=asked.json)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)\s*(s|m|h)", text)
    if match is None:
        raise SystemExit(f"--budget {text!r}: write 30s, 5m or 1h")
    return float(match[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0}[match[2]]


def _one(seed: int | None, plan: Path | None, *, as_json: bool) -> int:
    folder = Folder()
    try:
        world = drawn(seed or 0, folder.scene) if plan is None else plans.read(plan, folder.scene)
        found, judged = folder.tried(world)
        if as_json:
            print(json.dumps({"seed": world.seed, "findings": judged.findings, "ended_s": found.ended_s}))
        else:
            print(plans.text_of(world, judged.findings))
            for it in found.struck:
                print(f"  {it.at_s:9.3f} s  {it.strike.fault} {it.strike.where}")
            print(f"  {found.ended_s:9.3f} s  ended: {found.result or found.raised!r}")
        if judged.findings and plan is None:
            _keep(world, judged, folder)
        return 1 if judged.findings else 0
    finally:
        folder.close()


def _keep(world: World, judged: Judged, folder: Folder) -> None:
    """Shrink a world and write it down as a plan."""
    print("\n".join(f"SEED {world.seed}: {line}" for line in judged.findings), file=sys.stderr, flush=True)
    smallest = folder.shrunk(world, judged)
    path = plans.FOLDER / f"seed-{world.seed}.yaml"
    path.write_text(plans.text_of(smallest, folder.tried(smallest)[1].findings))
    print(f"shrunk to {path}; replay: python -m tests.simulation --plan {path}", file=sys.stderr)


def _sweep(seeds: str, budget_s: float | None, *, as_json: bool) -> int:
    first, _, last = seeds.partition("-")
    wanted = range(int(first), int(last or first) + 1)
    sweep = swept(wanted, budget_s=budget_s, on_broken=_keep)
    print(json.dumps(sweep.document(len(wanted))) if as_json else sweep.text(len(wanted)))
    return 1 if sweep.broken else UNFINISHED if sweep.runs < len(wanted) else 0


def _bugs(most: int, budget_s: float | None, *, as_json: bool) -> int:
    """The table of seeds needed: a bug, the first seed that shows it, by what, and in how many tries."""
    folder, begun_s = Folder(), real_elapsed_s()
    needed: dict[str, Needed] = {}
    missing = [f"{bug.name}: does not apply" for bug in BUGS if not _applies(bug.name)]
    try:
        for index, bug in enumerate(BUGS):
            share_s = None if budget_s is None else (budget_s - (real_elapsed_s() - begun_s)) / (len(BUGS) - index)
            it = needed[bug.name] = seeds_needed(bug.name, folder, most, share_s)
            if not as_json:
                seeds = f"{it.seeds} seeds" if it.by else f"not in {it.seeds}"
                print(f"{seeds:>12}  {bug.name:<46} {it.by}", flush=True)
    finally:
        folder.close()
    hidden = [it for it in needed.values() if not it.by]
    if as_json:
        table = {name: {"seeds": it.seeds, "by": it.by} for name, it in needed.items()}
        print(json.dumps({"seeds_needed": table, "not_applicable": missing, "most": most}))
    else:
        found = sorted(it.seeds for it in needed.values() if it.by)
        of = f"after {found[0]} to {found[-1]} seeds, half of them within {found[len(found) // 2]}" if found else "none"
        print(f"{len(found)} of {len(BUGS)} bugs found within {most} seeds, {of}; {'; '.join(missing)}")
    if missing or any(it.seeds >= most for it in hidden):
        return 1
    return UNFINISHED if hidden else 0


def _applies(name: str) -> bool:
    try:
        with planted(next(bug for bug in BUGS if bug.name == name)):
            return True
    except DoesNotApplyError:
        return False


@dataclass(frozen=True)
class Needed:
    """So many worlds, from seed 0 on, were tried for a bug; ``by`` is the promise whose breach showed it, else ""."""

    seeds: int
    by: str = ""


def seeds_needed(name: str, folder: Folder, most: int, budget_s: float | None = None) -> Needed:
    """Try worlds from seed 0 on until a planted bug is found: by a world in which nothing is wrong without it."""
    bug = next(bug for bug in BUGS if bug.name == name)
    begun_s = real_elapsed_s()
    try:
        for seed in range(most):
            if budget_s is not None and real_elapsed_s() - begun_s > budget_s:
                return Needed(seed)
            world = drawn(seed, folder.scene)
            if bug.nailed and not world.nailed:
                continue
            with planted(bug):
                found = found_out(world, folder)
            if found and not found_out(world, folder):
                return Needed(seed + 1, found)
    except DoesNotApplyError:
        return Needed(0)
    return Needed(most)


def found_out(world: World, folder: Folder) -> str:
    """The promise that a world shows to be broken; a harness that cannot even go on counts. "" if none is."""
    try:
        findings = folder.tried(world)[1].findings
    except Exception as error:  # noqa: BLE001 - a bug may break whatever it likes; that it shows is what counts
        return type(error).__name__
    return findings[0].partition(":")[0] if findings else ""


def _sites(between: int, budget_s: float | None, *, as_json: bool) -> int:
    folder, begun_s = Folder(), real_elapsed_s()
    broken: list[str] = []
    try:
        every = interruptions(folder.path, between=between)
        done = 0
        for at in every:
            if budget_s is not None and real_elapsed_s() - begun_s > budget_s:
                break
            done += 1
            findings = judge(interrupted(at, folder.path)).findings
            folder.clear()
            broken += [f"{at}: {line}" for line in findings]
    finally:
        folder.close()
    places = len({(at.reference, at.site) for at in every})
    if as_json:
        print(json.dumps({"asked": len(every), "runs": done, "sites": places, "broken": broken}))
    else:
        of = f"{done} of {len(every)}" if done < len(every) else str(done)
        print("\n".join([f"{of} interruptions at {places} sites of three runs, {len(broken)} findings", *broken]))
    return 1 if broken else UNFINISHED if done < len(every) else 0


if __name__ == "__main__":
    sys.exit(main())
