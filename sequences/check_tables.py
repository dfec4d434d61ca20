"""What the fields of each kind of step must be, and which readings its results may use."""

from __future__ import annotations

from drivers import Dimension
from sequences.expressions import Symbols
from sequences.names import LIVE, STROKE, TRANSFER

#: What each field must be, and whether it must be more than zero.
FIELDS: dict[str, dict[str, tuple[Dimension, bool]]] = {
    "charge": {
        "voltage": (Dimension.VOLTAGE, True),
        "current": (Dimension.CURRENT, True),
        "power": (Dimension.POWER, True),
        "timeout": (Dimension.TIME, True),
    },
    "rest": {"duration": (Dimension.TIME, True)},
    "chamber": {"temperature": (Dimension.TEMPERATURE, False)},
    "soak": {
        "temperature": (Dimension.TEMPERATURE, False),
        "tolerance": (Dimension.TEMPERATURE_CHANGE, True),
        "duration": (Dimension.TIME, True),
        "timeout": (Dimension.TIME, True),
    },
    "measure": {"duration": (Dimension.TIME, True)},
    "transfer": {"ocv_within": (Dimension.VOLTAGE, True), "charge_age": (Dimension.TIME, True)},
    "penetrate": {
        "speed": (Dimension.SPEED, True),
        "depth": (Dimension.LENGTH, True),
        "force": (Dimension.FORCE, True),
        "timeout": (Dimension.TIME, True),
    },
    "crush": {
        "speed": (Dimension.SPEED, True),
        "deformation": (Dimension.NUMBER, True),
        "force": (Dimension.FORCE, True),
        "voltage": (Dimension.VOLTAGE, False),
        "timeout": (Dimension.TIME, True),
    },
    "hold": {"duration": (Dimension.TIME, True)},
    "retract": {"timeout": (Dimension.TIME, True)},
    "short": {"duration": (Dimension.TIME, True)},
    "heat": {
        "temperature": (Dimension.TEMPERATURE, False),
        "ramp": (Dimension.TEMPERATURE_RATE, True),
        "tolerance": (Dimension.TEMPERATURE_CHANGE, True),
        "timeout": (Dimension.TIME, True),
    },
    "observe": {
        "duration": (Dimension.TIME, True),
        "until": (Dimension.TEMPERATURE, False),
        "rate": (Dimension.TEMPERATURE_RATE, True),
        "at_most": (Dimension.TIME, True),
    },
    "quarantine": {"energy": (Dimension.ENERGY, False)},
}
FIELDS["discharge"] = FIELDS["charge"]

LOG_FIELDS: dict[str, tuple[Dimension, bool]] = {
    "every": (Dimension.TIME, True),
    "voltage": (Dimension.VOLTAGE, True),
    "current": (Dimension.CURRENT, True),
    "temperature": (Dimension.TEMPERATURE_CHANGE, True),
}

#: By mode: the settings that it needs, and those that have no meaning in it.
MODES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "cc": (("current",), ("power",)),
    "cccv": (("current", "end"), ("power",)),
    "cv": (("end",), ("power",)),
    "cp": (("power",), ()),
}

#: What the results of a step may use besides what came before; nothing more for the other kinds.
_STROKE_ENDS: Symbols = LIVE | STROKE
RESULTS_OF: dict[str, Symbols] = {
    **dict.fromkeys(("charge", "discharge", "rest", "soak", "measure", "hold", "short", "heat", "observe"), LIVE),
    **dict.fromkeys(("penetrate", "crush"), _STROKE_ENDS),
    "transfer": {name: LIVE[name] for name in ("voltage", "duration")} | TRANSFER,
}
