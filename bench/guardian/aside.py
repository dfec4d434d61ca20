"""A thread for what may block: a full pipe behind stderr, a disk that hangs. Nothing of that may hold up a guardian."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue


class Aside:
    """Does what it is given, in order, in a daemon thread of its own. An act must not raise."""

    def __init__(self, name: str) -> None:
        self._acts: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def do(self, act: Callable[[], None]) -> None:
        """Never waits."""
        self._acts.put(act)

    def settle(self, within_s: float) -> bool:
        """Whether all that was given so far is done, waiting at most so long."""
        done = threading.Event()
        self._acts.put(done.set)
        return done.wait(within_s)

    def _work(self) -> None:
        while True:
            self._acts.get()()
