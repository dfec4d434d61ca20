"""Why a run ends: the closed list of kinds, and the first cause."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EndKind(StrEnum):
    """What ended the run. Only ``completed`` means that the sequence came to its own end."""

    COMPLETED = "completed"
    SAMPLE_EVENT = "sample_event"
    BENCH_LIMIT = "bench_limit"
    STALENESS = "staleness"
    INTERLOCK = "interlock"
    PERSON = "person"
    DEVICE = "device"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Cause:
    """The first thing that called for an end: which rule, on which device, what it saw, what it allows."""

    kind: EndKind
    rule: str | None = None
    device: str | None = None
    value: float | None = None
    limit: float | None = None


class NotConfirmedError(Exception):
    """A person did not give the confirmation, or the leave, that the step needs."""
