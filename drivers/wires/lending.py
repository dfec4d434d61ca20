"""The owner of ports that another process may use: it carries that process's exchanges, and can take the ports back.

The other side is ``drivers/wires/relayed.py``, where the form of the lines stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable
from typing import Any

from drivers.errors import DeviceError, WireClosed
from drivers.wires import LineWire, ModbusWire, Wire
from drivers.wires.opening import make_wire, prepared
from drivers.wires.relayed import LONGEST, WITHDRAW
from drivers.wires.url import wire_key

_ACTS = frozenset({"read_bits", "read_registers", "write_bit", "write_register", "write_registers", "query", "send"})


class Lending:
    """Carries what is asked through ``sock``. ``wires`` are those opened so far, by key; they stay open for good.

    After :meth:`take_back` nothing is carried for the borrower any more, and every request is refused at once: from
    then on the wires carry the owner's exchanges only, after the one that is under way.
    """

    def __init__(self, sock: socket.socket, make: Callable[[str], Wire] = make_wire) -> None:
        self.wires: dict[str, Wire] = {}
        self._sock = sock
        self._make = make
        self._taken = ""
        self._serving: dict[asyncio.Task[None], Any] = {}

    def wire(self, url: str) -> Wire:
        """The wire of a url, made if there is none yet. A safety channel hangs on it. Raises UrlError."""
        key = wire_key(url)
        if key not in self.wires:
            self.wires[key] = self._make(url)
            prepared(self.wires[key], safety=True)
        return self.wires[key]

    def take_back(self, why: str) -> None:
        """Carry nothing more for the borrower; what it still waits for is never sent."""
        self._taken = why
        for task in self._serving:
            task.cancel()

    async def run(self) -> None:
        """Serve until the borrower is gone."""
        reader, writer = await asyncio.open_connection(sock=self._sock, limit=LONGEST)
        try:
            while (line := await reader.readline()).endswith(b"\n"):
                asked = json.loads(line)
                if asked.get("act") == WITHDRAW:
                    self._withdraw(asked["id"])
                    continue
                task = asyncio.get_running_loop().create_task(self._serve(asked, writer), name="a lent exchange")
                self._serving[task] = asked.get("id")
                task.add_done_callback(self._serving.pop)
        except (OSError, ValueError):  # gone, or no line of this form: the other end is what supervises it
            pass
        finally:
            for task in tuple(self._serving):
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _withdraw(self, number: int) -> None:
        """Drop a request that its caller has given up, unless its port is at it already."""
        for task, its in self._serving.items():
            if its == number:
                task.cancel()

    async def close(self) -> None:
        """Free every port."""
        for wire in self.wires.values():
            await wire.close()

    async def _serve(self, asked: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        answer: dict[str, Any] = {"id": asked.get("id")}
        try:
            answer["result"] = await self._carried(asked)
        except DeviceError as error:
            answer["error"] = _told(error)
        except asyncio.CancelledError:
            answer["error"] = _told(WireClosed("", "", self._taken or "the port was closed"))
        except Exception as error:  # noqa: BLE001 - the border between two processes: what is wrong is the caller's to hear
            answer["error"] = _told(WireClosed("", "", f"{type(error).__name__}: {error}"))
        if not writer.is_closing():
            writer.write(json.dumps(answer).encode() + b"\n")

    async def _carried(self, asked: dict[str, Any]) -> Any:
        if self._taken:
            raise WireClosed("", "", self._taken)
        act, wire = asked["act"], self.wire(asked["url"])
        if act == "open":
            return await wire.open()
        if act not in _ACTS:
            raise ValueError(f"{act!r} is nothing that a wire does")
        arguments = {key: value for key, value in asked.items() if key not in ("id", "url", "act")}
        if act in ("query", "send"):
            _prepare(wire, arguments)  # type: ignore[arg-type]  # a borrower asks a line wire for lines
        elif "known" in arguments:
            _introduce(wire, arguments)  # type: ignore[arg-type]  # and a Modbus wire for registers
        return await getattr(wire, act)(device="", doing="", **arguments)


def _prepare(wire: LineWire, arguments: dict[str, Any]) -> None:
    """What the borrower's driver said about recovering, before its line."""
    if arguments.pop("distrust"):
        wire.distrust()
    known = arguments.pop("known")
    if known is not None:
        question, answer, pause_s = known
        wire.recognise(question, answer, pause_s=pause_s)


def _introduce(wire: ModbusWire, arguments: dict[str, Any]) -> None:
    """What the borrower's driver said of the unit that it is about to ask."""
    known, unit = arguments.pop("known"), arguments["unit"]
    if known is None:
        wire.forget(unit=unit)
        return
    table, address, words = known
    wire.recognise(table, address, tuple(words), unit=unit)


def _told(error: DeviceError) -> dict[str, Any]:
    fault = error.faults[0]
    text = fault.error.removesuffix(f" while {error.doing}")
    return {"kind": type(error).__name__, "text": text, "fix": fault.fix, "code": getattr(error, "code", None)}
