"""The point-list module against a peer on a pty that a test wrote byte by byte."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest

from drivers.capabilities import DeviceSettings, OnCommLoss, PointKind, Switches
from drivers.errors import ConfigError, DeviceError, DeviceRefused, ReadbackMismatch, WireTimeout, WrongDevice
from drivers.modbus_points import MODEL, with_profile
from drivers.profiles import builtin
from drivers.reading import Quality
from drivers.wires import modbus as modbus_module
from tests.drivers.icpdas_modules import Module, clock, settings_for
from tests.drivers.modbus_peers import PtyPeer, rtu

RIG1 = builtin("rig1-points")
BITS = """
schema = "cellbench/point-list/1"
name = "bits"
title = "Outputs in one register"
evidence = "an example"
[points]
fan = { kind = "output", table = "holding", address = 10, bit = 0, safe = true }
valve = { kind = "output", table = "holding", address = 10, bit = 3, invert = true, safe = false }
"""


def module() -> Module:
    """rig1-points: coils 0-2, inputs 0-4, input registers 0-1 and the watchdog at 100, each numbered from 1."""
    points = dict.fromkeys((1, 2, 3, *range(10001, 10006)), 0)
    return Module(1, points | {30001: 42, 30002: 10132, 40101: 0})


@asynccontextmanager
async def device(
    far: Module, points: tuple[str, ...] = (), page: str = RIG1, **more: object
) -> AsyncIterator[tuple[Switches, PtyPeer]]:
    async with PtyPeer(far.answer) as peer:
        settings = settings_for(peer, far, points, **more)
        await settings.wire.open()
        try:
            created = with_profile(page, "page.toml").create(settings)
            assert isinstance(created, Switches)
            yield created, peer
        finally:
            await settings.wire.close()


GAS_SLOW = RIG1.replace("below = 10.0, invalid = 65535 }", 'below = 10.0, invalid = 65535, timeout = "0.5 s" }')


@pytest.mark.parametrize(
    ("page", "measured"),
    [
        (RIG1, [rtu(1, 4, 0, 0, 0, 2)]),
        (GAS_SLOW, [rtu(1, 4, 0, 0, 0, 1), rtu(1, 4, 0, 1, 0, 1)]),
    ],
    ids=["one timeout", "another timeout for gas"],
)
async def test_one_request_a_table_and_a_timeout(page: str, measured: list[bytes]) -> None:
    async with device(module(), page=page) as (io2, peer):
        readings = await io2.read()
        assert peer.requests == [rtu(1, 2, 0, 0, 0, 5), *measured]
        assert {reading.channel: reading.value for reading in readings} == pytest.approx(
            {
                "dev.sample_closed.on": 0.0,
                "dev.short_closed.on": 0.0,
                "dev.smoke_clear.on": 1.0,
                "dev.flame_clear.on": 1.0,
                "dev.exhaust_flow.on": 0.0,
                "dev.gas_clear.on": 1.0,
                "dev.pressure.pressure_kpa": 101.32,
            }
        )
        assert io2.channels == tuple(reading.channel for reading in readings)


async def test_the_used_points_in_the_order_of_the_bench_and_no_others() -> None:
    far = module()
    far.points[30002] = 65535
    async with device(far, ("pressure", "sample", "exhaust_flow", "smoke_clear")) as (io2, peer):
        readings = await io2.read()
        assert peer.requests == [rtu(1, 4, 0, 1, 0, 1), rtu(1, 2, 0, 2, 0, 3)]
        assert io2.channels == ("dev.pressure.pressure_kpa", "dev.exhaust_flow.on", "dev.smoke_clear.on")
        assert [reading.quality is Quality.GOOD for reading in readings] == [False, True, True]


async def test_connect_only_reads() -> None:
    far = module()
    async with device(far) as (io2, _):
        assert (await io2.connect()).model == "Contactors, detectors and exhaust of the blast enclosure"
        assert far.writes == []


async def test_a_module_without_an_address_of_the_page_is_another() -> None:
    far = module()
    del far.points[3]
    async with device(far) as (io2, _):
        with pytest.raises(WrongDevice, match="point list"):
            await io2.connect()


async def test_an_output_is_switched_once_and_read_back() -> None:
    far = module()
    async with device(far) as (io2, peer):
        await io2.write("short", on=True)
        assert peer.requests == [rtu(1, 5, 0, 1, 0xFF, 0), rtu(1, 1, 0, 1, 0, 1)]
        far.on_write = lambda *_: True
        with pytest.raises(ReadbackMismatch, match="short still reads ON"):
            await io2.write("short", on=False)
        with pytest.raises(ValueError, match="not an output"):
            await io2.write("smoke_clear", on=True)


@pytest.mark.fault("F15")
async def test_closing_without_its_reply_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modbus_module, "QUIET_S", 0.02)
    async with device(module(), page=RIG1.replace('"0.3 s"', '"0.1 s"')) as (io2, peer):
        peer.script = lambda _: []
        with pytest.raises(WireTimeout):
            await io2.write("sample", on=True)
        assert len(peer.requests) == 1


async def test_the_watchdog_is_set_in_its_own_steps_and_read_back() -> None:
    far = module()
    async with device(far) as (io2, _):
        await io2.arm_watchdog(4.0)
        assert far.writes == [(40101, 40)]
        for wrong_s in (0.0, 0.04, 25.2):
            with pytest.raises(ValueError, match="watchdog"):
                await io2.arm_watchdog(wrong_s)
        far.on_write = lambda *_: True
        with pytest.raises(ReadbackMismatch, match="2 s set, 4 s read back"):
            await io2.arm_watchdog(2.0)


async def test_safe_keeps_the_exhaust_on_and_opens_the_contactors() -> None:
    far = module()
    far.points |= {1: 1, 2: 1, 3: 0}
    async with device(far) as (io2, _):
        await io2.make_safe()
        await io2.make_safe(fire=True)
        assert [far.points[coil] for coil in (1, 2, 3)] == [0, 0, 1]


async def test_one_output_that_stays_is_named_and_keeps_no_other() -> None:
    far = module()
    far.points |= {1: 1, 2: 1, 3: 0}
    far.on_write = lambda point, _: point == 1
    async with device(far) as (io2, _):
        with pytest.raises(ReadbackMismatch, match="sample still on"):
            await io2.make_safe()
        assert [far.points[coil] for coil in (1, 2, 3)] == [1, 0, 1]


@pytest.mark.fault("F24")
@pytest.mark.parametrize("lost", range(6))
async def test_one_lost_exchange_does_not_keep_it_from_being_safe(monkeypatch: pytest.MonkeyPatch, lost: int) -> None:
    monkeypatch.setattr(modbus_module, "QUIET_S", 0.02)
    far = module()
    far.points |= {1: 1, 2: 1}
    count = [0]

    def script(request: bytes) -> Iterable[tuple[float, bytes]]:
        count[0] += 1
        answer = far.answer(request)
        return [] if count[0] == lost + 1 else answer

    async with device(far, page=RIG1.replace('"0.3 s"', '"0.1 s"')) as (io2, peer):
        peer.script = script
        await io2.make_safe()
        assert [far.points[coil] for coil in (1, 2, 3)] == [0, 0, 1]


async def test_outputs_that_share_a_register_leave_its_other_bits_alone() -> None:
    far = Module(1, {40011: 0x8000})
    async with device(far, page=BITS) as (io2, _):
        await io2.write("valve", on=False)  # inverted: its bit is set
        assert far.points[40011] == 0x8008
        await io2.write("fan", on=True)
        await io2.write("valve", on=True)
        assert far.points[40011] == 0x8001
        await io2.make_safe()
        assert far.points[40011] == 0x8009


async def test_without_a_watchdog_there_is_none_to_arm() -> None:
    model = with_profile(BITS, "page.toml")
    assert (model.on_comm_loss, model.watchdog_max_s) == (OnCommLoss.NONE, None)
    async with device(Module(1, {40011: 0}), page=BITS) as (io2, _):
        with pytest.raises(DeviceRefused, match="no watchdog"):
            await io2.arm_watchdog(4.0)


async def test_a_serial_number_cannot_be_compared() -> None:
    async with device(module(), serial="17") as (io2, _):
        with pytest.raises(WrongDevice):
            await io2.connect()


async def test_without_a_page_there_is_no_driver() -> None:
    with pytest.raises(DeviceError, match="no point list"):
        MODEL.create(DeviceSettings("dev", None, clock()))
    with pytest.raises(ConfigError):
        with_profile("", "page.toml")


def test_what_binding_is_told() -> None:
    model = with_profile(RIG1, "page.toml")
    assert [name for name, kind in model.points.items() if kind is PointKind.OUTPUT] == ["sample", "short", "exhaust"]
    assert model.points["pressure"] is PointKind.PRESSURE
    assert (model.on_comm_loss, model.watchdog_max_s) == (OnCommLoss.DEVICE_WATCHDOG, 25.0)
    span = model.spans({})["pressure_kpa"]
    assert (span.low, span.high, span.resolution) == pytest.approx((0.0, 655.34, 0.01))
