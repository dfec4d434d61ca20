"""A page that reads a device's words in the wrong order is found out at connect, not believed."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from drivers import WrongDevice
from drivers.capabilities import DeviceSettings
from drivers.clock import Clock
from drivers.errors import ConfigError
from drivers.modbus_points import with_profile
from drivers.point_list import parse
from drivers.profiles import builtin
from drivers.registers import number_of
from drivers.rig_profile import parse as parse_rig
from tests.contracts.stands import POINT_LIST, Case, Stand, stand_up

CONSTANTS = """
[constants]
order = { address = 110, type = "f32", value = 3.7 }
scale = { address = 112, type = "u16", value = 100 }
"""
CASE = Case("modbus-points", "modbus-tcp")


@pytest.mark.fault("F28", "F26", "T12")
@pytest.mark.parametrize("value", [25.0, 100.0, 3.0, -10.0, 0.5, -0.125])
def test_a_round_number_with_its_words_swapped_is_no_number(value: float) -> None:
    """They read as nearly nothing, which would pass for zero."""
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    swapped = struct.unpack(">f", struct.pack(">HH", low, high))[0]
    assert 0.0 < abs(swapped) < 1.2e-38
    assert number_of((high, low), "f32", "ABCD") == value
    assert number_of((low, high), "f32", "CDAB") == value
    found = number_of((low, high), "f32", "ABCD")
    assert found != found


@pytest.mark.fault("F26")
@pytest.mark.parametrize("word", [0x7FC00000, 0x7F800000, 0xFF800000, 0x00000001, 0x807FFFFF])
def test_what_is_no_measurement_is_no_number(word: int) -> None:
    found = number_of((word >> 16, word & 0xFFFF), "f32", "ABCD")
    assert found != found


@pytest.mark.fault("F28")
def test_a_page_with_the_words_the_wrong_way_round_is_refused_at_connect() -> None:
    right = POINT_LIST + CONSTANTS

    async def check(stand: Stand) -> None:
        other = right.replace('type = "f32", value', 'type = "f32", word_order = "CDAB", value')
        device = _driver(stand, other)
        with pytest.raises(WrongDevice, match=r"order reads .* words stand in the order ABCD, not CDAB"):
            await device.connect()
        assert stand.written() == []
        await _driver(stand, right).connect()

    stand_up(CASE, check, profile=right)


@pytest.mark.fault("F29", "F30")
def test_a_scale_that_is_changed_in_use_is_a_deviation() -> None:
    page = POINT_LIST + CONSTANTS

    async def check(stand: Stand) -> None:
        device = _driver(stand, page)
        await device.connect()
        for _ in range(6):
            assert await device.deviations() == ()
        table, register, _ = stand.twin.constants["scale"]
        stand.twin.constants["scale"] = (table, register, 10.0)
        found = [text for _ in range(6) for text in await device.deviations()]
        assert "scale reads 10, not 100" in found

    stand_up(CASE, check, profile=page)


def _driver(stand: Stand, page: str) -> Any:
    settings = DeviceSettings(
        name="dut",
        wire=stand.wire,
        clock=Clock(stand.loop.time, stand.loop.time),
        unit=stand.spec.unit,
        points=("di1",),
    )
    return with_profile(page, "page.toml").create(settings)


@pytest.mark.fault("F28")
@pytest.mark.parametrize(
    ("kind", "value"), [("f32", 0.0), ("u32", 0), ("s32", 0x00010001), ("u16", 70000), ("u32", 131074)]
)
def test_a_number_that_proves_nothing_is_refused(kind: str, value: float) -> None:
    for read, text in ((parse, POINT_LIST), (parse_rig, builtin("reference"))):
        page = text + f'\n[constants]\norder = {{ address = 900, type = "{kind}", value = {value} }}\n'
        with pytest.raises(ConfigError, match="proves nothing"):
            read(page, "page.toml")


def test_a_rig_profile_may_have_them_too() -> None:
    page = builtin("reference") + CONSTANTS.replace("110", "910").replace("112", "912")
    assert [its.value for its in parse_rig(page, "page.toml").constants] == [3.7, 100]
