"""M-7018 and M-7017 against a raw-byte peer on a pty."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.capabilities import Device, DeviceSettings, DriverModel, OnCommLoss, PointKind
from drivers.clock import Clock
from drivers.errors import DeviceRefused, WireTimeout, WrongDevice
from drivers.icpdas_analog import AnalogInputs, AnalogModule
from drivers.icpdas_m7017 import M7017
from drivers.icpdas_m7017 import MODEL as M7017_MODEL
from drivers.icpdas_m7018 import M7018
from drivers.icpdas_m7018 import MODEL as M7018_MODEL
from drivers.reading import Quality, Reading
from tests.drivers.icpdas_modules import START_UTC_S, Module, analog, settings_for
from tests.drivers.modbus_peers import PtyPeer, rtu

OPEN = 0x7FFF
UNDER = 0x8000


@asynccontextmanager
async def device(
    module: Module, points: tuple[str, ...] = (), *, number: int = 7018, **more: object
) -> AsyncIterator[tuple[Device, PtyPeer]]:
    async with PtyPeer(module.answer) as peer:
        settings = settings_for(peer, module, points, **more)
        model = M7018_MODEL if number == 7018 else M7017_MODEL
        await settings.wire.open()
        try:
            yield model.create(settings), peer
        finally:
            await settings.wire.close()


def m7018(values: list[int] | None = None, **more: int) -> Module:
    return analog(7018, 0x0F, values or [0] * 8, **more)


async def test_hexadecimal_temperatures_to_the_ends_of_the_range() -> None:
    """0x7FFF is +1372.0 and 0xE6D0 is -270.0 degC; a step is 0.042 K, so 25.0 degC is 597 steps."""
    module = m7018([597, 0, 0xE6D0, 0x7FFE, 23883, -597, 1, 2388])
    async with device(module) as (th1, _):
        await th1.connect()
        readings = await th1.read()
        values = [reading.value for reading in readings]
        assert values == pytest.approx([25.0, 0.0, -270.0, 1372.0, 1000.0, -25.0, 0.0419, 100.0], abs=0.05)
        assert all(reading.quality is Quality.GOOD for reading in readings)
        assert [reading.channel for reading in readings] == [f"dev.ai{index}.temperature_c" for index in range(8)]
        assert th1.channels == tuple(reading.channel for reading in readings)
        now_s = asyncio.get_running_loop().time()
        assert all(0 <= now_s - reading.mono_s < 1 for reading in readings)
        assert all(reading.utc_s == pytest.approx(START_UTC_S + reading.mono_s, abs=0.01) for reading in readings)


async def test_engineering_temperatures_are_tenths() -> None:
    module = m7018([250, -123, 13720, -2700, 13721, -2701, OPEN, UNDER], engineering=1)
    async with device(module) as (th1, _):
        await th1.connect()
        readings = await th1.read()
        assert [reading.value for reading in readings[:4]] == pytest.approx([25.0, -12.3, 1372.0, -270.0])
        assert [reading.quality for reading in readings[4:]] == [
            Quality.OVER_RANGE,
            Quality.UNDER_RANGE,
            Quality.OPEN,
            Quality.UNDER_RANGE,
        ]
        assert all(math.isnan(reading.value) for reading in readings[4:])


@pytest.mark.fault("F31")
async def test_open_and_out_of_range_thermocouples_are_no_numbers() -> None:
    module = m7018([OPEN, UNDER, 597, 0xE6CF, 0x8001, 597, 597, 597])
    async with device(module) as (th1, _):
        await th1.connect()
        readings = await th1.read()
        assert [reading.quality for reading in readings[:5]] == [
            Quality.OPEN,
            Quality.UNDER_RANGE,
            Quality.GOOD,
            Quality.UNDER_RANGE,
            Quality.UNDER_RANGE,
        ]
        assert [math.isnan(reading.value) for reading in readings] == [True, True, False, True, True, *[False] * 3]


@given(word=st.integers(0, 0xFFFF), engineering=st.booleans())
def test_every_word_is_a_temperature_in_range_or_no_number(word: int, engineering: bool) -> None:
    """Against the arithmetic of the table's two ends, word by word."""
    reading = _one(M7018, word, engineering=engineering)
    signed = word - 0x10000 if word & 0x8000 else word
    value = signed / 10 if engineering else signed / 32767 * 1372
    if reading.quality is Quality.GOOD:
        assert reading.value == pytest.approx(value, abs=1e-9)
        assert -270.05 <= reading.value <= 1372.0
    else:
        assert math.isnan(reading.value)
        assert value > 1371.9 or value < -270.0


@given(word=st.integers(0, 0xFFFF), engineering=st.booleans())
def test_every_word_is_a_voltage_in_range_or_no_number(word: int, engineering: bool) -> None:
    reading = _one(M7017, word, engineering=engineering)
    signed = word - 0x10000 if word & 0x8000 else word
    value = signed / 1000 if engineering else signed / 32768 * 5
    if reading.quality is Quality.GOOD:
        assert reading.value == pytest.approx(value, abs=2e-4)
        assert abs(reading.value) <= 5.0
    else:
        assert math.isnan(reading.value)
        assert abs(value) >= 4.999


class _Words:
    """A wire that has one word to give."""

    def __init__(self, word: int) -> None:
        self.word = word

    async def read_registers(self, *_: object, **__: object) -> tuple[int, ...]:
        return (self.word,)


def _one(page: AnalogModule, word: int, *, engineering: bool) -> Reading:
    settings = DeviceSettings("dev", _Words(word), Clock(lambda: 0.0, lambda: 0.0), points=("ai0",))
    inputs = AnalogInputs(page, settings)
    inputs._follow(engineering=engineering)
    return asyncio.run(inputs.read())[0]


async def test_hexadecimal_voltages_and_a_reversed_cell() -> None:
    """0x7FFF is +5 V and 0x8000 -5 V: 3.7 V is 24 248 steps; a reversed cell is a good negative number."""
    module = analog(7017, 0x09, [24248, -24248, 0, 0x7FFE, 0x8001, OPEN, UNDER, 1], unit=2)
    async with device(module, number=7017) as (v1, _):
        await v1.connect()
        readings = await v1.read()
        assert [reading.value for reading in readings[:5]] == pytest.approx([3.7, -3.7, 0.0, 5.0, -5.0], abs=5e-4)
        assert [reading.quality for reading in readings[5:7]] == [Quality.OVER_RANGE, Quality.UNDER_RANGE]
        assert all(math.isnan(reading.value) for reading in readings[5:7])
        assert readings[0].channel == "dev.ai0.voltage_v"


async def test_engineering_voltages_are_millivolts() -> None:
    module = analog(7017, 0x09, [3700, -3700, 5000, -5000, 5001, -5001, 0, 1], engineering=1)
    async with device(module, number=7017) as (v1, _):
        await v1.connect()
        readings = await v1.read()
        assert [reading.value for reading in readings[:4]] == pytest.approx([3.7, -3.7, 5.0, -5.0])
        assert [reading.quality for reading in readings[4:6]] == [Quality.OVER_RANGE, Quality.UNDER_RANGE]


async def test_only_used_points_in_one_request_and_these_very_bytes() -> None:
    """ai2, ai3 and ai5 are one block of four: function 4 at address 2."""
    async with device(m7018([100 * n for n in range(8)], unit=9), ("ai5", "ai2", "ai3")) as (th1, peer):
        await th1.connect()
        before = len(peer.requests)
        readings = await th1.read()
        assert peer.requests[before:] == [rtu(9, 4, 0, 2, 0, 4)]
        assert [reading.channel for reading in readings] == [f"dev.ai{n}.temperature_c" for n in (2, 3, 5)]
        assert [round(reading.value / (1372 / 32767)) for reading in readings] == [200, 300, 500]


async def test_connect_reads_only_and_says_who_answered() -> None:
    module = m7018()
    async with device(module) as (th1, _):
        identity = await th1.connect()
        assert (identity.maker, identity.model, identity.firmware) == ("ICP DAS", "M-7018", "00000B20")
        await th1.make_safe()
        await th1.make_safe(fire=True)
        assert module.writes == []


@pytest.mark.parametrize(("low", "high"), [(0x1800, 0x0070), (0x7018, 0x0000), (0x0000, 0x7018)])
async def test_the_model_is_found_however_its_digits_stand(low: int, high: int) -> None:
    module = m7018()
    module.points |= {40483: low, 40484: high}
    async with device(module) as (th1, _):
        assert (await th1.connect()).model == "M-7018"


async def test_a_module_that_does_not_tell_its_firmware() -> None:
    module = m7018()
    del module.points[40481]
    async with device(module) as (th1, _):
        assert (await th1.connect()).firmware == "not told"


@pytest.mark.fault("F40")
@pytest.mark.parametrize(
    ("points", "message"),
    [
        ({40483: 0x1700}, "not an M-7018"),
        ({40487: 0x0E}, "type code 0x0e, not to 0x0f"),
        ({40490: 0xFD}, "ai1 used by the bench file but disabled"),
        ({259: 0}, "60 Hz"),
        ({268: 0}, "cold-junction compensation is off"),
    ],
    ids=["model", "type code", "channel disabled", "line filter", "cold junction"],
)
async def test_a_module_that_is_set_otherwise_is_refused(points: dict[int, int], message: str) -> None:
    module = m7018()
    module.points |= points
    async with device(module, ("ai0", "ai1")) as (th1, _):
        with pytest.raises(WrongDevice, match=message) as refusal:
            await th1.connect()
        assert refusal.value.faults[0].where == "dev"
        assert refusal.value.faults[0].fix


async def test_60_hz_mains_wants_the_60_hz_filter() -> None:
    module = m7018()
    module.points[259] = 0
    async with device(module, mains_hz=60) as (th1, _):
        await th1.connect()


async def test_a_serial_number_cannot_be_compared() -> None:
    async with device(m7018(), serial="123") as (th1, _):
        with pytest.raises(WrongDevice, match="no serial number"):
            await th1.connect()


async def test_another_module_of_the_line_is_not_taken_for_it() -> None:
    async with device(analog(7017, 0x09, [0] * 8)) as (th1, _):
        with pytest.raises(WrongDevice, match="00701700"):
            await th1.connect()


async def test_nobody_answers_and_a_refusal() -> None:
    module = m7018()
    async with device(module) as (th1, _):
        module.silent = True
        with pytest.raises(WireTimeout):
            await th1.connect()
        module.silent = False
        await th1.connect()
        del module.points[30004]
        with pytest.raises(DeviceRefused, match="illegal data address"):
            await th1.read()


async def test_reading_before_connect_is_a_slip_not_a_number() -> None:
    async with device(m7018()) as (th1, _):
        with pytest.raises(RuntimeError, match="before connect"):
            await th1.read()


async def test_two_modules_share_a_line() -> None:
    """Thermocouples at unit 1 and voltages at unit 2 on one RS-485 line, polled at once, each gets its own."""
    th, v = m7018([597] * 8), analog(7017, 0x09, [24248] * 8, unit=2)
    async with PtyPeer(lambda request: [*th.answer(request), *v.answer(request)]) as peer:
        first = settings_for(peer, th, ("ai0",), name="th1")
        await first.wire.open()
        th1 = M7018_MODEL.create(first)
        v1 = M7017_MODEL.create(replace(first, name="v1", unit=2))
        await asyncio.gather(th1.connect(), v1.connect())
        for _ in range(20):
            (temperature,), (voltage,) = await asyncio.gather(th1.read(), v1.read())
            assert temperature.value == pytest.approx(25.0, abs=0.05)
            assert voltage.value == pytest.approx(3.7, abs=0.001)
        await first.wire.close()


@pytest.mark.parametrize("model", [M7018_MODEL, M7017_MODEL])
def test_what_binding_is_told(model: DriverModel) -> None:
    assert model.min_poll_s == 0.8
    assert model.on_comm_loss is OnCommLoss.NONE
    assert set(model.points) == {f"ai{n}" for n in range(8)}
    assert "UNVERIFIED" in model.evidence
    assert M7018_MODEL.points["ai0"] is PointKind.TEMPERATURE
    assert M7017_MODEL.points["ai0"] is PointKind.VOLTAGE
    assert M7018_MODEL.spans({})["temperature_c"].low == -270.0
    assert (M7017_MODEL.spans({})["voltage_v"].low, M7017_MODEL.spans({})["voltage_v"].high) == (-5.0, 5.0)
