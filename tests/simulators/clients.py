"""Clients that the simulators' tests write themselves, so that nothing of the product's wires takes part."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from pymodbus.client import AsyncModbusSerialClient

from simulators.scene import Scene
from simulators.spec import CellSpec, ChannelSpec, DeviceSpec, Flight, PlaceSpec, SceneSpec, Signal

RATING = {"voltage_v": 60.0, "current_a": 170.0, "power_w": 5000.0}
CELL = CellSpec(preset="solid-state-gen1", mass_kg=0.8, thickness_mm=12.0, start_soc=0.5)


def psb(**changes: Any) -> DeviceSpec:
    return replace(DeviceSpec("psb", "ea-psb10000", "tcp", "a", rating=RATING, channel="1"), **changes)


def chamber(**changes: Any) -> DeviceSpec:
    rating = {"low_c": -40.0, "high_c": 150.0}
    return replace(DeviceSpec("ch1", "espec-p300", "serial", "b", rating=rating, place="box"), **changes)


def thermocouples(**changes: Any) -> DeviceSpec:
    points = {"ai0": Signal("surface", "box"), "ai3": Signal("air", "box")}
    return replace(DeviceSpec("th1", "icpdas-m-7018", "modbus-rtu", "c", points=points), **changes)


def voltmeter(**changes: Any) -> DeviceSpec:
    points = {"ai0": Signal("cell_voltage", "1")}
    return replace(DeviceSpec("v1", "icpdas-m-7017", "modbus-rtu", "c", unit=2, points=points), **changes)


def switches(**changes: Any) -> DeviceSpec:
    points = {
        "do0": Signal("contactor", "1"),
        "di0": Signal("feedback", "1"),
        "di1": Signal("door_closed", "box"),
        "di3": Signal("smoke", "box"),
    }
    return replace(DeviceSpec("io1", "icpdas-m-7002", "modbus-rtu", "d", points=points), **changes)


def scene_of(*devices: DeviceSpec, cell: CellSpec | None = CELL, seed: int = 1) -> SceneSpec:
    with_chamber = next((device.name for device in devices if device.model == "espec-p300"), None)
    return SceneSpec(
        devices=devices,
        places=(PlaceSpec("box", with_chamber),),
        channels=(ChannelSpec("1", "box", cell),),
        seed=seed,
    )


class TcpLines:
    """Text lines over a socket, each byte counted."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flight: Flight) -> None:
        self.reader, self.writer, self.flight = reader, writer, flight

    async def tell(self, line: str) -> None:
        data = line.encode() + b"\n"
        self.flight.left(len(data))
        self.writer.write(data)

    async def ask(self, line: str, deadline_s: float = 0.5) -> str:
        await self.tell(line)
        async with asyncio.timeout(deadline_s):
            data = await self.reader.readline()
        if not data.endswith(b"\n"):
            raise ConnectionError("the far end closed the connection")
        self.flight.arrived(len(data))
        return data.decode("latin-1").rstrip("\r\n")

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            return


async def tcp_lines(url: str, flight: Flight | None = None) -> TcpLines:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    return TcpLines(reader, writer, flight or Flight())


class PtyBytes:
    """Raw bytes over a serial line, each one counted."""

    def __init__(self, url: str, flight: Flight | None = None) -> None:
        self.flight = flight or Flight()
        self.fd = os.open(urlsplit(url).path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.got = bytearray()
        self._changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.fd, self._read)

    def send(self, data: bytes) -> None:
        self.flight.left(os.write(self.fd, data))

    async def take(self, end: bytes | None = None, length: int = 0, deadline_s: float = 0.5) -> bytes:
        """What comes up to ``end`` or of this length. Raises TimeoutError."""
        async with asyncio.timeout(deadline_s):
            while (end is not None and end not in self.got) or len(self.got) < length:
                self._changed.clear()
                await self._changed.wait()
        count = self.got.index(end) + len(end) if end is not None else length
        data = bytes(self.got[:count])
        del self.got[:count]
        return data

    async def ask(self, line: str, deadline_s: float = 0.5) -> str:
        self.send(line.encode() + b"\r\n")
        return (await self.take(b"\r\n", deadline_s=deadline_s)).decode("latin-1").rstrip("\r\n")

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.fd)
        os.close(self.fd)

    def _read(self) -> None:
        data = os.read(self.fd, 4096)
        self.flight.arrived(len(data))
        self.got += data
        self._changed.set()


async def rtu(url: str, flight: Flight | None = None) -> AsyncModbusSerialClient:
    """pymodbus, each byte counted; the master of somebody else."""
    count = flight or Flight()

    def trace(sending: bool, data: bytes) -> bytes:
        if sending:
            count.left(len(data))
        return data

    deadline_s = 5.0 if flight is None else 0.5  # real time may be slow, virtual time may not
    client = AsyncModbusSerialClient(
        urlsplit(url).path, baudrate=9600, timeout=deadline_s, retries=0, trace_packet=trace
    )
    receive = client.ctx.data_received

    def received(data: bytes) -> None:
        count.arrived(len(data))
        receive(data)

    client.ctx.data_received = received  # type: ignore[method-assign]
    assert await client.connect()
    return client


@asynccontextmanager
async def running(spec: SceneSpec, **options: Any) -> AsyncIterator[tuple[Scene, dict[str, str]]]:
    scene = Scene(spec, **options)
    urls = await scene.start()
    try:
        yield scene, urls
    finally:
        await scene.close()
