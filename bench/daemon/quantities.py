"""What is shown of a channel, by quantity: ``voltage_v`` and the like, each with the reading channels behind it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from bench.binding.shapes import BoundChannel

#: Quantity by role of the record.
BY_ROLE: Mapping[str, str] = {
    "voltage": "voltage_v",
    "current": "current_a",
    "cell_voltage": "cell_voltage_v",
    "ambient": "ambient_c",
}
#: Quantity by the end of the channel's name, of what has no role.
_BY_END: Mapping[str, str] = {
    "nail.force_n": "force_n",
    "nail.position_mm": "position_mm",
    "nail.speed_mm_s": "speed_mm_s",
    "pressure_kpa": "pressure_kpa",
    "air.temperature_c": "chamber_c",
}


def shown(place: BoundChannel) -> dict[str, tuple[str, ...]]:
    """The reading channels of each quantity at a place; of several the warmest counts."""
    rig = place.rig
    found = {
        "voltage_v": (place.voltage,),
        "current_a": (place.current,),
        "cell_voltage_v": (place.cell_voltage,),
        "temperature_c": place.surface,
        "ambient_c": _some(place.ambient),
        "chamber_c": _some(place.chamber_air),
        "force_n": () if rig is None else (f"{rig.device}.nail.force_n",),
        "position_mm": () if rig is None else (f"{rig.device}.nail.position_mm",),
        "pressure_kpa": _some(place.pressure),
    }
    return {quantity: channels for quantity, channels in found.items() if channels}


def recorded(roles: Mapping[str, str], columns: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The columns of each quantity of a record."""
    found: dict[str, list[str]] = {}
    for role, channel in roles.items():
        quantity = BY_ROLE.get(role, "temperature_c" if role.startswith("surface_") else None)
        if quantity is not None:
            found.setdefault(quantity, []).append(channel)
    for column in columns:
        for end, quantity in _BY_END.items():
            if column.endswith(end):
                found.setdefault(quantity, []).append(column)
    return {quantity: tuple(channels) for quantity, channels in found.items()}


def highest(values: Sequence[float | None]) -> float | None:
    good = [value for value in values if value is not None and math.isfinite(value)]
    return max(good) if good else None


def _some(channel: str | None) -> tuple[str, ...]:
    return () if channel is None else (channel,)
