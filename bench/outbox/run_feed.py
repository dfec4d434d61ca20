"""A daemon's runs, told to the outbox: what ``bench.daemon.feed`` asks of whoever listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bench.outbox.listening import event_to, observer_to, readings_to
from bench.outbox.outbox import Outbox
from bench.stream import Stage, Stream

if TYPE_CHECKING:
    from bench.binding.shapes import BoundChannel
    from bench.daemon.views import RunView
    from bench.observing import Observation
    from bench.plan import Plan


class OutboxFeed:
    """A ``Feed``. ``utc_s`` is the wall clock of the runs, which is another one where they are simulated."""

    def __init__(self, outbox: Outbox, utc_s: Callable[[], float]) -> None:
        self._outbox = outbox
        self._utc_s = utc_s

    def begun(self, run: RunView, plan: Plan, stream: Stream) -> None:
        stream.subscribe(Stage.OBSERVER, readings_to(self._outbox, run.channel, quantities(plan.channel)))

    def event(self, run: RunView, kind: str, data: Mapping[str, Any]) -> None:
        event_to(self._outbox, run.channel, kind, data, utc_s=self._utc_s())

    def observed(self, run: RunView, observation: Observation) -> None:
        observer_to(self._outbox, run.channel, self._utc_s)(observation)

    def changed(self, run: RunView) -> None:
        about = {"run": run.run_id, "sequence": run.sequence, "sample": run.sample}
        self._outbox.state(run.channel, run.state, utc_s=self._utc_s(), **about)
        if run.state == "closed" and run.verdict is not None:
            self._outbox.verdict(run.channel, run.verdict, utc_s=self._utc_s(), exit_code=run.exit_code, **about)


def quantities(channel: BoundChannel) -> dict[str, str]:
    """The quantity under which each of a channel's readings goes out."""
    names = {channel.voltage: "voltage_v", channel.current: "current_a", channel.cell_voltage: "cell_voltage_v"}
    if channel.ambient is not None:
        names[channel.ambient] = "ambient_c"
    names.update({name: f"surface_{at}_c" for at, name in enumerate(channel.surface, 1)})
    return names
