"""Thousands of polls of a device that is late, silent, noisy, doubled, cut, and answers for others: a value is either
the one that the device showed for this very poll, or there is none."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import Any

import pytest

from drivers import DeviceRefused, Quality, WireError
from drivers.capabilities import DeviceKind
from simulators.faults import Fault, Frames, garbled, instead, noise_before, truncated, wrong_unit
from simulators.personalities.rig_states import Shown, State
from simulators.servers.frames import crc16
from tests.contracts.stands import NAME, Case, Stand, cases, stand_up

POLLS = 2500
#: A VISA session that runs into its deadline costs real time, so it sees fewer, and the same kinds.
VISA_POLLS = 400
BAD = 0.2


def other_function(delay_s: float, frame: bytes) -> Frames:
    """A frame that fits in every check but answers another kind of request (RTU)."""
    body = frame[:1] + bytes([5 - frame[1] if 1 <= frame[1] <= 4 else 1]) + frame[2:-2]
    return ((delay_s, body + crc16(body)),)


def one_word_less(delay_s: float, frame: bytes) -> Frames:
    """A frame that fits in every check but carries less than was asked for (RTU)."""
    if len(frame) < 7:
        return ()
    body = frame[:2] + bytes([frame[2] - 2 if frame[2] > 2 else 1]) + frame[3:-4]
    return ((delay_s, body + crc16(body)),)


def answers_of(case: Case) -> dict[str, Fault]:
    """What a device of this case may say in place of its answer, beside being late, silent, doubled or in parts."""
    faults: dict[str, Fault] = {
        "garbled": garbled,
        "noisy": noise_before(b"\x00\xff\x13"),
        "cut": truncated(4),
    }
    if case.scheme == "modbus-rtu":
        faults |= {"wrong unit": wrong_unit(9), "wrong function": other_function, "wrong count": one_word_less}
    elif not case.scheme.startswith("modbus"):
        for text in ("5.00V", "REMOTE", '0,"No error"', "OK:MODE,OFF", "NA:CMD ERR", "23.0,,CONSTANT,0", ""):
            faults[f"answer {text!r}"] = instead(f"{text}\r\n".encode())
    return faults


class Mood:
    """Answers in order, as a device does, and one time in five badly."""

    def __init__(self, case: Case, seed: int) -> None:
        self._random = Random(f"{seed}/{case}")
        self._answers = answers_of(case)
        self._kinds = ["late", "very late", "silent", "doubled", "in parts", *self._answers]
        self._free_s = 0.0
        self._before = b""
        self.said: Counter[str] = Counter()

    def __call__(self, delay_s: float, frame: bytes) -> Frames:
        now_s = asyncio.get_running_loop().time()
        kind = self._random.choice(self._kinds) if self._random.random() < BAD else "good"
        self.said[kind] += 1
        before, self._before = self._before, frame
        if kind == "silent":
            return ()
        if kind == "wrong unit" and len(before) == len(frame):
            frame = before  # another unit has other values
        works_s = delay_s + {"late": 0.2, "very late": self._random.uniform(0.6, 1.6)}.get(kind, 0.0)
        self._free_s = max(now_s, self._free_s) + works_s
        due_s = self._free_s - now_s
        if kind == "doubled":
            # At once: a copy that comes after the next request is out cannot be told from its answer, by nobody,
            # where a protocol has no transaction number.
            return ((due_s, frame), (due_s, frame))
        if kind == "in parts":
            return ((due_s, frame[:4]), (due_s + 0.02, frame[4:]))
        return self._answers[kind](due_s, frame) if kind in self._answers else ((due_s, frame),)


def show(stand: Stand, number: int) -> dict[str, float]:
    """Make the device show something else at every poll; gives what each channel must read."""
    twin: Any = stand.twin
    if stand.case.kind is DeviceKind.CYCLER:
        twin.stuck, volts, amperes = True, 1.0 + 0.01 * (number % 397), -50.0 + 0.25 * (number % 401)
        twin._measured = (volts, amperes)
        return {"out.voltage_v": volts, "out.current_a": amperes}
    if stand.case.kind is DeviceKind.CHAMBER:
        twin.stuck, twin._air_c = True, -30.0 + 0.1 * (number % 997)
        return {"air.temperature_c": twin._air_c, "air.setpoint_c": stand.plant.chamber("box").setpoint_c}
    shown: dict[str, float] = {}
    if stand.case.kind is DeviceKind.RIG:
        shown = _at_the_nail(twin, number)
    for at, point in enumerate(sorted(stand.spec.points)):
        if point.startswith("di"):
            on = bool((7 * number % 32) >> (at % 5) & 1)
            twin.force(point, on=on)
            shown[f"{point}.on"] = float(on)
        elif point.startswith("ai") and "7018" in stand.case.model:
            shown[f"{point}.temperature_c"] = value = -100.0 + 0.5 * (number % 1999) + 10 * at
            twin.force(point, value)
        elif point.startswith("ai"):
            shown[f"{point}.voltage_v"] = value = -4.9 + 0.01 * (number % 971)
            twin.force(point, value)
        elif point == "door_closed":
            shown["door_closed.on"] = value = float(7 * number % 32 > 15)
            twin.force(point, value)
        elif point == "t1":
            shown["t1.temperature_c"] = value = -100.0 + 0.5 * (number % 1999)
            twin.force(point, value)
    return shown


def _at_the_nail(twin: Any, number: int) -> dict[str, float]:
    """The same for what a rig's PLC measures itself; it no longer looks at its sensors."""
    plc = twin.plc
    plc.look = lambda: None
    plc.state = State(number % len(State))
    plc.shown = Shown(
        0.2 * (number % 1499), -40.0 + 0.2 * (number % 397), 50.0 * (number % 1597), 0.01 * (number % 401)
    )
    return {
        "nail.position_mm": plc.shown.position_mm,
        "nail.speed_mm_s": plc.shown.speed_mm_s,
        "nail.force_n": plc.shown.force_n,
        "nail.voltage_v": plc.shown.voltage_v,
        "nail.state": float(plc.state),
    }


#: Half of what the shown values differ by from one poll to the next.
CLOSE = {"voltage_v": 0.005, "current_a": 0.1, "temperature_c": 0.05, "setpoint_c": 0.05, "on": 0.0}
CLOSE |= {"position_mm": 0.1, "speed_mm_s": 0.1, "force_n": 25.0, "state": 0.0}


@pytest.mark.fault("F3", "F4", "F7", "F8", "F9", "F10", "F11", "F12", "T1", "T5", "T8", "T23", "H14")
@pytest.mark.scenario
@pytest.mark.parametrize("case", cases(), ids=str)
def test_no_reply_but_its_own_becomes_a_value(case: Case) -> None:
    polls = VISA_POLLS if case.scheme == "visa" else POLLS

    async def check(stand: Stand) -> None:
        await stand.device.connect()
        mood = Mood(case, 3)
        pause = Random(17)
        ends: Counter[str] = Counter()
        named = True
        stand.twin.faults.always = mood
        for number in range(polls):
            await asyncio.sleep(pause.choice((0.0, 0.02, 1.0)))
            wanted = show(stand, number)
            try:
                readings = await stand.device.read()
            except WireError as error:
                named &= error.device == NAME and bool(error.doing)
                ends[type(error).__name__] += 1
                continue
            except DeviceRefused as error:  # a refusal came in place of the answer, which is no value either
                named &= "CMD ERR" in str(error)
                ends["DeviceRefused"] += 1
                continue
            ends["read"] += 1
            for reading in readings:
                channel = reading.channel.removeprefix(f"{NAME}.")
                assert reading.quality is Quality.GOOD
                assert reading.value == pytest.approx(wanted[channel], abs=CLOSE[channel.split(".")[1]]), (
                    f"poll {number}: {reading} where {wanted[channel]:g} was shown, after {dict(mood.said)}"
                )
        assert ends.total() == polls
        assert named
        assert min(mood.said.values()) > polls / 400
        assert ends["read"] > 0.6 * polls
        assert ends["WireTimeout"] > 0
        stand.twin.faults.clear()
        wanted = show(stand, polls)
        assert len(await stand.device.read()) == len(wanted)

    stand_up(case, check, hasty=True)
