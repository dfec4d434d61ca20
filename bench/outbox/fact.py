"""What leaves the house, in no broker's words yet: one fact of one channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

#: A fact that takes more is refused and counted: one producer cannot fill the outbox with one call.
LARGEST_BYTES = 32_768


class Kind(StrEnum):
    READING = "reading"
    STATE = "state"
    STEP = "step"
    EVENT = "event"
    ALARM = "alarm"
    VERDICT = "verdict"
    GONE = "gone"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class Fact:
    """``channel`` is the bench's own name of it, empty for what concerns the whole bench. ``utc_s`` is Unix time.

    ``body`` is what JSON can say. A number that is none (NaN) becomes null.
    """

    kind: Kind
    channel: str
    utc_s: float
    body: Mapping[str, Any] = field(default_factory=dict)

    def packed(self) -> bytes:
        """As it is stored. Raises ValueError when it cannot be said in JSON or is too large."""
        try:
            data = orjson.dumps(
                [self.kind.value, self.channel, self.utc_s, self.body],
                option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS,
                default=str,
            )
        except TypeError as error:  # JSONEncodeError is one
            raise ValueError(f"it cannot be said in JSON: {error}") from None
        if len(data) > LARGEST_BYTES:
            raise ValueError(f"it takes {len(data)} bytes, at most {LARGEST_BYTES} are taken")
        return data

    @classmethod
    def unpacked(cls, data: bytes) -> Fact:
        """From what is stored. Raises ValueError."""
        kind, channel, utc_s, body = orjson.loads(data)
        return cls(Kind(kind), str(channel), float(utc_s), dict(body))


def gap(lost: int | None, from_utc_s: float | None, to_utc_s: float, why: str) -> Fact:
    """That ``lost`` facts were dropped, the oldest of them of ``from_utc_s``. None is what nobody knows."""
    return Fact(Kind.GAP, "", to_utc_s, {"lost": lost, "from_utc_s": from_utc_s, "to_utc_s": to_utc_s, "why": why})
