"""What the record tells the run of its disk, so that the run ends while everything can still be kept."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bench.cause import Cause, EndKind


class TroubleKind(StrEnum):
    """``low water``: little room is left. ``suspect``: a file was not confirmed, the record goes on in another."""

    LOW_WATER = "low water"
    SUSPECT = "suspect"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something to end the run for. ``value`` and ``limit`` are bytes free, at low water."""

    kind: TroubleKind
    text: str
    value: float | None = None
    limit: float | None = None

    @property
    def cause(self) -> Cause:
        return Cause(EndKind.HOST, f"record: {self.kind}", value=self.value, limit=self.limit)
