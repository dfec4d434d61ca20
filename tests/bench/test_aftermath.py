"""From contact on: the peak and what makes it a lower bound, the time observed, what the detectors said."""

from __future__ import annotations

import asyncio
import math

import pytest

from bench.aftermath import NAIL, Aftermath
from bench.binding.shapes import BoundChannel, Point
from bench.live import Live, LiveChannels
from bench.notebook import Notebook
from bench.stream import Stream
from drivers import Quality, Reading
from tests.bench.benchtop import Events, in_virtual_time

T1, T2 = "th1.ai4.temperature_c", "th1.ai5.temperature_c"
FLAME = "io2.flame_clear.on"
CHANNEL = BoundChannel(
    name="1",
    place="rig1",
    zone="cell-a",
    abuse=True,
    cycler=Point("psb", "out"),
    voltage="psb.out.voltage_v",
    current="psb.out.current_a",
    cell_voltage_point=Point("v1", "ai1"),
    cell_voltage="v1.ai1.voltage_v",
    contactor=Point("io2", "sample"),
    contactor_feedback="io2.sample_closed.on",
    surface=(T1, T2),
    ambient=None,
    chamber=None,
    chamber_air=None,
    interlocks={"flame_clear": FLAME, "door_closed": "rig.door_closed.on"},
    kind="rig",
)


class Scene:
    """An aftermath fed by hand, a second a turn."""

    def __init__(self) -> None:
        self.stream, self.events = Stream(), Events()
        self.notebook = Notebook({}, Live(LiveChannels.of(CHANNEL)), ())
        self.told: list[str] = []
        self.aftermath = Aftermath(
            self.stream,
            self.notebook,
            place=lambda: CHANNEL,
            event=self.events.event,
            on_begin=lambda: self.told.append("begin"),
            on_end=lambda: self.told.append("end"),
        )

    async def say(self, first_c: float, second_c: float, *, quality: Quality = Quality.GOOD) -> None:
        await asyncio.sleep(1.0)
        now_s = asyncio.get_running_loop().time()
        first = Reading(T1, first_c if quality is Quality.GOOD else math.nan, now_s, 0.0, quality)
        self.stream.publish((first, Reading(T2, second_c, now_s, 0.0)))

    def known(self, name: str) -> float:
        value = self.notebook.live.values[name]
        assert isinstance(value, float)
        return value


def test_only_what_comes_after_contact_counts() -> None:
    async def main() -> None:
        scene = Scene()
        await scene.say(99.0, 99.0)
        scene.aftermath.begin(NAIL, device="rig")
        scene.aftermath.begin("contact again")
        for first_c, second_c in ((30.0, 25.0), (80.0, 60.0), (70.0, 71.0)):
            await scene.say(first_c, second_c)
        scene.aftermath.end()
        await scene.say(500.0, 500.0)
        scene.aftermath.tell()
        assert scene.told == ["begin", "end"]
        assert scene.events.kinds == ["contact"]
        assert scene.known("run.peak_temperature") == 80.0
        assert scene.known("run.stimulus_to_peak") == pytest.approx(2.0)
        assert scene.known("run.observed") == pytest.approx(3.0)
        assert scene.known("run.longest_observation_interval") == pytest.approx(1.0)
        assert not scene.aftermath.at_least

    in_virtual_time(main())


def test_any_other_observation_counts_from_the_end_of_its_stimulus() -> None:
    """The peak counts from the first ampere or heat all the same: it may come while the stimulus lasts."""

    async def main() -> None:
        scene = Scene()
        scene.aftermath.begin("first ampere of the charge")
        for first_c, second_c in ((30.0, 25.0), (80.0, 60.0)):
            await scene.say(first_c, second_c)
        scene.aftermath.tell()
        assert "run.observed" not in scene.notebook.live.values  # the stimulus is not over
        assert scene.aftermath.observed_s() == 0.0
        scene.aftermath.count_from_now()
        await scene.say(70.0, 71.0)
        scene.aftermath.count_from_now()  # what stops the cell later takes nothing off
        for _ in range(2):
            await scene.say(60.0, 61.0)
        assert scene.aftermath.observed_s() == pytest.approx(3.0)
        scene.aftermath.end()
        await scene.say(500.0, 500.0)
        scene.aftermath.tell()
        assert scene.known("run.observed") == pytest.approx(3.0)
        assert scene.known("run.peak_temperature") == 80.0
        assert scene.known("run.stimulus_to_peak") == pytest.approx(2.0)

    in_virtual_time(main())


def test_a_nail_is_observed_from_its_contact_whatever_ends_the_stroke() -> None:
    async def main() -> None:
        scene = Scene()
        scene.aftermath.begin(NAIL)
        await scene.say(30.0, 25.0)
        scene.aftermath.count_from_now()
        await scene.say(40.0, 35.0)
        scene.aftermath.end()
        scene.aftermath.tell()
        assert scene.known("run.observed") == pytest.approx(2.0)

    in_virtual_time(main())


def test_a_point_lost_near_the_peak_makes_it_a_lower_bound() -> None:
    async def main() -> None:
        scene = Scene()
        scene.aftermath.begin("contact")
        await scene.say(400.0, 300.0)
        await scene.say(0.0, 310.0, quality=Quality.OPEN)
        await scene.say(0.0, 450.0, quality=Quality.OPEN)
        scene.aftermath.tell()
        assert scene.aftermath.at_least
        assert scene.known("run.peak_temperature") == 450.0

    in_virtual_time(main())


def test_a_point_lost_long_after_the_peak_takes_nothing_back() -> None:
    async def main() -> None:
        scene = Scene()
        scene.aftermath.begin("contact")
        await scene.say(400.0, 300.0)
        for _ in range(30):
            await scene.say(200.0, 200.0)
        await scene.say(0.0, 200.0, quality=Quality.OPEN)
        assert not scene.aftermath.at_least

    in_virtual_time(main())


def test_over_range_anywhere_is_a_lower_bound_and_no_good_point_left_is_no_peak() -> None:
    async def main() -> None:
        scene = Scene()
        scene.aftermath.begin("contact")
        await scene.say(1200.0, 900.0)
        await scene.say(0.0, 800.0, quality=Quality.OVER_RANGE)
        assert scene.aftermath.at_least
        await asyncio.sleep(1.0)
        now_s = asyncio.get_running_loop().time()
        scene.stream.publish((Reading(T2, math.nan, now_s, 0.0, Quality.OPEN),))
        scene.aftermath.tell()
        assert "run.peak_temperature" not in scene.notebook.live.values

    in_virtual_time(main())


def test_a_detector_that_spoke_once_has_spoken() -> None:
    async def main() -> None:
        scene = Scene()
        now_s = asyncio.get_running_loop().time()
        scene.stream.publish((Reading(FLAME, 0.0, now_s, 0.0),))  # before contact: not of this stimulus
        scene.aftermath.begin("contact")
        scene.aftermath.tell()
        assert scene.known("detector.flame") == 0.0
        scene.stream.publish((Reading(FLAME, 0.0, now_s, 0.0),))
        scene.stream.publish((Reading(FLAME, 1.0, now_s, 0.0),))
        scene.aftermath.tell()
        assert scene.known("detector.flame") == 1.0

    in_virtual_time(main())
