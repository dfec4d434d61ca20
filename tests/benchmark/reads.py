"""CPU of one read: our driver on our wire, checked and made into Readings, against the bare client.

The standard asks for 3.5 characters of silence between two RTU frames (4 ms at 9600 baud). Ours waits for it, the bare
client leaves it out, and a read that had to wait would cost a timer more. Polls of a bench never come that close, so
there are many RTU lines here, read in turn: when a line's turn comes again its silence has passed, and the processor
never sleeps, which would cost both sides the same and hide their difference. All CPU of this process is counted, that
of the far end, another process, is not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from drivers.capabilities import DeviceSettings
from drivers.clock import system_clock
from drivers.models import driver_model
from drivers.wires import Flight
from drivers.wires.opening import make_wire
from drivers.wires.url import parse_url
from tests.benchmark.exchanges import serial_client
from tests.benchmark.far_end import LINES, far_end
from tests.benchmark.pairs import Comparison, Measure, compare, take_pairs

RTU_GOAL = 1.6
TCP_GOAL = 2.0
THERMOCOUPLES = ("ai0", "ai1", "ai2", "ai3")
RATING: Mapping[str, float] = {"voltage_v": 60.0, "current_a": 170.0, "power_w": 5000.0}

Read = Callable[[], Awaitable[object]]


def reads(pairs: int, count: int) -> list[Comparison]:
    """Both comparisons, each pair with ``count`` reads a side."""
    with far_end() as urls:
        rtu = [urls[f"th{number}"] for number in range(1, LINES + 1)]
        tcp = [urls["psb"]]
        rtu_pairs = take_pairs(pairs, _cpu(_m7018, rtu, count), _cpu(_bare_pymodbus, rtu, count))
        tcp_pairs = take_pairs(pairs, _cpu(_psb, tcp, count), _cpu(_bare_streams, tcp, count))
    each = f"{count} reads a side and pair"
    return [
        compare(
            "CPU per read, Modbus RTU on a pty",
            "bare pymodbus",
            "us",
            rtu_pairs,
            goal=RTU_GOAL,
            notes=(f"{each}, four thermocouples a read, {LINES} lines in turn",),
        ),
        compare(
            "CPU per read, SCPI on TCP",
            "bare asyncio streams",
            "us",
            tcp_pairs,
            goal=TCP_GOAL,
            notes=(
                f"{each}; ours takes the reply apart and makes two Readings of it, the bare side only has the line",
            ),
        ),
    ]


def _cpu(opened: Callable[[str], Any], urls: Sequence[str], count: int) -> Measure:
    """Microseconds of CPU that one of ``count`` reads takes, the urls in turn."""

    async def main() -> float:
        async with AsyncExitStack() as stack:
            ready: list[Read] = [await stack.enter_async_context(opened(url)) for url in urls]
            for read in ready:
                await read()
            turns: Iterator[Read] = (ready[at % len(ready)] for at in range(count))
            begun_s = time.process_time()
            for read in turns:
                await read()
            return (time.process_time() - begun_s) / count * 1e6

    return lambda: asyncio.run(main())


@asynccontextmanager
async def _driver(model: str, settings: Mapping[str, Any], url: str) -> Any:
    clock = system_clock(asyncio.get_running_loop().time)
    wire = make_wire(url)
    device = driver_model(model, frozenset()).create(
        DeviceSettings(name="device", wire=wire, clock=clock, mains_hz=50, **settings)
    )
    await wire.open()
    try:
        await device.connect()
        yield device.read
    finally:
        await wire.close()


_m7018 = partial(_driver, "icpdas-m-7018", {"points": THERMOCOUPLES})
_psb = partial(_driver, "ea-psb10000", {"rating": RATING})


@asynccontextmanager
async def _bare_pymodbus(url: str) -> Any:
    client = serial_client(parse_url(url), Flight())
    await client.connect()
    try:
        yield lambda: client.read_input_registers(0, count=len(THERMOCOUPLES), device_id=1)
    finally:
        client.close()
        await asyncio.sleep(0)


@asynccontextmanager
async def _bare_streams(url: str) -> Any:
    parts = parse_url(url)
    reader, writer = await asyncio.open_connection(parts.host, parts.port)

    async def read() -> bytes:
        writer.write(b"MEAS:ARR?\r\n")
        return await reader.readline()

    try:
        yield read
    finally:
        writer.close()
        await writer.wait_closed()
