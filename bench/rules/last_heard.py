"""How long something that is heard at a changing pace may still be silent."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(slots=True)
class LastHeard:
    """``since_s`` is when it was last heard. Instants and spans in seconds, of the loop's clock."""

    since_s: float
    _age_s: float = math.nan
    _due_s: float = math.nan
    _by_s: float = math.nan

    def due_s(self, age_s: float, now_s: float) -> float:
        """The instant from which it is silent too long, where it may be for ``age_s``.

        An age that has become shorter counts from now: what was heard at a slower pace is not late by the new one. But
        it never gives more time than was left of the longer one: what was silent before is not heard of because the
        pace has changed. To be asked at every change of the age.
        """
        if self.since_s != self._by_s:  # heard meanwhile, at the pace that was
            was_s = age_s if math.isnan(self._age_s) else self._age_s
            self._by_s, self._due_s = self.since_s, self.since_s + was_s
        if age_s < self._age_s:
            self._due_s = min(self._due_s, now_s + age_s)
        elif age_s > self._age_s:
            self._due_s = max(self._due_s, self.since_s + age_s)
        self._age_s = age_s
        return self._due_s
