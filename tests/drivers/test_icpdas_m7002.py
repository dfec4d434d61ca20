"""M-7002-class I/O against a raw-byte peer on a pty."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest

from drivers.capabilities import OnCommLoss, PointKind, Switches
from drivers.errors import DeviceRefused, ReadbackMismatch, WireError, WireTimeout, WrongDevice
from drivers.icpdas_m7002 import M7002, MODEL
from drivers.wires import modbus as modbus_module
from drivers.wires import modbus_session
from tests.drivers.icpdas_modules import Module, settings_for
from tests.drivers.modbus_peers import PtyPeer, rtu

SAFE = range(129, 133)
POWER_ON = range(193, 197)


def io_module(unit: int = 1) -> Module:
    """M-7002 as the M-7000 Address Mapping Rev. 1.13 has it, with the factory's safe values taken as ON."""
    points = {1 + n: 0 for n in range(4)} | {10033 + n: 0 for n in range(5)}
    points |= dict.fromkeys(SAFE, 1) | dict.fromkeys(POWER_ON, 1)
    points |= {260: 1, 261: 0, 269: 0, 270: 0, 40489: 0}
    points |= {40481: 0x0100, 40482: 0, 40483: 0x0200, 40484: 0x0070}
    module = Module(unit, points)

    def on_write(point: int, value: int) -> bool:
        if point == 270 and value == 1:
            points[270] = 0
            return True
        return point <= 4 and bool(points[270])  # output commands are ignored while the timeout status is set

    module.on_write = on_write
    return module


@asynccontextmanager
async def device(module: Module, points: tuple[str, ...] = (), **more: object) -> AsyncIterator[tuple[M7002, PtyPeer]]:
    async with PtyPeer(module.answer) as peer:
        settings = settings_for(peer, module, points, **more)
        await settings.wire.open()
        try:
            created = MODEL.create(settings)
            assert isinstance(created, M7002)
            assert isinstance(created, Switches)
            yield created, peer
        finally:
            await settings.wire.close()


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modbus_session, "TIMEOUT_S", 0.15)
    monkeypatch.setattr(modbus_module, "QUIET_S", 0.02)


async def test_the_used_inputs_are_read_in_one_request_and_outputs_are_not_polled() -> None:
    module = io_module(3)
    module.points |= {10034: 1, 10037: 1, 1: 1}
    async with device(module, ("do0", "di4", "di1", "di2")) as (io1, peer):
        await io1.connect()
        before = len(peer.requests)
        readings = await io1.read()
        assert peer.requests[before:] == [rtu(3, 2, 0, 33, 0, 4)]
        assert [(reading.channel, reading.value) for reading in readings] == [
            ("dev.di1.on", 1.0),
            ("dev.di2.on", 0.0),
            ("dev.di4.on", 1.0),
        ]
        assert io1.channels == tuple(reading.channel for reading in readings)


async def test_inputs_alone_take_one_request() -> None:
    async with device(io_module(), ("di0",)) as (io1, peer):
        await io1.connect()
        before = len(peer.requests)
        assert len(await io1.read()) == 1
        assert peer.requests[before:] == [rtu(1, 2, 0, 32, 0, 1)]


async def test_every_input_when_no_point_is_named() -> None:
    async with device(io_module()) as (io1, _):
        await io1.connect()
        assert len(await io1.read()) == 5


async def test_connect_only_reads_and_reports_the_watchdog() -> None:
    module = io_module()
    module.points[270] = 1
    async with device(module) as (io1, _):
        identity = await io1.connect()
        assert identity.model == "M-7002"
        assert io1.watchdog_tripped
        assert module.writes == []


@pytest.mark.fault("F40")
async def test_another_module_is_refused() -> None:
    module = io_module()
    module.points[40483] = 0x1800
    async with device(module) as (io1, _):
        with pytest.raises(WrongDevice, match="not an M-7002"):
            await io1.connect()


async def test_arming_sets_safe_values_time_and_enable_and_clears_an_old_timeout() -> None:
    module = io_module()
    module.points[270] = 1
    async with device(module) as (io1, _):
        await io1.connect()
        await io1.arm_watchdog(4.0)
        assert [module.points[point] for point in (*SAFE, *POWER_ON)] == [0] * 8
        assert {point: module.points[point] for point in (260, 261, 270, 40489)} == {260: 0, 261: 1, 270: 0, 40489: 40}
        assert module.writes[-1] == (261, 1)
        assert not io1.watchdog_tripped
        written = len(module.writes)
        await io1.arm_watchdog(4.0)
        assert len(module.writes) == written  # what is set already is not written again


@pytest.mark.parametrize(
    ("point", "message"),
    [(130, "safe values"), (193, "power-on values"), (260, "mode"), (40489, "time"), (261, "enabling")],
)
async def test_arming_that_does_not_take_is_seen(point: int, message: str) -> None:
    module = io_module()
    module.on_write = lambda written, _: written == point
    async with device(module) as (io1, _):
        await io1.connect()
        with pytest.raises(ReadbackMismatch, match=message):
            await io1.arm_watchdog(2.0)


@pytest.mark.parametrize("timeout_s", [0.0, 0.04, 25.6, 60.0])
async def test_a_watchdog_beyond_its_register_is_refused(timeout_s: float) -> None:
    module = io_module()
    async with device(module) as (io1, _):
        with pytest.raises(ValueError, match="not from"):
            await io1.arm_watchdog(timeout_s)
        assert module.writes == []


async def test_an_output_is_switched_once_and_read_back() -> None:
    module = io_module()
    async with device(module) as (io1, peer):
        await io1.connect()
        before = len(peer.requests)
        await io1.write("do0", on=True)
        assert peer.requests[before:] == [rtu(1, 5, 0, 0, 0xFF, 0), rtu(1, 1, 0, 0, 0, 1)]
        await io1.write("do3", on=False)
        assert module.points[1] == 1
        assert module.writes == [(1, 1), (4, 0)]
        with pytest.raises(ValueError, match="not an output"):
            await io1.write("do4", on=True)


@pytest.mark.fault("F23")
async def test_an_output_that_does_not_follow_is_seen() -> None:
    module = io_module()
    module.on_write = lambda _point, _value: True
    async with device(module) as (io1, _):
        with pytest.raises(ReadbackMismatch, match="do0 still reads OFF"):
            await io1.write("do0", on=True)


async def test_after_a_timeout_the_outputs_are_held_and_it_says_so() -> None:
    module = io_module()
    async with device(module) as (io1, _):
        await io1.connect()
        module.points[270] = 1
        with pytest.raises(DeviceRefused, match="host watchdog has timed out"):
            await io1.write("do0", on=True)
        assert io1.watchdog_tripped


@pytest.mark.fault("F15")
@pytest.mark.usefixtures("fast")
async def test_an_energising_write_without_its_reply_is_not_repeated() -> None:
    module = io_module()
    async with device(module) as (io1, peer):
        peer.script = lambda _: []
        with pytest.raises(WireTimeout):
            await io1.write("do0", on=True)
        assert len(peer.requests) == 1


async def test_safe_means_all_off_and_read_back() -> None:
    module = io_module()
    module.points |= {1: 1, 3: 1}
    async with device(module) as (io1, _):
        await io1.make_safe()
        await io1.make_safe(fire=True)
        assert [module.points[point] for point in range(1, 5)] == [0] * 4


async def test_an_output_that_stays_on_is_named() -> None:
    module = io_module()
    module.points |= {1: 1, 3: 1}
    module.on_write = lambda point, _: point == 3
    async with device(module) as (io1, _):
        with pytest.raises(ReadbackMismatch, match="do2 still on"):
            await io1.make_safe()
        assert module.points[1] == 0


@pytest.mark.fault("F24")
@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("lost", range(6))
async def test_one_lost_exchange_does_not_keep_it_from_being_safe(lost: int) -> None:
    """Whichever exchange of the first pass gets no reply, the outputs end off and it is known."""
    module = io_module()
    module.points[1] = 1
    count = [0]

    def script(request: bytes) -> Iterable[tuple[float, bytes]]:
        count[0] += 1
        answer = module.answer(request)
        return [] if count[0] == lost + 1 else answer

    async with device(module) as (io1, peer):
        peer.script = script
        await io1.make_safe()
        assert module.points[1] == 0


@pytest.mark.usefixtures("fast")
async def test_a_module_that_cannot_be_read_back_is_not_called_safe() -> None:
    module = io_module()
    async with device(module) as (io1, _):
        module.silent = True
        with pytest.raises(WireError):
            await io1.make_safe()


def test_what_binding_is_told() -> None:
    assert MODEL.on_comm_loss is OnCommLoss.DEVICE_WATCHDOG
    assert MODEL.watchdog_max_s == 25.5
    assert [point for point, kind in MODEL.points.items() if kind is PointKind.OUTPUT] == [f"do{n}" for n in range(4)]
    assert [point for point, kind in MODEL.points.items() if kind is PointKind.INPUT] == [f"di{n}" for n in range(5)]
    assert "UNVERIFIED" in MODEL.evidence
