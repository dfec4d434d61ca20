"""What was struck in a world and when it was in force, and what the oracles make of a world."""

from __future__ import annotations

from dataclasses import dataclass, field

from simulators.strikes import Struck
from tests.simulation.harness import Found


@dataclass(slots=True)
class Judged:
    """``findings`` are broken promises. ``bounds`` are the measured times of each kind: from over a limit (or a stop)
    to off in truth, in seconds, beside what was allowed."""

    findings: list[str] = field(default_factory=list)
    bounds: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    nothing_left: bool = False
    unseen: bool = False

    def find(self, invariant: str, text: str) -> None:
        self.findings.append(f"{invariant}: {text}")


class Faults:
    """What was struck, and when it was in force. Everything is in seconds of the bench's time."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self.struck = found.struck

    def spans(self, *names: str, where: str = "", only_wire: bool = False) -> list[tuple[float, float]]:
        """From when to when faults of these names (any, if none is given) struck a device."""
        spans = []
        for it in self.struck:
            strike = it.strike
            if names and strike.fault not in names:
                continue
            if where and strike.where.partition(".")[0] != where:
                continue
            if only_wire and strike.kind.strikes != "wire":
                continue
            spans.append((it.at_s, self._until(it)))
        return spans

    def _until(self, it: Struck) -> float:
        strike = it.strike
        if strike.fault in ("reset", "restarts", "garbage", "found_on", "own_protection"):
            return it.at_s + strike.params.get("down", 1.0) + 3.0
        count = strike.params.get("count", 1.0) if "count" in strike.kind.params else 0.0
        if count:
            return it.at_s + count * 3.0 * max(self._found.world.period_s, 1.0)
        return it.at_s + strike.for_s if strike.for_s is not None else float("inf")

    def during(self, from_s: float, to_s: float, *names: str, where: str = "", only_wire: bool = False) -> bool:
        spans = self.spans(*names, where=where, only_wire=only_wire)
        return any(begin <= to_s and from_s <= end + 1.0 for begin, end in spans)

    def any_of(self, *names: str) -> list[Struck]:
        return [it for it in self.struck if it.strike.fault in names]

    def source_fails(self, from_s: float, to_s: float) -> bool:
        """Whether the cycler does not answer, or does not obey, somewhere within."""
        return self.during(from_s, to_s, where="psb", only_wire=True) or self.during(
            from_s, to_s, "output_stays_on", "deaf_to_settings", "taken_over", "restarts", where="psb"
        )

    def contactor_fails(self, from_s: float, to_s: float) -> bool:
        """Whether the contactor or its module does not answer or obey somewhere within."""
        return (
            self.during(from_s, to_s, where="io1", only_wire=True)
            or self.during(from_s, to_s, "contactor_welded")
            or self.during(from_s, to_s, "restarts", where="io1")
        )

    def nothing_left(self) -> bool:
        """Whether neither the cycler nor the contactor could be made to act at some instant."""
        times = [it.at_s for it in self.struck]
        return any(self.source_fails(at_s, at_s) and self.contactor_fails(at_s, at_s) for at_s in times)

    def frozen(self, from_s: float, to_s: float) -> bool:
        return self.during(from_s, to_s, "frozen", "killed")
