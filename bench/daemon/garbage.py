"""When the interpreter looks for garbage in cycles.

A full look goes through every object there is and stops every thread meanwhile: 0.2 s with 64 runs under way, which a
guard at 10 Hz takes for silence. So what has lived for a while is set aside (``gc.freeze``), full looks come at a pace
of their own instead of the interpreter's, and each goes through what is newer than the one before. What an ended run
has left among the things set aside is looked for when nothing runs, or when so many have ended that it can wait no
longer.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.daemon.feed import Quiet
from bench.daemon.views import RunView
from drivers.clock import real_elapsed_s

#: A full look at what is new comes so often, in real time.
LOOK_S = 120.0
#: So many ended runs may wait for a moment in which nothing runs.
MOST_ENDED = 128
#: The interpreter's own full looks never come.
_NEVER = 1 << 30


class Garbage(Quiet):
    """A feed. ``quiet`` says whether no run is under way; :meth:`look` is to be called now and then."""

    def __init__(self, quiet: Callable[[], bool]) -> None:
        self._quiet = quiet
        self._ended = 0
        self._looked_s = real_elapsed_s()

    def changed(self, run: RunView) -> None:
        if run.state == "closed":
            self._ended += 1
        elif run.state == "running":  # its plan and its parts live as long as it does
            gc.collect(1)
            gc.freeze()

    def look(self) -> None:
        """A full look, if one is due."""
        now_s = real_elapsed_s()
        if self._ended and (self._quiet() or self._ended >= MOST_ENDED):
            self._ended = 0
            gc.unfreeze()
        elif now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        gc.collect()
        gc.freeze()


@contextmanager
def looked_for_apart() -> Iterator[None]:
    """The interpreter makes no full looks of its own inside."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(before[0], before[1], _NEVER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
