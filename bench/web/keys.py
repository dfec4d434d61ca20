"""Idempotency keys: what was asked under one is done once, and is not to be mixed up with anything else."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from bench.web.problems import Problem
from bench.web.roles import Caller, person_key

#: So many keys are remembered; the oldest is forgotten first.
REMEMBERED = 10_000


@dataclass(slots=True)
class Asked:
    """What a key stands for. ``given`` is what came of it; None while it is under way, or where nobody keeps it."""

    digest: str
    given: Any = None


class Keys:
    """The keys that this daemon has heard. Those of a daemon before it are forgotten."""

    def __init__(self) -> None:
        self._asked: OrderedDict[str, Asked] = OrderedDict()

    @contextmanager
    def once(self, key: str, caller: Caller, act: str, what: Any) -> Iterator[Asked]:
        """The key stands for this act of this person from here on; what was refused inside sets it free again.

        Raises Problem ``key-reused``: it stands for something else."""
        body = orjson.dumps([act, person_key(caller.name), what], option=orjson.OPT_SORT_KEYS)
        digest = hashlib.sha256(body).hexdigest()
        known = self._asked.get(key)
        if known is not None and known.digest != digest:
            raise Problem("key-reused", "the key was given with something else", "make a new Idempotency-Key")
        asked = known or self._asked.setdefault(key, Asked(digest))
        while len(self._asked) > REMEMBERED:
            self._asked.popitem(last=False)
        try:
            yield asked
        except Exception:
            if known is None:
                self._asked.pop(key, None)
            raise
