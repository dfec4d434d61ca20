"""``python -m tests.simulation``: replay a seed, sweep many, plant bugs, interrupt at every await site.

--seed N            one world, told in full; shrinks it to a plan if it breaks a promise
--seeds A-B         these worlds (B included), at most --budget of real time
--plan FILE         a plan of tests/plans
--bugs              every planted bug, with the seeds that were needed (--most, 2000)
--sites N           every await site at its first and last visit, and N visits between
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from drivers.clock import real_elapsed_s
from tests.simulation import plans
from tests.simulation.oracle import Judged, judge
from tests.simulation.planted import BUGS, DoesNotApplyError, planted
from tests.simulation.sites import interrupted, interruptions
from tests.simulation.sweep import Folder, swept
from tests.simulation.worlds import World, drawn


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
    smallest = folder.shrunk(world, judged)
    path = plans.FOLDER / f"seed-{world.seed}.yaml"
    path.write_text(plans.text_of(smallest, folder.tried(smallest)[1].findings))
    print(f"shrunk to {path}; replay: python -m tests.simulation --plan {path}", file=sys.stderr)


def _sweep(seeds: str, budget_s: float | None, *, as_json: bool) -> int:
    first, _, last = seeds.partition("-")
    wanted = range(int(first), int(last or first) + 1)
    sweep = swept(wanted, budget_s=budget_s, on_broken=_keep)
    print(json.dumps(sweep.document(len(wanted))) if as_json else sweep.text(len(wanted)))
    return 1 if sweep.broken else 0


def _bugs(most: int, budget_s: float | None, *, as_json: bool) -> int:
    """Seeds needed a bug; 0 stands for not found."""
    folder, begun_s = Folder(), real_elapsed_s()
    needed: dict[str, int] = {}
    missing = [f"{bug.name}: does not apply" for bug in BUGS if not _applies(bug.name)]
    try:
        for index, bug in enumerate(BUGS):
            share_s = None if budget_s is None else (budget_s - (real_elapsed_s() - begun_s)) / (len(BUGS) - index)
            needed[bug.name] = seeds_needed(bug.name, folder, most, share_s)
            if not as_json:
                print(f"{needed[bug.name] or 'not found':>9}  {bug.name}", flush=True)
    finally:
        folder.close()
    hidden = [name for name, seeds in needed.items() if not seeds]
    if as_json:
        print(json.dumps({"seeds_needed": needed, "not_applicable": missing, "most": most}))
    else:
        print(f"{len(needed) - len(hidden)} of {len(BUGS)} bugs found; {'; '.join(missing)}")
    return 1 if hidden or missing else 0


def _applies(name: str) -> bool:
    try:
        with planted(next(bug for bug in BUGS if bug.name == name)):
            return True
    except DoesNotApplyError:
        return False


def seeds_needed(name: str, folder: Folder, most: int, budget_s: float | None = None) -> int:
    """How many worlds, from seed 0 on, until a planted bug is found; 0 if it is not."""
    bug = next(bug for bug in BUGS if bug.name == name)
    begun_s = real_elapsed_s()
    try:
        with planted(bug):
            for seed in range(most):
                if budget_s is not None and real_elapsed_s() - begun_s > budget_s:
                    return 0
                if found_out(drawn(seed, folder.scene), folder):
                    return seed + 1
    except DoesNotApplyError:
        return 0
    return 0


def found_out(world: World, folder: Folder) -> bool:
    """Whether a world shows that something is wrong: a finding, or a harness that cannot even go on."""
    try:
        return bool(folder.tried(world)[1].findings)
    except Exception:  # noqa: BLE001 - a bug may break whatever it likes; that it shows is what counts
        return True


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
    return 1 if broken or done < len(every) else 0


if __name__ == "__main__":
    sys.exit(main())
