"""The simulated rig against the reference map, register by register, and against the plant."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import drivers.profiles
from simulators.personalities.penetration_rig import PenetrationRig
from simulators.plant.plant import Plant
from simulators.spec import ChannelSpec, DeviceSpec, PlaceSpec, SceneSpec, Signal
from simulators.virtual_time import VirtualLoop, run_virtual, virtual_loop
from tests.simulators.clients import CELL

PROFILE = (Path(drivers.profiles.__file__).parent / "reference.toml").read_text()
INIT, NOT_HOMED, IDLE, READY, ARMED, APPROACH, CONTACT, DRIVE, HOLD, RETRACT, DONE, STOPPED, FAULT, ESTOP = range(14)
HOME, ARM, START, STOP, PULL, RESET, DISARM, EXHAUST_ON, EXHAUST_OFF, ZERO, CAMERA, SUPPRESS = range(1, 13)
OK, BUSY, OPEN, BAD, LOCAL, WRONG_STATE, NOT_ARMED = range(7)
KEY = 0xA55A
SPEED_UM_S, THROUGH_UM = 25_000, 22_000  # a nail through a cell of 12 mm and 10 mm on


class RigRefusalError(Exception):
    """An exception answer; its argument is the code."""


class Bench:
    """A rig with a cell in place, and a host that writes its own frames."""

    def __init__(self, loop: VirtualLoop, profile: str = PROFILE) -> None:
        self.loop = loop
        points = {"t1": Signal("surface", "rig1")}
        rating = {"stroke_mm": 300.0, "speed_mm_s": 50.0, "force_n": 150e3}
        spec = DeviceSpec(
            "rig", "penetration-rig", "modbus-tcp", "a", rating=rating, points=points, place="rig1", profile=profile
        )
        self.plant = Plant(
            SceneSpec((spec,), (PlaceSpec("rig1", rig="rig"),), (ChannelSpec("1", "rig1", CELL),), seed=1)
        )
        self.plant.advance(loop.time())
        self.rig = PenetrationRig(spec, self.plant, 1, loop)
        self.press = self.plant.press("rig1")
        self.number = 0
        self.beat = 0

    def ask(self, pdu: bytes) -> bytes:
        reply = self.rig.answer(pdu, self.loop.time())
        assert reply
        ((_, answer),) = reply
        if answer[0] & 0x80:
            raise RigRefusalError(answer[1])
        return answer

    def words(self, address: int, count: int = 1) -> list[int]:
        answer = self.ask(struct.pack(">BHH", 3, address, count))
        assert answer[1] == 2 * count == len(answer) - 2
        return list(struct.unpack(f">{count}H", answer[2:]))

    def long(self, address: int) -> int:
        """A signed 32-bit number, low word first."""
        low, high = self.words(address, 2)
        return int.from_bytes(struct.pack(">HH", high, low), "big", signed=True)

    def put(self, address: int, *words: int) -> None:
        request = struct.pack(f">BHHB{len(words)}H", 16, address, len(words), 2 * len(words), *words)
        assert self.ask(request) == request[:5]

    def put_long(self, address: int, value: int) -> None:
        high, low = struct.unpack(">HH", struct.pack(">i", value))
        self.put(address, low, high)

    def say(self, command: int, key: int = 0) -> int:
        """One command with a number of its own; its result."""
        self.number += 1
        self.put(200, self.number, command, key, self.beat)
        assert self.words(5, 2) == [self.number, command]
        return self.words(7)[0]

    @property
    def state(self) -> int:
        return self.words(3)[0]

    @property
    def reason(self) -> int:
        return self.words(42)[0]

    def prepare(self, *, depth_um: int = THROUGH_UM, speed_um_s: int = SPEED_UM_S, force_n: int = 10_000) -> None:
        self.put_long(100, depth_um)
        for address in (102, 104):
            self.put_long(address, speed_um_s)
        self.put_long(106, 5_000)
        self.put_long(108, force_n * 10)
        self.put_long(112, 12_000)
        self.put(115, 50)
        self.put(120, 500)

    def go(self) -> None:
        assert self.say(ARM, KEY) == OK
        assert self.say(CAMERA) == OK
        assert self.say(START, KEY) == OK

    async def pass_time(self, seconds: float, *, beating: bool = True) -> None:
        """Live on, and change the heartbeat every 100 ms."""
        until_s = self.loop.time() + seconds
        while self.loop.time() < until_s - 1e-9:
            if beating:
                self.beat = (self.beat + 1) & 0xFFFF
                self.ask(struct.pack(">BHH", 6, 203, self.beat))
            await asyncio.sleep(min(0.1, until_s - self.loop.time()))

    async def until(self, *states: int, beating: bool = True, at_most_s: float = 60.0) -> None:
        until_s = self.loop.time() + at_most_s
        while self.state not in states:
            assert self.loop.time() < until_s, f"still in {self.state}"
            await self.pass_time(0.02, beating=beating)

    def rows(self) -> list[tuple[int, int, int, int]]:
        """The ring buffer in order of time: ms, um, 0.1 N, 0.1 mV."""
        index, held = self.words(1000, 2)
        out = []
        for row in range(held):
            words = self.words(1002 + 8 * ((index + row) % held if held == 3000 else row), 8)
            swapped = struct.pack(">8H", *(words[at ^ 1] for at in range(8)))
            out.append(struct.unpack(">Iiii", swapped))
        return out


def on_bench(check: Callable[[Bench], Awaitable[None]], profile: str = PROFILE) -> None:
    async def main() -> None:
        bench = Bench(virtual_loop(), profile)
        await check(bench)
        bench.rig.close()

    run_virtual(main())


def test_at_rest_it_says_who_it_is_and_what_is_healthy() -> None:
    async def check(bench: Bench) -> None:
        block = bench.words(0, 50)
        assert block[0] == 1
        assert block[1] == 3
        assert block[3:8] == [IDLE, 1, 0, 0, 0]
        assert block[8] == 0b11_1011_1111_1111  # all but the camera
        assert block[22] == pytest.approx(230, abs=10)
        assert block[23:30] == [0x7FFF] * 7
        assert block[33] == 0
        assert block[34] == 1013
        assert block[45:50] == [0] * 5
        assert bench.long(10) == 0
        heartbeat, counter = bench.words(2)[0], bench.long(43)
        await asyncio.sleep(1.0)
        assert bench.words(2)[0] == heartbeat + 10
        assert bench.long(43) == counter + 100

    on_bench(check)


def test_the_protocol_s_own_refusals() -> None:
    async def check(bench: Bench) -> None:
        for pdu, code in [
            (struct.pack(">BHH", 3, 0, 65), 3),
            (struct.pack(">BHH", 3, 0, 0), 3),
            (struct.pack(">BHH", 3, 500, 1), 2),
            (struct.pack(">BHH", 3, 1002 + 3000 * 8 - 1, 2), 2),
            (struct.pack(">BHH", 4, 0, 1), 1),
            (struct.pack(">BHH", 6, 3, 1), 2),
            (struct.pack(">BHH", 6, 200, 1), 3),
            (struct.pack(">BHH", 6, 100, 1), 3),  # half of a 32-bit number
            (struct.pack(">BHHBHH", 16, 200, 2, 4, 1, 2), 3),
            (struct.pack(">BHHBH", 16, 120, 1, 4, 1), 3),
        ]:
            with pytest.raises(RigRefusalError) as refused:
                bench.ask(pdu)
            assert refused.value.args == (code,), pdu.hex()

    on_bench(check)


def test_a_parameter_out_of_range_is_refused_and_nothing_of_the_request_kept() -> None:
    async def check(bench: Bench) -> None:
        bench.prepare()
        assert bench.state == READY
        before = bench.words(100, 21)
        for address, value in [(100, 300_001), (104, 50_001), (102, -1), (108, 1_500_001), (112, 300_001)]:
            with pytest.raises(RigRefusalError, match="3"):
                bench.put_long(address, value)
        for address, value in [(119, 1), (120, 5001), (114, 10_001)]:
            with pytest.raises(RigRefusalError, match="3"):
                bench.put(address, value)
        high, low = struct.unpack(">HH", struct.pack(">i", 60_000))
        with pytest.raises(RigRefusalError, match="3"):
            bench.put(100, 1000, 0, low, high)
        assert bench.words(100, 21) == before

    on_bench(check)


def test_a_nail_goes_through_and_the_buffer_tells_how() -> None:
    async def check(bench: Bench) -> None:
        bench.prepare()
        bench.go()
        await bench.until(DRIVE)
        assert bench.long(12) == pytest.approx(SPEED_UM_S, abs=50)
        await bench.until(HOLD)
        assert bench.reason == 1
        surface_mm = bench.press.surface_mm
        assert surface_mm is not None
        assert bench.long(40) == pytest.approx(surface_mm * 1000, abs=400)  # 50 N, one tick at 25 mm/s
        assert bench.long(10) == bench.long(40) + THROUGH_UM
        assert bench.press.depth_mm == pytest.approx(22.0, abs=0.4)
        assert 10_000 < bench.long(16) < 50_000
        await bench.pass_time(12.0)
        assert bench.state == HOLD
        rows = bench.rows()
        assert {later[0] - earlier[0] for earlier, later in pairwise(rows)} == {10}
        # One second before contact, 22 mm at 25 mm/s, ten seconds after the stop.
        assert len(rows) == pytest.approx(100 + 22 / 25 * 100 + 1000, abs=4)
        contact_ms = next(row[0] for row in rows if row[1] >= bench.long(40))
        stop_ms = next(row[0] for row in rows if row[1] == bench.long(10))
        assert (stop_ms - contact_ms) / 1000 == pytest.approx(22 / 25, abs=0.02)
        assert contact_ms - rows[0][0] == pytest.approx(1000, abs=10)
        assert max(row[2] for row in rows) == bench.long(16)
        assert bench.long(38) == pytest.approx(12_000 + 880, abs=250)

    on_bench(check)


def test_a_repeated_frame_is_carried_out_once() -> None:
    async def check(bench: Bench) -> None:
        bench.prepare()
        frame = (1, ARM, KEY, 0)
        bench.put(200, *frame)
        assert bench.state == ARMED
        bench.number = 1
        assert bench.say(DISARM) == OK
        bench.put(200, 2, ARM, KEY, 0)  # the number of the disarming
        assert bench.state == READY
        assert bench.words(5, 3) == [2, DISARM, OK]

    on_bench(check)


def test_it_arms_and_starts_only_as_it_should() -> None:
    async def check(bench: Bench) -> None:
        assert bench.say(ARM, KEY) == BAD  # no parameters yet
        bench.prepare()
        assert bench.say(START, KEY) == NOT_ARMED
        assert bench.say(ARM, 0) == BAD
        assert bench.say(99) == BAD
        bench.plant.set_input("rig1", "door_closed", 0.0)
        assert bench.say(ARM, KEY) == OPEN
        bench.plant.set_input("rig1", "door_closed", 1.0)
        bench.rig.plc.remote = False
        assert bench.words(4) == [0]
        assert bench.say(ARM, KEY) == LOCAL
        with pytest.raises(RigRefusalError, match="4"):
            bench.put(120, 100)
        bench.rig.plc.remote = True
        assert bench.say(ARM, KEY) == OK
        with pytest.raises(RigRefusalError, match="6"):
            bench.put(120, 100)
        assert bench.say(ARM, KEY) == WRONG_STATE
        assert bench.say(START, KEY) == OPEN  # the camera does not run
        assert bench.say(CAMERA) == OK
        assert bench.say(START, 0x5AA5) == BAD
        assert bench.say(START, KEY) == OK
        assert bench.say(ARM, KEY) == BUSY
        assert bench.say(STOP) == OK
        assert (bench.state, bench.reason) == (STOPPED, 6)
        assert bench.press.velocity_mm_s == 0.0
        assert bench.say(DISARM) == OK
        assert bench.state == READY

    on_bench(check)


def test_arming_expires_after_60_s_and_sooner_without_the_host() -> None:
    async def check(bench: Bench) -> None:
        bench.prepare()
        assert bench.say(ARM, KEY) == OK
        await bench.pass_time(59.9)
        assert bench.state == ARMED
        await bench.pass_time(0.2)
        assert bench.state == READY
        assert bench.say(ARM, KEY) == OK
        await bench.pass_time(0.6, beating=False)
        assert (bench.state, bench.reason) == (READY, 9)

    on_bench(check)


def test_without_the_host_it_stops_before_contact_and_finishes_in_contact() -> None:
    async def before(bench: Bench) -> None:
        bench.prepare()
        bench.go()
        await bench.pass_time(0.3)
        await bench.pass_time(0.7, beating=False)
        assert (bench.state, bench.reason) == (STOPPED, 9)
        assert bench.press.position_mm == pytest.approx(25.0 * (0.2 + 0.5), abs=3.0)
        assert bench.words(1001) == [0]

    async def within(bench: Bench) -> None:
        bench.plant.exhaust("rig1", on=True)
        bench.prepare(speed_um_s=5000)
        bench.go()
        await bench.until(DRIVE)
        await bench.until(HOLD, beating=False)
        assert bench.reason == 9
        assert bench.long(10) == bench.long(40) + THROUGH_UM
        assert bench.words(9)[0] & 1
        assert bench.words(36)[0]

    on_bench(before)
    on_bench(within)


@pytest.mark.parametrize(
    ("open_it", "state", "reason"),
    [
        (lambda bench: bench.plant.set_input("rig1", "door_closed", 0.0), STOPPED, 8),
        (lambda bench: bench.plant.set_input("rig1", "door_locked", 0.0), STOPPED, 8),
        (lambda bench: bench.plant.set_input("rig1", "estop_released", 0.0), ESTOP, 7),
        (lambda bench: bench.rig.overtravel(), FAULT, 11),
        (lambda bench: bench.press.jam(bench.press.position_mm + 0.1), FAULT, 10),
        (lambda bench: setattr(bench.press, "stick_position", bench.press.position_mm), FAULT, 10),
        (lambda bench: bench.rig.plc.healthy.update(load_cell_ok=False), STOPPED, 8),
    ],
)
def test_what_always_stops_the_stroke(open_it: Callable[[Bench], None], state: int, reason: int) -> None:
    async def check(bench: Bench) -> None:
        bench.prepare(speed_um_s=10_000)
        bench.go()
        await bench.until(DRIVE)
        await bench.pass_time(0.5)
        depth_mm = bench.press.depth_mm
        open_it(bench)
        await bench.pass_time(0.2)
        assert (bench.state, bench.reason) == (state, reason)
        assert bench.press.velocity_mm_s == 0.0
        stood_mm = bench.press.depth_mm
        assert depth_mm <= stood_mm <= depth_mm + 1.0  # a tick of travel, or the servo's 0.5 mm
        await bench.pass_time(5.0)
        assert bench.press.depth_mm == stood_mm

    on_bench(check)


@pytest.mark.parametrize("kind", ["gas", "smoke", "flame", "exhaust_flow"])
def test_what_the_sample_does_leaves_the_stroke_to_its_end(kind: str) -> None:
    async def check(bench: Bench) -> None:
        bench.prepare(speed_um_s=10_000)
        bench.go()
        await bench.until(DRIVE)
        bench.plant.set_input("rig1", kind, 0.0)  # type: ignore[arg-type]  # the parameters are kinds of signals
        await bench.until(HOLD)
        assert bench.reason == 1

    on_bench(check)


def test_before_contact_any_open_interlock_stops_it() -> None:
    async def check(bench: Bench) -> None:
        bench.prepare()
        bench.go()
        await bench.pass_time(0.5)
        bench.plant.set_input("rig1", "gas", 0.0)
        await bench.pass_time(0.1)
        assert (bench.state, bench.reason) == (STOPPED, 8)
        assert bench.press.depth_mm == 0.0
        assert not bench.words(8)[0] >> 6 & 1

    on_bench(check)


def test_after_the_hold_time_it_is_done_and_a_person_may_pull_it_out() -> None:
    async def check(bench: Bench) -> None:
        bench.prepare()
        bench.put(116, 30, 0)
        bench.go()
        await bench.until(HOLD)
        await bench.pass_time(29.0)
        assert bench.state == HOLD
        await bench.pass_time(2.0)
        assert bench.state == DONE
        assert bench.press.depth_mm == pytest.approx(22.0, abs=0.4)
        bench.plant.set_input("rig1", "door_closed", 0.0)
        assert bench.say(PULL) == OPEN
        bench.plant.set_input("rig1", "door_closed", 1.0)
        assert bench.say(PULL) == OK
        await bench.pass_time(0.5)
        assert bench.long(12) == -5000
        assert bench.long(14) < 0  # friction holds it
        await bench.until(READY)
        assert bench.long(10) == 0

    on_bench(check)


def test_force_voltage_and_deformation_stop_it() -> None:
    async def force(bench: Bench) -> None:
        bench.prepare(force_n=1000)
        bench.go()
        await bench.until(HOLD)
        assert bench.reason == 3
        assert bench.long(16) == pytest.approx(10_000, abs=4000)
        assert bench.press.depth_mm < 1.5

    async def voltage(bench: Bench) -> None:
        bench.prepare()
        bench.put_long(110, 60_000)  # 6 V: any cell is below
        bench.go()
        await bench.until(HOLD)
        assert bench.reason == 2

    async def deformation(bench: Bench) -> None:
        bench.prepare(force_n=150_000, speed_um_s=2000)
        bench.put(114, 1500)
        bench.go()
        await bench.until(HOLD)
        assert bench.reason == 4
        assert bench.press.tool == "crush"
        assert bench.long(10) - bench.long(40) == pytest.approx(0.15 * 12_000, abs=1)

    async def temperature(bench: Bench) -> None:
        bench.prepare()
        bench.put(118, 20)  # degC; the surface is at 23
        bench.go()
        await bench.until(HOLD)
        assert bench.reason == 5

    for check in (force, voltage, deformation, temperature):
        on_bench(check)


def test_a_jam_is_a_servo_fault_until_reset_and_the_nail_stays() -> None:
    async def check(bench: Bench) -> None:
        bench.prepare()
        bench.press.jam(20.0)
        bench.go()
        await bench.until(FAULT)
        assert bench.words(35)[0] != 0
        assert not bench.words(8)[0] >> 7 & 1
        assert bench.say(PULL) == WRONG_STATE
        bench.press.jam(None)
        assert bench.say(RESET) == OK
        assert bench.state == READY
        assert bench.words(35, 3) == [0, 0, 0]
        assert bench.press.position_mm == pytest.approx(20.0)

    on_bench(check)


def test_reset_waits_for_the_emergency_stop() -> None:
    async def check(bench: Bench) -> None:
        bench.plant.set_input("rig1", "estop_released", 0.0)
        assert bench.state == ESTOP
        assert bench.say(RESET) == OPEN
        bench.plant.set_input("rig1", "estop_released", 1.0)
        assert bench.state == ESTOP
        assert bench.say(RESET) == OK
        assert bench.state == IDLE

    on_bench(check)


def test_without_a_sample_it_runs_to_its_limit_and_may_then_only_go_back() -> None:
    async def check(bench: Bench) -> None:
        bench.prepare(speed_um_s=50_000)
        bench.go()
        bench.press.sample(None)
        await bench.pass_time(0.1)
        assert (bench.state, bench.reason) == (STOPPED, 8)  # no cell is clamped
        bench.press.sample(12.0)
        assert bench.say(DISARM) == OK
        bench.put_long(100, 280_000)  # 40 mm to the surface: past the end
        bench.go()
        await bench.until(FAULT)
        assert bench.reason == 11
        assert bench.long(10) == pytest.approx(300_000, abs=600)
        assert bench.say(RESET) == OPEN
        assert bench.say(PULL) == OK
        assert bench.state == RETRACT
        await bench.until(READY, at_most_s=90.0)
        assert bench.long(10) == 0

    on_bench(check)


def test_without_power_it_says_nothing_stands_still_and_comes_back_unhomed() -> None:
    async def check(bench: Bench) -> None:
        bench.prepare(speed_um_s=5000)
        bench.go()
        await bench.until(DRIVE)
        bench.rig.power_off()
        depth_mm = bench.press.depth_mm
        assert bench.rig.answer(struct.pack(">BHH", 3, 0, 1), bench.loop.time()) is None
        await asyncio.sleep(5.0)
        bench.rig.power_on()
        assert bench.state == INIT
        await asyncio.sleep(2.5)
        assert bench.state == NOT_HOMED
        assert bench.press.depth_mm == depth_mm > 0.0
        assert bench.words(100, 2) == [0, 0]
        assert bench.words(1001) == [0]
        assert bench.words(36)[0]
        bench.number = 0
        bench.prepare()
        assert bench.say(ARM, KEY) == WRONG_STATE

    on_bench(check)


def test_the_buffer_goes_round() -> None:
    async def check(bench: Bench) -> None:
        bench.prepare(speed_um_s=500, depth_um=12_000)
        bench.put_long(102, 25_000)
        bench.go()
        await bench.until(HOLD)
        await bench.pass_time(11.0)
        rows = bench.rows()
        assert len(rows) == 3000
        assert [later[0] - earlier[0] for earlier, later in pairwise(rows)] == [10] * 2999
        assert rows[-1][1] == bench.long(10)

    on_bench(check)


def test_another_page_puts_the_same_rig_elsewhere() -> None:
    moved = PROFILE.replace('word_order = "CDAB"', 'word_order = "ABCD"').replace(
        'position_mm        = { address = 10, type = "s32", scale = 0.001 }',
        'position_mm        = { address = 300, type = "f32", word_order = "CDAB" }',
    )

    async def check(bench: Bench) -> None:
        bench.put(100, 0, 22_000)  # high word first
        assert bench.rig.plc.order.depth_mm == pytest.approx(22.0)
        bench.press.drive(10.0)
        await asyncio.sleep(1.5)
        low, high = bench.words(300, 2)
        assert struct.unpack(">f", struct.pack(">HH", high, low))[0] == pytest.approx(15.0)

    on_bench(check, moved)
    with pytest.raises(ValueError, match="not a rig profile"):
        on_bench(check, 'schema = "cellbench/rig-profile/2"')


STEPS = st.tuples(
    st.sampled_from([*range(1, 13), 77, -1, -2, -3]), st.sampled_from([KEY, KEY, KEY, 0]), st.floats(0.0, 1.5)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=14), st.booleans())
def test_whatever_it_is_told_it_moves_only_as_its_state_says(
    steps: list[tuple[int, int, float]], beating: bool
) -> None:
    """Minus 1 opens the door, minus 2 shuts it, minus 3 sends a start that was not armed for."""

    async def check(bench: Bench) -> None:
        bench.prepare()
        assert bench.say(CAMERA) == OK
        for command, key, wait_s in steps:
            armed = bench.state == ARMED
            came_mm = bench.press.position_mm
            if command in (-1, -2):
                bench.plant.set_input("rig1", "door_closed", 0.0 if command == -1 else 1.0)
            else:
                result = bench.say(START if command == -3 else command, key)
                if command in (START, -3) and result == OK:
                    assert armed
            await bench.pass_time(wait_s, beating=beating)
            state, velocity_mm_s = bench.state, bench.press.velocity_mm_s
            if velocity_mm_s > 0.0:
                assert state in (APPROACH, CONTACT, DRIVE)
            elif velocity_mm_s < 0.0:
                assert state == RETRACT
            if state not in (RETRACT, IDLE, READY, NOT_HOMED, ARMED, APPROACH, STOPPED):
                assert bench.press.position_mm >= came_mm
            assert bench.press.deepest_mm <= 22.4

    on_bench(check)


@given(st.binary(min_size=1, max_size=40))
def test_whatever_bytes_come_it_answers(pdu: bytes) -> None:
    async def check(bench: Bench) -> None:
        reply = bench.rig.answer(pdu, bench.loop.time())
        assert reply
        assert reply[0][1][0] & 0x7F == pdu[0] & 0x7F

    on_bench(check)
