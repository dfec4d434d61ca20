"""M-7000 modules as maps of points, behind the raw-byte peers: the maker's tables, 1-based as printed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from drivers.capabilities import DeviceSettings
from drivers.clock import Clock
from drivers.wires.opening import make_wire
from tests.drivers.modbus_peers import PtyPeer, rtu, words

START_UTC_S = 1_790_000_000.0


def clock() -> Clock:
    mono_s = asyncio.get_running_loop().time
    return Clock(mono_s, lambda: START_UTC_S + mono_s())


class Module:
    """Coils 0xxxx, inputs 1xxxx, input registers 3xxxx, holding registers 4xxxx of one unit.

    ``writes`` lists every write; ``on_write`` may veto one or act on it (True: do not store).
    """

    def __init__(self, unit: int, points: dict[int, int]) -> None:
        self.unit = unit
        self.points = points
        self.writes: list[tuple[int, int]] = []
        self.on_write: Callable[[int, int], bool] = lambda _point, _value: False
        self.silent = False

    def answer(self, request: bytes) -> Iterable[tuple[float, bytes]]:
        if request[0] != self.unit or self.silent:
            return []
        function = request[1]
        address, second = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
        base = {1: 1, 2: 10001, 3: 40001, 4: 30001, 5: 1, 6: 40001}[function] + address
        if function in (5, 6):
            value = int(second == 0xFF00) if function == 5 else second
            self.writes.append((base, value))
            if base not in self.points:
                return [(0, rtu(self.unit, function | 0x80, 2))]
            if not self.on_write(base, value):
                self.points[base] = value
            return [(0, request)]
        asked = range(base, base + second)
        if any(point not in self.points for point in asked):
            return [(0, rtu(self.unit, function | 0x80, 2))]
        values = [self.points[point] for point in asked]
        if function > 2:
            return [(0, rtu(self.unit, function, words(*values)))]
        packed = sum(value << index for index, value in enumerate(values))
        size = (second + 7) // 8
        return [(0, rtu(self.unit, function, size, packed.to_bytes(size, "little")))]


def analog(number: int, type_code: int, values: list[int], *, unit: int = 1, engineering: int = 0) -> Module:
    """An M-7018 or M-7017 as its quick start's Modbus table has it."""
    points = {30001 + index: value & 0xFFFF for index, value in enumerate(values)}
    points |= {40481: 0x0B20, 40482: 0x0000, 40483: int(f"{number % 100:02}00", 16), 40484: int(str(number // 100), 16)}
    points |= {40485: unit, 40486: 6, 40487: type_code, 40488: 0, 40489: 0, 40490: 0xFF}
    points |= {257: 1, 259: 1, 260: 0, 261: 0, 268: 1, 269: engineering, 270: 0}
    return Module(unit, points)


def settings_for(peer: PtyPeer, module: Module, points: tuple[str, ...] = (), **more: object) -> DeviceSettings:
    values: dict[str, object] = {"name": "dev", "clock": clock(), "unit": module.unit, "points": points} | more
    return DeviceSettings(wire=make_wire(peer.url), **values)  # type: ignore[arg-type]
