"""Worlds as files in ``tests/plans``: a fault script whose heading says the rest of the world."""

from __future__ import annotations

import re
from pathlib import Path

from bench.faults_file import read_faults, written
from simulators.spec import SceneSpec
from tests.simulation.worlds import World

FOLDER = Path(__file__).parents[1] / "plans"
_HEADING = re.compile(
    r"# world: seed (\d+), period ([\d.]+) s, start ([\d.]+), most turns (\d+), again (yes|no)"
    r"(?:, nail into ([\w-]+)(, awkward people)?)?$",
    re.MULTILINE,
)


def text_of(world: World, findings: list[str]) -> str:
    """A world as a plan that a test replays for ever."""
    again = "yes" if world.again else "no"
    heading = (
        f"world: seed {world.seed}, period {world.period_s:g} s, start {world.start_soc:g}, "
        f"most turns {world.most_turns}, again {again}"
    )
    if world.nailed:
        heading += f", nail into {world.nailed}" + (", awkward people" if world.awkward else "")
    text = written(world.strikes, "\n".join([heading, *(f"found: {line.splitlines()[0]}" for line in findings)]))
    return text if world.strikes else f"{text.rstrip()} []\n"


def read(path: Path, scene: SceneSpec) -> World:
    """The world of a plan. Raises ValueError for one without its heading, ConfigError for a wrong script."""
    text = path.read_text()
    found = _HEADING.search(text)
    if found is None:
        raise ValueError(f"{path}: no line `# world: ...`")
    return World(
        seed=int(found[1]),
        period_s=float(found[2]),
        start_soc=float(found[3]),
        most_turns=int(found[4]),
        strikes=read_faults(text, str(path), scene),
        again=found[5] == "yes",
        nailed=found[6] or "",
        awkward=found[7] is not None,
    )
