"""How often somebody may guess a password. A log-in asks here, a signature asks here; a stop never does."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from bench.web.problems import Problem

#: So many names or addresses are remembered; the one that was longest quiet is forgotten first.
REMEMBERED = 10_000


class Attempts:
    """A bucket of failures for each key: ``burst`` at once, then one more every ``every_s``. ``mono_s`` is the time."""

    def __init__(self, mono_s: Callable[[], float], *, burst: int, every_s: float) -> None:
        self._mono_s = mono_s
        self._burst = burst
        self._every_s = every_s
        #: Of each key the instant when its bucket is empty again.
        self._empty_at_s: OrderedDict[str, float] = OrderedDict()

    def take(self, *keys: str) -> None:
        """Count an attempt of all of them. Raises Problem ``too-many-attempts``, and then counts none."""
        now_s = self._mono_s()
        waits_s = [self._empty_at_s.get(key, 0.0) - now_s - (self._burst - 1) * self._every_s for key in keys]
        if max(waits_s) > 0:
            fix = "wait; who is logged in already may stop and go on as before"
            raise Problem("too-many-attempts", "too many wrong passwords", fix, after_s=max(waits_s))
        for key in keys:
            self._empty_at_s[key] = max(self._empty_at_s.pop(key, 0.0), now_s) + self._every_s
        while len(self._empty_at_s) > REMEMBERED:
            self._empty_at_s.popitem(last=False)

    def give_back(self, *keys: str) -> None:
        """The attempt was right: it does not count."""
        for key in keys:
            if key in self._empty_at_s:
                self._empty_at_s[key] -= self._every_s
