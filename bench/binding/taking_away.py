"""What takes the energy of each stimulus step away, and by when: shown by check, because there is no limit to stay
inside of. Every time counts from the instant at which the sample passes a limit, unless it says otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bench.binding.points import Equipment
from bench.binding.reaction import COMMAND_S, reaction_s
from bench.binding.route import Route
from bench.binding.shapes import BoundChannel, Point, Poll
from bench.binding.steps import where_is
from drivers.capabilities import OnCommLoss
from sequences.language import Charge, Crush, Discharge, Heat, Penetrate, Phase, Sequence, Short, Step
from sequences.tree import numbered

STALE_PERIODS = 3
#: From stale to the contactor's feedback (1.25 s to try the source, 0.5 s to open).
CONTACTOR_S = 1.75
#: What a chamber has to confirm in the safe state: its manual's pacing, and tries.
CHAMBER_S = 6.0
#: A motion is stopped this long after the rig or the guard sees why.
MOTION_S = 0.2
_LOSS = {
    OnCommLoss.DEVICE_WATCHDOG: "by its own watchdog",
    OnCommLoss.DEVICE_LIMITS: "by nothing but its own limits and its over-temperature cut-out",
    OnCommLoss.EXTERNAL_RELAY: "by its relay",
    OnCommLoss.NONE: "by nothing of its own",
}


def takes_away(
    sequence: Sequence,
    equipment: Equipment,
    route: Route,
    places: Mapping[str, BoundChannel],
    periods: Mapping[str, Poll],
    watchdogs: Mapping[str, float],
) -> tuple[str, ...]:
    """One text a stimulus step. Only for a bench in which everything was found fine."""
    speaks = _Speaks(equipment, periods, watchdogs)
    found = []
    for number, step in numbered(sequence.steps):
        if step.phase is Phase.STIMULUS:
            parts = list(speaks.of(step, places[route.at[number]]))
            if parts:
                found.append(f"{where_is(sequence, number, step)}: {'; '.join(parts)}")
    return tuple(found)


class _Speaks:
    def __init__(self, equipment: Equipment, periods: Mapping[str, Poll], watchdogs: Mapping[str, float]) -> None:
        self._equipment, self._periods, self._watchdogs = equipment, periods, watchdogs

    def of(self, step: Step, channel: BoundChannel) -> Iterator[str]:
        match step:
            case Charge() | Discharge():
                yield from self._cycler(channel)
            case Short():
                if channel.short is not None:
                    yield from self._switched("the short contactor", channel.short, channel)
            case Heat(by="heater"):
                if channel.heater is not None:
                    yield from self._switched("the heater", channel.heater, channel)
            case Heat():
                yield from self._chamber(channel)
            case Penetrate() | Crush():
                yield from self._tool(channel)
            case _:
                return

    def _cycler(self, channel: BoundChannel) -> Iterator[str]:
        name = channel.cycler.device
        period_s = self._period_s(name)
        yield (
            f"{name} off: frame within {2 * period_s + COMMAND_S:.3g} s, no current within {reaction_s(period_s):.3g} s"
        )
        late_s = STALE_PERIODS * period_s + CONTACTOR_S
        yield f"if it does not answer, contactor {channel.contactor} open within {late_s:.3g} s"
        yield self._silent(name)
        yield self._silent(channel.contactor.device)

    def _switched(self, what: str, point: Point, channel: BoundChannel) -> Iterator[str]:
        sensor = channel.surface[0].partition(".")[0] if channel.surface else point.device
        within_s = reaction_s(self._period_s(sensor))
        yield f"{what} {point} off within {within_s:.3g} s"
        yield self._silent(point.device)

    def _chamber(self, channel: BoundChannel) -> Iterator[str]:
        name = channel.chamber_device
        if name is None:
            return
        sensor = channel.surface[0].partition(".")[0] if channel.surface else name
        within_s = 2 * self._period_s(sensor) + CHAMBER_S
        yield f"{name} off within {within_s:.3g} s"
        yield self._silent(name)

    def _tool(self, channel: BoundChannel) -> Iterator[str]:
        yield f"nothing is energised: contactor {channel.contactor} is open by feedback before it moves"
        if channel.rig is not None:
            rig = channel.rig.device
            yield f"{rig} stops within {MOTION_S} s of a door, an E-stop or a person; the tool stays where it is"

    def _silent(self, device: str) -> str:
        model = self._equipment.models[device]
        within = f" within {self._watchdogs[device]:g} s" if device in self._watchdogs else ""
        return f"if the host falls silent, {device} {_LOSS[model.on_comm_loss]}{within}"

    def _period_s(self, device: str) -> float:
        poll = self._periods[device]
        return poll.energised_s if poll.stimulus_s is None else poll.stimulus_s
