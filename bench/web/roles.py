"""Who may do what: five roles, each holding all that the ones before it hold.

A stop is not in this order: every caller who is known may stop, of whatever role.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Role(StrEnum):
    VIEWER = "viewer"  # looks, and stops
    OPERATOR = "operator"  # starts, pauses, resumes, answers prompts, acknowledges alarms
    ENGINEER = "engineer"  # judges closed runs, shelves alarms, reads the audit trail
    SAFETY = "safety"  # takes the latch of a tripped bench away
    ADMIN = "admin"  # keeps the users

    @property
    def rank(self) -> int:
        return _ORDER.index(self)

    def holds(self, needed: Role) -> bool:
        """Whether a caller of this role may do what needs the other."""
        return self.rank >= needed.rank


_ORDER = tuple(Role)

How = Literal["session", "token", "console"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a person by session or token, or whoever sits at the bench PC itself (``console``)."""

    name: str
    role: Role
    how: How
    #: Of the credential: what a log-out or a revocation takes away. Empty for the console.
    credential: str = ""
    #: When it was given.
    since_utc_s: float = 0.0
    #: A browser's cookie, which goes along by itself: a change then needs proof that our own page asked.
    by_cookie: bool = False


def person_key(name: str) -> str:
    """A person's name for comparison: however it is capitalised and spaced."""
    return " ".join(name.casefold().split())
