"""What can be struck by what: whether a device can have a fault, and what is wrong with where a strike is aimed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from simulators.fault_table import TABLE, FaultKind
from simulators.spec import DeviceSpec

if TYPE_CHECKING:
    from simulators.strikes import Strike


def slips(strike: Strike, devices: Iterable[DeviceSpec]) -> str | None:
    """What is wrong with where a strike is aimed, on a bench of these devices; None if nothing is."""
    kind = TABLE.get(strike.fault)
    if kind is None:
        return f"no fault {strike.fault!r}; there are: {', '.join(TABLE)}"
    if kind.target not in ("device", "point"):
        return None
    known = {spec.name: spec for spec in devices}
    name, dot, _ = strike.where.partition(".")
    spec = known.get(name)
    if spec is None:
        return f"{strike.fault}: no device {name!r}; there are: {', '.join(known)}"
    if (kind.target == "point") != bool(dot):
        return f"{strike.fault}: {strike.where!r} is no {kind.target}; write for example {_example(kind, known)}"
    fitting = [each for each in known.values() if fits(kind, each)]
    if not fits(kind, spec):
        names = ", ".join(each.name for each in fitting) or "none here"
        return f"{strike.fault}: {name} cannot have it; these can: {names}"
    return None


def fits(kind: FaultKind, spec: DeviceSpec) -> bool:
    """Whether a device can have a fault."""
    if kind.models and spec.model not in kind.models:
        return False
    if kind.name in ("wrong_unit", "wrong_function", "busy"):
        return spec.scheme.startswith("modbus")
    return kind.name != "foreign_reply" or spec.scheme == "modbus-tcp"


def _example(kind: FaultKind, known: Mapping[str, DeviceSpec]) -> str:
    for name, spec in known.items():
        if fits(kind, spec):
            return name if kind.target == "device" else f"{name}.{next(iter(spec.points), 'ai0')}"
    return "a device that can have it"
