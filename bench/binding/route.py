"""Where the sample is while each step runs: the start place of its channel, and what transfers take it to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.binding.faults import Findings
from bench.binding.steps import where_is
from bench.config import BenchFile
from sequences.language import Repeat, RepeatUntilStable, Sequence, Step, Transfer

Number = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """``places`` in the order of the first visit, the start place first. ``at`` is the place of each step by its number
    in the tree; a transfer counts to where it leads."""

    places: tuple[str, ...]
    at: Mapping[Number, str]

    @property
    def start(self) -> str:
        return self.places[0]


def route(sequence: Sequence, bench: BenchFile, channel: str, findings: Findings) -> Route:
    """Walk the steps in their order. A transfer that leads nowhere is a fault; the sample then stays where it is."""
    walk = _Walk(sequence, bench, channel, findings)
    walk.take(sequence.steps, (), turns=1)
    return Route(tuple(dict.fromkeys(walk.visited)), walk.at)


class _Walk:
    def __init__(self, sequence: Sequence, bench: BenchFile, channel: str, findings: Findings) -> None:
        entry = bench.channels[channel]
        self.at: dict[Number, str] = {}
        self.visited = [entry.place]
        self._sequence = sequence
        self._bench = bench
        self._channel = channel
        self._reached = tuple(dict.fromkeys((entry.place, *entry.reaches)))
        self._findings = findings

    def take(self, steps: tuple[Step, ...], above: Number, *, turns: int) -> None:
        for index, step in enumerate(steps, start=1):
            number = (*above, index)
            if isinstance(step, Transfer):
                self._carry(step, where_is(self._sequence, number, step), turns)
            self.at[number] = self.visited[-1]
            if isinstance(step, Repeat | RepeatUntilStable):
                its_turns = step.count if isinstance(step, Repeat) else step.at_most
                self.take(step.steps, number, turns=turns * its_turns)

    def _carry(self, step: Transfer, where: str, turns: int) -> None:
        bench, findings = self._bench, self._findings
        fits = [name for name in self._reached if name in bench.places and bench.places[name].kind == step.to]
        reached = ", ".join(f"{name} ({bench.places[name].kind})" for name in self._reached if name in bench.places)
        if not findings.need(
            fits,
            f"channel {self._channel} reaches no place of kind {step.to}",
            where,
            f"it reaches {reached}: choose another channel, or add [channels.{self._channel}.reaches.PLACE]",
        ):
            return
        findings.need(
            len(fits) == 1,
            f"channel {self._channel} reaches several places of kind {step.to}: {', '.join(fits)}",
            where,
            "a transfer names a kind of place, so the channel may have only one of it",
        )
        findings.need(
            fits[0] != self.visited[-1],
            f"the sample is in {fits[0]} already",
            where,
            "remove the transfer, or start in another place",
        )
        findings.need(
            turns == 1, "a transfer in a repeat of several turns", where, "carry the sample before or after the repeat"
        )
        self.visited.append(fits[0])
