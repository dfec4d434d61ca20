"""From a seed to its world, whichever kind that is of."""

from __future__ import annotations

from random import Random

from simulators.spec import SceneSpec
from tests.simulation.nail_worlds import nailed
from tests.simulation.worlds import World, cycled

#: So many seeds drive a nail into a cell.
NAILED = 0.2


def drawn(seed: int, scene: SceneSpec) -> World:
    """The world of a seed. ``scene`` is that of :func:`tests.simulation.harness.scene_of`."""
    return (nailed if Random(f"kind {seed}").random() < NAILED else cycled)(seed, scene)
