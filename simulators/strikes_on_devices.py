"""What faults are to the simulated parts: a cycler's attributes, what becomes of a rig, the contacts of a place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from simulators.spec import SignalKind

if TYPE_CHECKING:
    from simulators.strikes import Strike

#: What undoes a strike; None where nothing does.
Heal = Callable[[], Awaitable[None] | None] | None

#: Faults of a cycler that are attributes of its simulation.
WRONG: Mapping[str, Callable[[Strike], dict[str, object]]] = {
    "setpoint_drifts": lambda strike: {"extra_v": strike.number("by"), "protected": False},
    "current_drifts": lambda strike: {"extra_gain": strike.number("factor"), "protected": False},
    "deaf_to_settings": lambda _: {"deaf": True},
    "output_stays_on": lambda _: {"deaf": True, "welded": True},
    "gain_error": lambda strike: {"sense_gain": strike.number("factor")},
}

#: The same attributes of a device that is well.
WELL: Mapping[str, object] = {
    "extra_v": 0.0,
    "extra_gain": 1.0,
    "sense_gain": 1.0,
    "deaf": False,
    "welded": False,
    "protected": True,
}


def nothing_more(_: object) -> None:
    return None


def _jammed(rig: Any) -> Heal:
    press = rig.plc.press
    press.jam(press.position_mm)
    return lambda: press.jam(None)


def _too_far(rig: Any) -> Heal:
    rig.overtravel()
    return None


def _without_power(rig: Any) -> Heal:
    rig.power_off()
    return lambda: nothing_more(rig.power_on())


#: Faults of a rig.
RIGS: Mapping[str, Callable[[Any], Heal]] = {
    "tool_jams": _jammed,
    "overtravel": _too_far,
    "power_lost": _without_power,
}

#: The contact of a place that a fault opens.
CONTACTS: Mapping[str, SignalKind] = {
    "door_opens": "door_closed",
    "lock_opens": "door_locked",
    "estop": "estop_released",
    "smoke": "smoke",
    "flame": "flame",
    "gas": "gas",
    "exhaust_fails": "exhaust_flow",
}
