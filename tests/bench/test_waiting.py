"""End rules on made-up readings whose right answer can be read off."""

from __future__ import annotations

import asyncio
import math

import pytest

from bench.live import Follow, Live, LiveChannels
from bench.stream import Stage, Stream
from bench.waiting import (
    ConditionEnd,
    FirstOf,
    InstrumentStoppedError,
    Judge,
    RegulationEnd,
    SettledEnd,
    SoakEnd,
    WhileRegulated,
    wait_for_end,
)
from drivers import Quality, Reading
from sequences.expressions import Expression, as_condition
from tests.bench.benchtop import in_virtual_time

VOLTS, AMPS, S0, S1, AIR = (
    "p.out.voltage_v",
    "p.out.current_a",
    "t.ai0.temperature_c",
    "t.ai1.temperature_c",
    "t.ai3.temperature_c",
)


def live() -> Live:
    return Live(LiveChannels(VOLTS, AMPS, (S0, S1), AIR))


def terminal(t_s: float, voltage_v: float, current_a: float) -> tuple[Reading, ...]:
    return (Reading(VOLTS, voltage_v, t_s, 0.0), Reading(AMPS, current_a, t_s, 0.0))


def warmth(t_s: float, *values_c: float) -> tuple[Reading, ...]:
    return tuple(
        Reading(channel, value, t_s, 0.0, Quality.OPEN if math.isnan(value) else Quality.GOOD)
        for channel, value in zip((S0, S1, AIR), values_c, strict=True)
    )


def ends_at(judge: Judge, view: Live, batches: list[tuple[Reading, ...]]) -> float | None:
    """The instant of the first batch for which the judge gives a reason."""
    for batch in batches:
        view.deliver(batch)
        if judge(batch) is not None:
            return batch[-1].mono_s
    return None


def number(expression: Expression) -> float:
    return expression.evaluate({})


def condition(text: object, view: Live) -> ConditionEnd:
    return ConditionEnd(as_condition(text), view, number)


def test_cc_charge_ends_within_one_resolution_step_of_the_limit() -> None:
    view = live()
    judge = RegulationEnd(view, of="current", set_value=20.0, limit_v=4.3, resolution_v=0.01, direction=1)
    batches = [terminal(t, v, 20.0) for t, v in enumerate([4.0, 4.27, 4.28, 4.29, 4.30])]
    assert ends_at(judge, view, batches) == 3


def test_cc_discharge_ends_at_its_cut_off_from_above() -> None:
    view = live()
    judge = RegulationEnd(view, of="current", set_value=20.0, limit_v=2.5, resolution_v=0.01, direction=-1)
    batches = [terminal(t, v, -20.0) for t, v in enumerate([3.5, 2.53, 2.52, 2.51, 2.50])]
    assert ends_at(judge, view, batches) == 3


@pytest.mark.parametrize(
    ("currents_a", "expected"),
    [
        ([0.0, 0.0, 20.0, 19.61, 19.5, 19.4], 5),  # 98 % of 20 A is 19.6 A: below at 4 and 5
        ([20.0, 19.0, 20.0, 19.0, 20.0, 19.0], None),  # never two running
        ([5.0, 10.0, 15.0, 18.0, 19.0, 19.5], None),  # on its way up: never reached
        ([20.0, 19.0, math.nan, 19.0, 20.0, 20.0], 3),  # a reading that is not good neither counts nor clears
    ],
)
def test_cc_ends_when_the_current_leaves_its_set_value_in_two_readings_running(
    currents_a: list[float], expected: int | None
) -> None:
    view = live()
    judge = RegulationEnd(view, of="current", set_value=20.0, limit_v=4.3, resolution_v=0.001, direction=1)
    assert ends_at(judge, view, [terminal(t, 4.25, current) for t, current in enumerate(currents_a)]) == expected


def test_cp_watches_the_power() -> None:
    view = live()
    judge = RegulationEnd(view, of="power", set_value=80.0, limit_v=2.5, resolution_v=0.001, direction=-1)
    batches = [terminal(t, 4.0, current) for t, current in enumerate([-20.0, -20.0, -19.5, -19.4, -19.0])]
    assert ends_at(judge, view, batches) == 3


def test_cccv_does_not_take_the_rise_of_the_current_for_its_fall() -> None:
    view = live()
    regulation = RegulationEnd(view, of="current", set_value=20.0, limit_v=4.3, resolution_v=0.01, direction=1)
    judge = SettledEnd(condition("current <= 3 A", view), view, regulation)
    rising = [terminal(0, 3.7, 0.5), terminal(1, 3.71, 20.0), terminal(2, 3.8, 20.0)]
    tapering = [terminal(10 + t, 4.3, 20.0 - 2 * t) for t in range(12)]
    assert ends_at(judge, view, rising + tapering) == 19  # 20 - 2 * 9 = 2 A


def test_a_full_cell_ends_its_cccv_although_the_set_current_is_never_reached() -> None:
    view = live()
    regulation = RegulationEnd(view, of="current", set_value=20.0, limit_v=4.3, resolution_v=0.01, direction=1)
    judge = SettledEnd(condition("current <= 3 A", view), view, regulation)
    assert ends_at(judge, view, [terminal(t, 4.25, 1.0) for t in range(6)]) == 2  # the third reading


def test_a_current_that_falls_away_from_the_limit_is_the_instrument_s_doing_and_no_end() -> None:
    view = live()
    taper = WhileRegulated(
        condition("current <= 3 A", view),
        view,
        device="p",
        direction=1,
        current_a=20.0,
        power_w=5e3,
        limit_v=4.3,
        near_v=0.1,
    )
    assert ends_at(taper, view, [terminal(t, 3.9, 20.0) for t in range(5)]) is None
    assert ends_at(taper, view, [terminal(5, 3.85, 0.0), terminal(6, 3.9, 20.0), terminal(7, 3.85, 0.0)]) is None
    with pytest.raises(InstrumentStoppedError, match=r"fell to 0 A at 3\.850 V"):
        ends_at(taper, view, [terminal(8, 3.85, 0.0)])


def test_a_current_that_tapers_at_the_limit_is_regulated() -> None:
    view = live()
    taper = WhileRegulated(
        condition("current <= 3 A", view),
        view,
        device="p",
        direction=1,
        current_a=20.0,
        power_w=5e3,
        limit_v=4.3,
        near_v=0.1,
    )
    assert ends_at(taper, view, [terminal(t, 4.27, 20.0 - 2 * t) for t in range(12)]) == 9


@pytest.mark.parametrize(("direction", "limit_v", "volts"), [(1, 4.3, 4.21), (-1, 2.5, 2.59)])
def test_a_phase_ends_below_98_per_cent_as_long_as_the_voltage_may_be_held(
    direction: int, limit_v: float, volts: float
) -> None:
    """Still 90 mV from the limit, of 100 mV that count as near: 19.5 A of 20 A is 97.5 %, at the second such reading.
    20 mV further off the same readings are the instrument's doing."""
    for off_v, ends in ((0.0, 5), (0.02, None)):
        view = live()
        phase = RegulationEnd(
            view, of="current", set_value=20.0, limit_v=limit_v, resolution_v=0.01, direction=direction
        )
        regulated = WhileRegulated(
            phase, view, device="p", direction=direction, current_a=20.0, power_w=5e3, limit_v=limit_v, near_v=0.1
        )
        at_v = volts - direction * off_v
        batches = [terminal(t, at_v, direction * (20.0 if t < 4 else 19.5)) for t in range(8)]
        if ends is None:
            with pytest.raises(InstrumentStoppedError):
                ends_at(regulated, view, batches)
        else:
            assert ends_at(regulated, view, batches) == ends


def test_sustained_counts_on_the_readings_own_times_and_starts_anew() -> None:
    view = live()
    judge = condition("voltage >= 4 V for 10 s", view)
    volts = {0: 4.1, 5: 4.1, 9: 3.9, 12: 4.0, 18: 4.2, 21.9: 4.1, 22: 4.1}
    assert ends_at(judge, view, [terminal(t, v, 0.0) for t, v in volts.items()]) == 22


def test_any_and_all_let_each_part_count_for_itself() -> None:
    view = live()
    both = condition({"all": ["voltage >= 4 V for 10 s", "current < 1 A for 10 s"]}, view)
    either = condition({"any": ["voltage >= 4 V for 10 s", "current < 1 A for 10 s"]}, view)
    batches = [terminal(t, 4.1, 0.5 if t >= 6 else 5.0) for t in range(30)]
    assert ends_at(both, view, batches) == 16
    assert ends_at(either, view, batches) == 10


def test_a_relative_condition_looks_back_to_the_step_s_start() -> None:
    view = live()
    view.deliver(terminal(0, 4.0, 0.0))
    view.begin(0.0, direction=0)
    judge = condition("voltage < start(voltage) - 50 mV", view)
    assert ends_at(judge, view, [terminal(t, 4.0 - 0.01 * t, 0.0) for t in range(1, 10)]) == 6


def test_nan_holds_for_nothing() -> None:
    view = live()
    judge = condition({"any": ["temperature >= 0 degC", "temperature < 0 degC"]}, view)
    assert ends_at(judge, view, [warmth(t, math.nan, math.nan, 25.0) for t in range(5)]) is None


def test_temperature_is_the_hottest_good_surface_point() -> None:
    view = live()
    view.deliver(warmth(0, 31.0, 29.0, 25.0))
    assert view.values["temperature"] == 31.0
    view.deliver(warmth(1, math.nan, 29.5, 25.0))
    assert view.values["temperature"] == 29.5
    assert view.values["ambient"] == 25.0


def test_a_soak_holds_every_surface_point_in_the_band_for_the_whole_time() -> None:
    view = live()
    judge = SoakEnd(view, of="surface", target_c=25.0, tolerance_k=2.0, duration_s=10.0)
    values = {0: (27.5, 25.0), 5: (27.0, 25.0), 9: (25.0, 22.9), 12: (25.0, 23.0), 21: (26.0, 25.0), 22: (25.0, 25.0)}
    assert ends_at(judge, view, [warmth(t, *pair, 25.0) for t, pair in values.items()]) == 22


def test_a_soak_tells_what_is_left_of_it_only_inside_the_band() -> None:
    view = live()
    judge = SoakEnd(view, of="ambient", target_c=25.0, tolerance_k=2.0, duration_s=60.0)
    ends_at(judge, view, [warmth(0, 25.0, 25.0, 40.0)])
    assert judge.remaining_s is None
    ends_at(judge, view, [warmth(10, 25.0, 25.0, 25.0), warmth(25, 25.0, 25.0, 25.0)])
    assert judge.remaining_s == pytest.approx(45.0)


def test_the_first_of_several_gives_the_reason() -> None:
    view = live()
    judge = FirstOf(condition("voltage >= 4 V", view), condition("current >= 2 A", view))
    view.deliver(terminal(0, 3.9, 2.5))
    assert judge(terminal(0, 3.9, 2.5)) == "current >= 2 A"


def test_charge_and_energy_count_in_the_step_s_direction() -> None:
    view = live()
    view.begin(0.0, direction=-1)
    for second in range(1, 3601):
        view.deliver(terminal(second, 3.0, -2.0))
    view.end(3600.0)
    assert view.values["charge"] == pytest.approx(2.0)
    assert view.values["energy"] == pytest.approx(6.0)
    assert view.values["duration"] == 3600.0


def test_the_mean_of_a_watch_is_over_time_not_over_readings() -> None:
    follow = Follow("ambient", "mean")
    follow.resume()
    for t_s, value in ((0, 20.0), (1, 20.0), (2, 20.0), (2, 30.0), (8, 30.0)):
        follow.add(t_s, value)
    follow.pause()
    follow.resume()
    follow.add(100, 30.0)  # the pause before it does not count
    assert follow.value == pytest.approx((2 * 20 + 6 * 30) / 8)


def test_waiting_gives_the_reason_or_nothing_at_its_deadline() -> None:
    async def scene() -> None:
        stream, view = Stream(), live()
        stream.subscribe(Stage.LIVE, view.deliver)
        loop = asyncio.get_running_loop()
        assert await wait_for_end(stream, condition("voltage >= 4 V", view), until_s=loop.time() + 5.0) is None
        assert loop.time() == pytest.approx(5.0)
        loop.call_at(7.0, stream.publish, terminal(7.0, 4.1, 0.0))
        assert await wait_for_end(stream, condition("voltage >= 4 V", view), until_s=60.0) == "voltage >= 4 V"
        assert loop.time() == pytest.approx(7.0)

    in_virtual_time(scene())


def test_a_judge_that_fails_fails_its_step_and_not_the_poller() -> None:
    class Broken:
        def __call__(self, batch: object) -> str | None:
            raise ValueError("no such quantity")

        def text(self) -> str:
            return "never"

    async def scene() -> None:
        stream = Stream()
        loop = asyncio.get_running_loop()
        loop.call_at(1.0, stream.publish, terminal(1.0, 4.1, 0.0))
        with pytest.raises(ValueError, match="no such quantity"):
            await wait_for_end(stream, Broken(), until_s=60.0)

    in_virtual_time(scene())


def test_the_reason_is_the_branch_that_held() -> None:
    view = live()
    judge = condition({"any": ["voltage >= 4.2 V", {"all": ["current <= 1 A", "voltage >= 4 V"]}]}, view)
    for batch, reason in (
        (terminal(1.0, 3.9, 0.5), None),
        (terminal(2.0, 4.3, 5.0), "voltage >= 4.2 V"),
        (terminal(3.0, 4.1, 0.5), "all of (current <= 1 A; voltage >= 4 V)"),
    ):
        view.deliver(batch)
        assert judge(batch) == reason
