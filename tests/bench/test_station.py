"""Which devices are made, on which wires, and that every one that fails is told."""

from __future__ import annotations

import asyncio

import pytest

from bench.station import Station
from drivers import Clock, DeviceError
from tests.bench.small_bench import ONE_CYCLE, plan_of

CLOCK = Clock(mono_s=lambda: 0.0, utc_s=lambda: 0.0)


async def test_every_used_device_is_made_in_bench_order_and_a_line_is_shared() -> None:
    station = Station(plan_of(ONE_CYCLE), CLOCK, urls={}, simulated=False)
    assert list(station.devices) == ["psb", "io1", "ch1", "th1", "v1"]
    assert len(station.wires) == 4  # th1 and v1 hang on one line
    assert station.cycler.name == "psb"
    assert [module.name for module in station.modules] == ["io1"]
    assert station.chamber is not None
    assert station.chamber.name == "ch1"
    await station.close()


async def test_other_urls_stand_in_for_the_bench_file_s() -> None:
    urls = {"psb": "tcp://127.0.0.1:9", "th1": "modbus-tcp://127.0.0.1:10", "v1": "modbus-tcp://127.0.0.1:10"}
    station = Station(plan_of(ONE_CYCLE), CLOCK, urls=urls, simulated=True)
    assert "127.0.0.1:9" in station.wires
    assert len(station.wires) == 4
    await station.close()


async def test_all_missing_devices_are_told_at_once_and_nothing_stays_open() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    plan = plan_of(ONE_CYCLE)
    urls = {"psb": f"tcp://127.0.0.1:{port}"}
    with pytest.raises(DeviceError) as caught:
        async with Station(plan, CLOCK, urls=urls, simulated=False):
            pass
    # each device by its name, those that share a wire too; the others are under /dev/serial, where nothing is
    assert [fault.where for fault in caught.value.faults] == ["psb", "io1", "ch1", "th1", "v1"]
    assert any(f":{port}" in str(fault) for fault in caught.value.faults)


class _Refusing:
    """A device, or a wire, that cannot be closed."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def close(self) -> None:
        raise OSError(f"{self.name} cannot be closed")


async def test_a_device_that_cannot_be_closed_leaves_no_wire_open() -> None:
    station = Station(plan_of(ONE_CYCLE), CLOCK, urls={}, simulated=False)
    wires = [_Closing() for _ in station.wires]
    station.wires = dict(zip(station.wires, wires, strict=True))  # type: ignore[arg-type]
    station.wires["last"] = _Refusing("a wire")  # type: ignore[assignment]
    station.devices["psb"] = _Refusing("a device")  # type: ignore[assignment]
    with pytest.raises(OSError, match="a device cannot be closed"):
        await station.close()
    assert all(wire.closed for wire in wires)


class _Closing:
    """A wire that takes a few turns of the loop to close."""

    closed = False

    async def close(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        self.closed = True


@pytest.mark.parametrize("turns", range(12))
async def test_whoever_is_cancelled_while_it_closes_leaves_no_wire_open(turns: int) -> None:
    station = Station(plan_of(ONE_CYCLE), CLOCK, urls={}, simulated=False)
    wires = [_Closing() for _ in station.wires]
    station.wires = dict(zip(station.wires, wires, strict=True))  # type: ignore[arg-type]
    closing = asyncio.get_running_loop().create_task(station.close())
    for _ in range(turns):
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    assert all(wire.closed for wire in wires) or turns == 0  # before its first turn nothing was begun
