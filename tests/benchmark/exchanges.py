"""Every exchange of a simulated bench, written down as it happens, and made again by bare clients.

The bare clients are what a script without any of ours would use: asyncio streams for SCPI, pymodbus's own client for
Modbus RTU, ``add_reader`` on the descriptor of a serial port for text. No deadline but pymodbus's own, no check of a
reply, no reading. They count bytes on their way because the virtual clock needs it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from pymodbus.client import AsyncModbusSerialClient

from bench.simulated import SimulatedBench
from drivers.wires import Flight
from drivers.wires.url import WireUrl, parse_url
from simulators.spec import DeviceSpec, SceneSpec


class Exchange(NamedTuple):
    """One request that a device took in, at the loop's time, and what it answered (nothing: b"")."""

    device: str
    at_s: float
    request: bytes
    answer: bytes


@dataclass
class Exchanges:
    """Hook it into a scene before the first byte: ``taken`` then holds every exchange in the order it was made."""

    taken: list[Exchange] = field(default_factory=list)

    def hook(self, bench: SimulatedBench) -> None:
        for device in bench.scene.spec.devices:
            personality = bench.scene.personality(device.name)
            personality.answer = partial(self._answer, device.name, personality.answer)

    def _answer(self, device: str, answer: Callable[[bytes, float], Any], request: bytes, now_s: float) -> Any:
        reply = answer(request, now_s)
        said = b"".join(part for _, part in reply) if reply else b""
        self.taken.append(Exchange(device, now_s, request, said))
        return reply


@dataclass(frozen=True, slots=True)
class Script:
    """One wire and what is to be said on it."""

    wire: tuple[DeviceSpec, ...]
    exchanges: tuple[Exchange, ...]


def scripts(spec: SceneSpec, taken: Sequence[Exchange]) -> tuple[Script, ...]:
    """Share the exchanges out among the wires of the scene."""
    lines: dict[str, list[DeviceSpec]] = {}
    for device in spec.devices:
        lines.setdefault(device.line, []).append(device)
    made = []
    for devices in lines.values():
        names = {device.name for device in devices}
        made.append(Script(tuple(devices), tuple(exchange for exchange in taken if exchange.device in names)))
    return tuple(made)


def differences(first: Sequence[Script], second: Sequence[Script]) -> tuple[int, int]:
    """How many exchanges of two runs differ in device, instant (by more than 1 us) or request, and how many in their
    answer alone. Compared wire by wire: which of two wires is first within one instant is nobody's business. What one
    has more than the other counts as different."""
    others = answers = 0
    for ours, bare in zip(first, second, strict=True):
        others += abs(len(ours.exchanges) - len(bare.exchanges))
        for one, other in zip(ours.exchanges, bare.exchanges, strict=False):
            if (one.device, one.request) != (other.device, other.request) or abs(one.at_s - other.at_s) > 1e-6:
                others += 1
            elif one.answer != other.answer:
                answers += 1
    return others, answers


async def replay(scripts: Sequence[Script], urls: Mapping[str, str], flight: Flight) -> None:
    """Make the exchanges of every wire at the instants at which they were made before."""
    async with asyncio.TaskGroup() as tasks:
        for script in scripts:
            url = parse_url(urls[script.wire[0].name])
            client = {"tcp": _streams, "serial": _descriptor, "modbus-rtu": _pymodbus}[url.scheme]
            tasks.create_task(client(script, url, flight))


async def _streams(script: Script, url: WireUrl, flight: Flight) -> None:
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection(url.host, url.port)
    for _, at_s, request, answer in script.exchanges:
        if at_s > loop.time():
            await asyncio.sleep(at_s - loop.time())
        line = request + url.ending
        flight.left(len(line))
        writer.write(line)
        if answer:
            flight.arrived(len(await reader.readline()))
    writer.close()
    await writer.wait_closed()


async def _descriptor(script: Script, url: WireUrl, flight: Flight) -> None:
    loop = asyncio.get_running_loop()
    fd = os.open(url.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    held = bytearray()
    whole: asyncio.Future[bytes] = loop.create_future()

    def readable() -> None:
        data = os.read(fd, 4096)
        flight.arrived(len(data))
        held.extend(data)
        if held.endswith(b"\n") and not whole.done():
            whole.set_result(bytes(held))

    loop.add_reader(fd, readable)
    try:
        for _, at_s, request, answer in script.exchanges:
            if at_s > loop.time():
                await asyncio.sleep(at_s - loop.time())
            held.clear()
            whole = loop.create_future()
            flight.left(os.write(fd, request + url.ending))
            if answer:
                await whole
    finally:
        loop.remove_reader(fd)
        os.close(fd)


async def _pymodbus(script: Script, url: WireUrl, flight: Flight) -> None:
    loop = asyncio.get_running_loop()
    client = serial_client(url, flight)
    ask = asks(client)
    units = {device.name: device.unit for device in script.wire}
    await client.connect()
    for device, at_s, request, _ in script.exchanges:
        if at_s > loop.time():
            await asyncio.sleep(at_s - loop.time())
        address, value = int.from_bytes(request[1:3], "big"), int.from_bytes(request[3:5], "big")
        await ask[request[0]](address, value, units[device])
    client.close()


def serial_client(url: WireUrl, flight: Flight) -> AsyncModbusSerialClient:
    """pymodbus's own client as its documentation makes it, but with bytes counted where it lets a user see them."""
    seen = 0

    def trace(sending: bool, data: bytes) -> bytes:  # pymodbus's signature
        nonlocal seen
        if sending:
            flight.left(len(data))
            seen = 0
        else:  # a reply in pieces is shown again with each piece
            flight.arrived(len(data) - seen)
            seen = len(data)
        return data

    counts = flight.left is not Flight().left
    return AsyncModbusSerialClient(url.path, baudrate=url.baud, trace_packet=trace if counts else None)


def asks(client: AsyncModbusSerialClient) -> Mapping[int, Callable[[int, int, int], Any]]:
    """By function code, the client's own method for it: address, count or value, unit."""
    return {
        1: lambda address, count, unit: client.read_coils(address, count=count, device_id=unit),
        2: lambda address, count, unit: client.read_discrete_inputs(address, count=count, device_id=unit),
        3: lambda address, count, unit: client.read_holding_registers(address, count=count, device_id=unit),
        4: lambda address, count, unit: client.read_input_registers(address, count=count, device_id=unit),
        5: lambda address, value, unit: client.write_coil(address, bool(value), device_id=unit),
        6: lambda address, value, unit: client.write_register(address, value, device_id=unit),
    }
