"""Which models can be simulated, by name, and what a simulated device is. Ours and third-party ones register the same
way: entry points in the group ``cellbench.simulators``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Protocol

from simulators.faults import Faults
from simulators.spec import DeviceSpec

if TYPE_CHECKING:
    from simulators.plant.plant import Plant

GROUP = "cellbench.simulators"
OWN_DISTRIBUTION = "cellbench"

#: What a device sends, and after how many seconds. None or empty: it says nothing.
Reply = Sequence[tuple[float, bytes]] | None


class Timers(Protocol):
    """What a device needs of time: the running loop has it."""

    def time(self) -> float: ...
    def call_at(self, when: float, callback: Callable[[], object], /) -> asyncio.TimerHandle: ...


class Personality(Protocol):
    """One simulated device behind a wire.

    ``answer`` is called once per request at the loop's time ``now_s``. On a text line a request is one line without
    its end, and a reply carries its own end. On Modbus both are PDUs (function code and data): the server adds and
    checks unit, CRC or MBAP header, and ``answer`` is not called for another unit. ``close`` cancels the device's own
    timers; it may be called twice.
    """

    @property
    def faults(self) -> Faults: ...
    def answer(self, request: bytes, now_s: float) -> Reply: ...
    def close(self) -> None: ...


Create = Callable[[DeviceSpec, "Plant", int, Timers], Personality]


@dataclass(frozen=True, slots=True)
class SimulatorModel:
    """One model that can be simulated.

    ``schemes`` are the kinds of wire that the real device has. ``create(spec, plant, seed, timers)`` makes one device;
    whatever it draws at random comes from ``random.Random(f"{seed}/{device}/{channel}")``.
    """

    name: str
    schemes: tuple[str, ...]
    create: Create


@cache
def _registered() -> dict[str, tuple[EntryPoint, str]]:
    """By model its entry point and its distribution's name, which is read off a file each time it is asked for."""
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    return {point.name: (point, point.dist.name if point.dist else "") for point in points}


def model_names(distributions: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The models that may be used: ours, and those of the third-party distributions that were named."""
    allowed = distributions | {OWN_DISTRIBUTION}
    return tuple(name for name, (_, distribution) in _registered().items() if distribution in allowed)


def simulator_model(name: str, distributions: frozenset[str] = frozenset()) -> SimulatorModel:
    """Load one model. Raises KeyError if none of the allowed distributions registers it."""
    if name not in model_names(distributions):
        raise KeyError(name)
    model: Any = _registered()[name][0].load()
    if not isinstance(model, SimulatorModel):
        raise TypeError(f"entry point {GROUP}:{name} is not a SimulatorModel")
    return model
