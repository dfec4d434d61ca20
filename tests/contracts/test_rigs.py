"""What every rig driver promises, against a simulated PLC that was written from the same page by other hands."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from drivers.capabilities import Closes, DeviceSettings, Rig, RigState, StopReason, Stroke
from drivers.clock import Clock
from drivers.errors import DeviceError, DeviceRefused
from drivers.penetration_rig import with_profile
from drivers.profiles import builtin
from drivers.wires import Flight
from drivers.wires.opening import make_wire
from simulators.scene import Scene
from simulators.spec import CellSpec, ChannelSpec, DeviceSpec, PlaceSpec, SceneSpec, Signal
from simulators.virtual_time import VirtualLoop, run_virtual, virtual_loop

PROFILES = ("reference", "siemens-s7", "mitsubishi-fx5")
START_UTC_S = 1_767_600_000.0
RATING = {"stroke_mm": 300.0, "speed_mm_s": 50.0, "force_n": 150e3}
#: 13.5 mm deep into a cell of 15 mm at 25 mm/s: 0.54 s from contact to target.
STROKE = Stroke(
    tool="nail",
    depth_mm=13.5,
    speed_mm_s=25.0,
    approach_mm_s=25.0,
    retract_mm_s=5.0,
    thickness_mm=15.0,
    contact_force_n=20.0,
    force_stop_n=50e3,
    link_watchdog_s=0.5,
)
TICK_S = 0.01


class Enclosure:
    """A rig's driver and its PLC, a cell in place, every interlock healthy."""

    def __init__(self, scene: Scene, url: str, profile: str, loop: VirtualLoop) -> None:
        self.loop = loop
        self.scene = scene
        self.twin: Any = scene.personality("rig")
        self.plc: Any = self.twin.plc
        self.press: Any = scene.plant.press("rig1")
        self.wire = make_wire(url, flight=Flight(loop.flight.left, loop.flight.arrived))
        self._drives: list[tuple[float, float, float, float]] = []
        drive = self.press.drive

        def driven(velocity_mm_s: float, to_mm: float | None = None) -> None:
            drive(velocity_mm_s, to_mm)
            end_mm = math.inf if to_mm is None else to_mm
            self._drives.append((loop.time(), self.press.position_mm, velocity_mm_s, end_mm))

        setattr(self.press, "drive", driven)  # noqa: B010 - it stands in for a method
        self.frames: list[tuple[float, bytes]] = []
        model = with_profile(builtin(profile), f"{profile}.toml")
        settings = DeviceSettings(
            name="rig",
            wire=self.wire,
            clock=Clock(loop.time, lambda: START_UTC_S + loop.time()),
            points=("door_closed", "t1"),
            rating=RATING,
        )
        self.rig: Any = model.create(settings)
        answer = self.twin.answer

        def overheard(request: bytes, now_s: float) -> Any:
            self.frames.append((now_s, request))
            return answer(request, now_s)

        self.twin.answer = overheard

    async def until(self, wanted: Callable[[RigState], bool], within_s: float = 20.0) -> None:
        """Poll as a run does while something moves, every 0.1 s."""
        async with asyncio.timeout(within_s):
            while True:
                readings = await self.rig.read()
                if wanted(RigState(int(readings[4].value))):
                    return
                await asyncio.sleep(0.1)

    async def armed(self, stroke: Stroke = STROKE) -> None:
        await self.rig.connect()
        await self.rig.prepare(stroke)
        await self.rig.camera(on=True)
        await self.rig.arm()

    async def in_contact(self) -> None:
        await self.armed()
        await self.rig.start()
        while self.press.depth_mm <= 1.0:
            await self.rig.read()
            await asyncio.sleep(0.005)

    def truth_mm(self, at_s: float) -> float:
        """Where the tool was, from what the PLC told the press to do and when."""
        _, begun_s, from_mm, speed_mm_s, end_mm = max(
            (its[0] <= at_s, *its) for its in self._drives if its[0] <= at_s or its is self._drives[0]
        )
        return min(from_mm + speed_mm_s * max(at_s - begun_s, 0.0), end_mm)

    def beats(self) -> list[float]:
        """When the heartbeat was written by itself (function 6)."""
        return [at_s for at_s, request in self.frames if request[0] == 6]


Check = Callable[[Enclosure], Awaitable[None]]


def enclosed(check: Check, profile: str = "reference") -> None:
    async def main() -> None:
        loop = virtual_loop()
        spec = DeviceSpec(
            "rig",
            "penetration-rig",
            "modbus-tcp",
            "line",
            rating=RATING,
            points={"t1": Signal("surface", "rig1")},
            place="rig1",
            profile=builtin(profile),
            profile_where=profile,
        )
        cell = CellSpec(preset="lfp-blade", mass_kg=0.45, thickness_mm=15.0, start_soc=0.5)
        scene = Scene(
            SceneSpec((spec,), (PlaceSpec("rig1", rig="rig"),), (ChannelSpec("1", "rig1", cell),), seed=5),
            flight=loop.flight,
        )
        urls = await scene.start()
        scene.plant.exhaust("rig1", on=True)
        stand = Enclosure(scene, urls["rig"], profile, loop)
        await stand.wire.open()
        try:
            await check(stand)
        finally:
            await stand.rig.close()
            await stand.wire.close()
            await scene.close()

    run_virtual(main())


@pytest.mark.parametrize("profile", PROFILES)
def test_a_stroke_from_arming_to_its_buffer(profile: str) -> None:
    """Depth, speed and times are the order's; position over time is the press's own, at every row."""

    async def check(stand: Enclosure) -> None:
        rig = stand.rig
        assert isinstance(rig, Rig)
        assert isinstance(rig, Closes)
        await stand.armed()
        await rig.start()
        await stand.until(lambda state: state is RigState.HOLD)
        await asyncio.sleep(2.0)
        status = await rig.status()
        assert status.reason is StopReason.TARGET
        assert status.contact_mm is not None
        assert status.position_mm - status.contact_mm == pytest.approx(13.5, abs=0.3)
        burst = await rig.burst()
        assert 0.0 < burst.offset_within_s <= 0.0075 + TICK_S
        rows = burst.rows
        assert all(late.mono_s > soon.mono_s for soon, late in itertools.pairwise(rows))
        inside = [row for row in rows if status.contact_mm <= row.position_mm < status.position_mm - 0.1]
        assert len(inside) >= 50
        speed = (inside[-1].position_mm - inside[0].position_mm) / (inside[-1].mono_s - inside[0].mono_s)
        assert speed == pytest.approx(25.0, rel=0.01)
        for row in inside:
            assert abs(stand.truth_mm(row.mono_s) - row.position_mm) / 25.0 <= burst.offset_within_s + 0.001
        await rig.disarm()
        stand.frames.clear()
        await asyncio.sleep(1.0)
        assert stand.beats() == []

    enclosed(check, profile)


def test_the_heartbeat_changes_every_tenth_of_a_second_at_most() -> None:
    async def check(stand: Enclosure) -> None:
        await stand.armed()
        begun_s = stand.loop.time()
        while stand.loop.time() - begun_s < 3.0:
            await stand.rig.read()
        beats = [begun_s, *(at_s for at_s in stand.beats() if at_s > begun_s)]
        assert max(late - soon for soon, late in itertools.pairwise(beats)) <= 0.1
        values = [request[-2:] for _, request in stand.frames if request[0] == 6]
        assert all(late != soon for soon, late in itertools.pairwise(values))

    enclosed(check)


def test_a_host_that_asks_nothing_for_long_lets_the_heartbeat_die() -> None:
    async def check(stand: Enclosure) -> None:
        await stand.armed()
        await asyncio.sleep(10.0)
        assert stand.loop.time() - stand.beats()[-1] > 4.0
        assert (await stand.rig.status()).state is RigState.READY

    enclosed(check)


@pytest.mark.fault("H11")
def test_stop_in_contact_leaves_the_nail_where_it_is() -> None:
    async def check(stand: Enclosure) -> None:
        await stand.in_contact()
        await stand.rig.stop()
        depth_mm = stand.press.depth_mm
        assert 1.0 < depth_mm < 13.0
        status = await stand.rig.status()
        assert (status.state, status.reason) == (RigState.STOPPED, StopReason.OPERATOR)
        await asyncio.sleep(5.0)
        assert stand.press.depth_mm == depth_mm

    enclosed(check)


def test_make_safe_disarms_and_leaves_a_stroke_in_contact_alone() -> None:
    async def check(stand: Enclosure) -> None:
        await stand.armed()
        await stand.rig.make_safe()
        assert stand.plc.state.value == RigState.READY
        await stand.rig.arm()
        await stand.rig.start()
        await stand.rig.make_safe()
        assert stand.plc.state.value == RigState.STOPPED
        assert stand.press.depth_mm == 0.0
        await stand.rig.retract()
        await stand.until(lambda state: not state.moving)
        await stand.in_contact()
        await stand.rig.make_safe()
        await stand.until(lambda state: state is RigState.HOLD)
        assert stand.press.depth_mm == pytest.approx(13.5, abs=0.3)

    enclosed(check)


@pytest.mark.fault("H10")
def test_start_names_the_open_interlock() -> None:
    async def check(stand: Enclosure) -> None:
        await stand.rig.connect()
        await stand.rig.prepare(STROKE)
        stand.plc.healthy["light_curtain_clear"] = False
        with pytest.raises(DeviceRefused, match="light_curtain_clear"):
            await stand.rig.arm()

    enclosed(check)


def test_a_parameter_beyond_the_rig_is_named() -> None:
    async def check(stand: Enclosure) -> None:
        await stand.rig.connect()
        with pytest.raises(DeviceRefused, match="speed_mm_s = 80"):
            await stand.rig.prepare(replace(STROKE, speed_mm_s=80.0))

    enclosed(check)


@pytest.mark.fault("F39")
def test_a_rig_on_its_local_panel_is_not_armed() -> None:
    async def check(stand: Enclosure) -> None:
        await stand.rig.connect()
        stand.plc.remote = False
        for act in (stand.rig.prepare(STROKE), stand.rig.arm(), stand.rig.start(), stand.rig.retract()):
            with pytest.raises(DeviceRefused, match="remote"):
                await act

    enclosed(check)


@pytest.mark.fault("F15")
def test_a_lost_reply_to_start_starts_once() -> None:
    """The reply is dropped; the driver finds its number acknowledged and sends no second command."""

    async def check(stand: Enclosure) -> None:
        await stand.armed()
        answer = stand.twin.answer
        dropped: list[bytes] = []

        def deaf(request: bytes, now_s: float) -> Any:
            reply = answer(request, now_s)
            if request[0] == 16 and not dropped:
                dropped.append(request)
                return None
            return reply

        stand.twin.answer = deaf
        await stand.rig.start()
        commands = {request[6:10] for _, request in stand.frames if request[0] == 16 and request[8:10] == b"\x00\x03"}
        assert len(commands) == 1
        assert stand.plc.state.value == RigState.APPROACH

    enclosed(check)


def test_a_buffer_read_late_is_dated_by_the_contact() -> None:
    """Ten seconds after the stop the PLC writes no rows any more; the moment of contact still relates the clocks."""

    async def check(stand: Enclosure) -> None:
        await stand.armed()
        await stand.rig.start()
        await stand.until(lambda state: state is RigState.HOLD)
        await asyncio.sleep(30.0)
        burst = await stand.rig.burst()
        end_mm = stand.press.position_mm
        moving = [row for row in burst.rows if 1.0 < row.position_mm < end_mm - 1.0]
        assert len(moving) > 50
        for row in moving:
            assert abs(stand.truth_mm(row.mono_s) - row.position_mm) / 25.0 <= burst.offset_within_s + 0.001

    enclosed(check)


@pytest.mark.fault("F31")
def test_an_open_thermocouple_reads_as_open() -> None:
    async def check(stand: Enclosure) -> None:
        stand.plc.plant.signal = lambda _: math.nan
        reading = next(its for its in await stand.rig.read() if its.channel == "rig.t1.temperature_c")
        assert reading.quality == "open"
        assert math.isnan(reading.value)

    enclosed(check)


def test_a_plc_that_lost_its_power_does_not_answer() -> None:
    async def check(stand: Enclosure) -> None:
        await stand.armed()
        stand.twin.power_off()
        for act in (stand.rig.read(), stand.rig.stop(), stand.rig.make_safe()):
            with pytest.raises(DeviceError):
                await act
        assert stand.press.velocity_mm_s == 0.0

    enclosed(check)
