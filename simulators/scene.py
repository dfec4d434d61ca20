"""A whole simulated bench: one plant, a personality for each device, a server for each wire.

It runs in any asyncio loop: in virtual time with the loop's Flight, in real time (a standing bench) with none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from simulators.models import Personality, simulator_model
from simulators.plant.plant import Plant
from simulators.servers.pty import PtyServer
from simulators.servers.sessions import Attached, LineSession, ModbusTcpSession, RtuSession, Session, Write
from simulators.servers.tcp import TcpServer
from simulators.spec import DeviceSpec, Flight, SceneSpec

BAUD = 9600
#: One start bit, eight data bits, one stop bit.
BYTE_S = 10 / BAUD
LOCALHOST = "127.0.0.1"

Server = TcpServer | PtyServer


class Line:
    """One wire and the devices on it."""

    def __init__(self, devices: list[DeviceSpec], attached: Mapping[str, Attached], listen: str | None) -> None:
        self.devices = devices
        self.attached = attached
        self.listen = listen
        self.server: Server | None = None

    @property
    def scheme(self) -> str:
        return self.devices[0].scheme

    @property
    def on_pty(self) -> bool:
        """Whether the bytes go over a pty: as asked, else as the real device would have it."""
        if self.listen is not None:
            return self.listen.startswith("pty:")
        return self.scheme in ("serial", "modbus-rtu")

    def make_session(self, write: Write) -> Session:
        """What is said on one link of this wire."""
        if self.scheme == "modbus-rtu" and self.on_pty:
            return RtuSession(self._units(), write)
        if self.scheme in ("modbus-rtu", "modbus-tcp"):
            return ModbusTcpSession(self._units(), write)
        return LineSession(self.attached[self.devices[0].name], write)

    def make_server(self, flight: Flight) -> Server:
        """The server of this wire, not yet started. Raises ValueError for an address that is none."""
        if self.on_pty:
            link = None if self.listen is None else Path(self.listen.removeprefix("pty:"))
            return PtyServer(self.make_session, link=link, flight=flight)
        host, port = LOCALHOST, 0
        if self.listen is not None:
            parts = urlsplit(self.listen)
            if parts.scheme not in ("tcp", "modbus-tcp", "visa") or parts.hostname is None or parts.port is None:
                raise ValueError(f"cannot listen on {self.listen!r}; write tcp://host:port or pty:/path")
            host, port = parts.hostname, parts.port
        # A VISA exchange is counted as a whole by the thread that owns it, not byte by byte.
        return TcpServer(self.make_session, host=host, port=port, flight=Flight() if self.scheme == "visa" else flight)

    def url(self) -> str:
        """What a client opens."""
        if isinstance(self.server, PtyServer):
            kind = "modbus-rtu" if self.scheme.startswith("modbus") else "serial"
            return f"{kind}://{Path(self.server.path).absolute()}?baud={BAUD}"
        assert self.server is not None
        host, port = self.server.address
        if self.scheme == "visa":
            return f"visa://TCPIP0::{host}::{port}::SOCKET"
        return f"{'modbus-tcp' if self.scheme.startswith('modbus') else 'tcp'}://{host}:{port}"

    def _units(self) -> dict[int, Attached]:
        return {device.unit: self.attached[device.name] for device in self.devices}


class Scene:
    """Everything behind the wires of one bench.

    ``listen`` gives lines an address of their own (``tcp://host:port``, ``pty:/path``); others get a free port on
    this machine or a pty. ``distributions`` are third-party packages whose simulators may be used. Raises ValueError
    for a spec that cannot be: an unknown model, two devices of one unit on a line, two on a line of text.
    """

    def __init__(
        self,
        spec: SceneSpec,
        *,
        flight: Flight | None = None,
        listen: Mapping[str, str] | None = None,
        distributions: frozenset[str] = frozenset(),
    ) -> None:
        self.spec = spec
        self.plant = Plant(spec)
        self._flight = Flight() if flight is None else flight
        self._listen = dict(listen or {})
        self._distributions = distributions
        self._attached: dict[str, Attached] = {}
        self._lines: dict[str, Line] = {}
        self._by_line: dict[str, list[DeviceSpec]] = {}
        for device in spec.devices:
            self._by_line.setdefault(device.line, []).append(device)
        for line, devices in self._by_line.items():
            _check(line, devices)

    async def start(self) -> dict[str, str]:
        """Start every server; gives each device's url. Raises OSError if an address is taken."""
        loop = asyncio.get_running_loop()
        self.plant.advance(loop.time())
        for device in self.spec.devices:
            try:
                model = simulator_model(device.model, self._distributions)
            except KeyError:
                await self.close()
                raise ValueError(f"device {device.name!r}: no simulator of model {device.model!r}") from None
            made = model.create(device, self.plant, self.spec.seed, loop)
            on_serial = device.scheme in ("serial", "modbus-rtu")
            self._attached[device.name] = Attached(made, BYTE_S if on_serial else 0.0)
        try:
            for name, devices in self._by_line.items():
                line = Line(devices, self._attached, self._listen.get(name))
                line.server = line.make_server(self._flight)
                self._lines[name] = line
                await _start(line.server)
        except BaseException:
            await self.close()
            raise
        return {device.name: self._lines[device.line].url() for device in self.spec.devices}

    async def close(self) -> None:
        """Stop every server and every device's timers. Idempotent."""
        lines, self._lines = self._lines, {}
        for line in lines.values():
            if isinstance(line.server, TcpServer):
                await line.server.close()
            elif line.server is not None:
                line.server.close()
        for attached in self._attached.values():
            attached.personality.close()

    def personality(self, device: str) -> Any:
        """The device itself, for its faults and what a test wants to see. Raises KeyError."""
        found: Personality = self._attached[device].personality
        return found

    def misread_current(self, channel: str, error: float) -> None:
        """From now on the channel's cycler reads, and regulates, its current wrong by this part of it."""
        for device in self.spec.devices:
            if device.channel == channel and (cycler := self._attached.get(device.name)) is not None:
                personality: Any = cycler.personality
                personality.gain = 1.0 + error

    def attached(self, device: str) -> Attached:
        """The device and its place on the wire. Raises KeyError."""
        return self._attached[device]

    def reset(self, device: str) -> None:
        """Break the device's TCP links; it takes new ones. A serial line has none."""
        server = self.server(device)
        if isinstance(server, TcpServer):
            server.reset()

    def shout(self, device: str, data: bytes) -> None:
        """The device sends what nobody asked for."""
        server = self.server(device)
        if server is not None:
            server.shout(data)

    def cut(self, device: str) -> None:
        """Pull the device's wire: it hears nothing and says nothing, a TCP link breaks and is refused from then on.

        On a shared line only this device falls silent. Its own timers go on: a host watchdog will expire.
        """
        self._attached[device].cut = True
        server = self.server(device)
        if isinstance(server, TcpServer):
            server.cut()

    async def restore(self, device: str) -> None:
        """Plug the wire in again, at the same address."""
        self._attached[device].cut = False
        server = self.server(device)
        if isinstance(server, TcpServer):
            await server.start()

    def server(self, device: str) -> Server | None:
        """The server of the device's wire; None before it is up."""
        name = next(spec.line for spec in self.spec.devices if spec.name == device)
        return self._lines[name].server


async def _start(server: Server) -> None:
    if isinstance(server, TcpServer):
        await server.start()
    else:
        server.start()


def _check(line: str, devices: list[DeviceSpec]) -> None:
    names = ", ".join(device.name for device in devices)
    if len({device.scheme for device in devices}) > 1:
        raise ValueError(f"line {line!r}: {names} use different kinds of wire")
    if devices[0].scheme.startswith("modbus"):
        if len({device.unit for device in devices}) < len(devices):
            raise ValueError(f"line {line!r}: two of {names} have the same unit")
    elif len(devices) > 1:
        raise ValueError(f"line {line!r}: a line of text carries one device, not {names}")
