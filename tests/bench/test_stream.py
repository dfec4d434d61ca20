"""Order of delivery, and that a change of subscribers never tears a batch."""

from __future__ import annotations

from bench.stream import Deliver, Stage, Stream
from drivers import Reading


def batch(value: float) -> tuple[Reading, ...]:
    return (Reading("psb.out.voltage_v", value, 0.0, 0.0), Reading("psb.out.current_a", -value, 0.0, 0.0))


def test_the_guard_hears_first_whoever_subscribed_first() -> None:
    stream = Stream()
    heard: list[Stage] = []

    def listener(stage: Stage) -> Deliver:
        return lambda _: heard.append(stage)

    for stage in (Stage.OBSERVER, Stage.RECORDER, Stage.STEP, Stage.GUARD, Stage.LIVE):
        stream.subscribe(stage, listener(stage))
    stream.publish(batch(1.0))
    assert heard == [Stage.GUARD, Stage.LIVE, Stage.STEP, Stage.RECORDER, Stage.OBSERVER]


def test_latest_holds_the_newest_of_every_channel_before_anyone_hears() -> None:
    stream, seen = Stream(), []
    stream.subscribe(Stage.GUARD, lambda _: seen.append(stream.latest["psb.out.current_a"].value))
    stream.publish(batch(1.0))
    stream.publish(batch(2.0))
    assert seen == [-1.0, -2.0]
    assert stream.latest["psb.out.voltage_v"].value == 2.0


def test_unsubscribing_while_a_batch_is_delivered_spares_the_others() -> None:
    stream, heard = Stream(), []

    def once(_: object) -> None:
        heard.append("once")
        leave()

    leave = stream.subscribe(Stage.STEP, once)
    stream.subscribe(Stage.STEP, lambda _: heard.append("always"))
    stream.publish(batch(1.0))
    stream.publish(batch(2.0))
    assert heard == ["once", "always", "always"]
