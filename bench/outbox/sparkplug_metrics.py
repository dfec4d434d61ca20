"""A fact as Sparkplug metrics, and which metrics each device was born with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from bench.outbox.fact import Fact, Kind
from bench.outbox.sparkplug_payload import DataType, Metric, Value

ID = "Outbox/id"


def values_of(fact: Fact) -> dict[str, Value]:
    """By metric: ``Readings/voltage_v``, ``State/state``, ``Step/path``. Numbers are doubles; what is neither number,
    text nor yes or no is its JSON."""
    if fact.kind is Kind.READING:
        values: Mapping[str, Any] = fact.body.get("values", {})
        return {f"Readings/{name}": _value(value) for name, value in values.items()}
    return {f"{fact.kind.capitalize()}/{name}": _value(value) for name, value in fact.body.items()}


def milliseconds(utc_s: float) -> int:
    """As Sparkplug counts time; never negative."""
    return max(0, round(utc_s * 1000.0)) if math.isfinite(utc_s) else 0


def _value(value: object) -> Value:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return float(value) if math.isfinite(value) else None
    return orjson.dumps(value, default=str).decode()


def _type(value: Value) -> DataType:
    if isinstance(value, bool):
        return DataType.BOOLEAN
    return DataType.STRING if isinstance(value, str) else DataType.DOUBLE


class Births:
    """Which metrics each device has, under which alias and type. An alias is one metric's for good."""

    def __init__(self) -> None:
        self._types: dict[str, dict[str, DataType]] = {}
        self._aliases: dict[tuple[str, str], int] = {}

    def learn(self, device: str, values: Mapping[str, Value]) -> bool:
        """Gives whether the device has to be born anew before these values mean anything."""
        types, changed = self._types.setdefault(device, {ID: DataType.STRING}), False
        for name, value in values.items():
            known = types.get(name)
            if known is None or (value is not None and _type(value) is not known):
                types[name] = _type(value)
                changed = True
        return changed

    def birth(self, device: str, latest: Iterable[Fact], now_ms: int) -> list[Metric]:
        """Every metric of a device with its newest value; one that nobody knows is null."""
        newest: dict[str, tuple[Value, int]] = {}
        for fact in latest:
            values, at_ms = values_of(fact), milliseconds(fact.utc_s)
            self.learn(device, values)
            newest.update({name: (value, at_ms) for name, value in values.items()})
        found = []
        for name, datatype in self._types.setdefault(device, {ID: DataType.STRING}).items():
            value, at_ms = newest.get(name, (None, now_ms))
            if value is not None and _type(value) is not datatype:
                value = None
            found.append(Metric(name, value, datatype, self._alias(device, name), at_ms))
        return found

    def data(self, device: str, fact: Fact, identity: str, *, historical: bool) -> list[Metric]:
        """A fact that was learnt, by alias."""
        at_ms = milliseconds(fact.utc_s)
        values = {ID: identity, **values_of(fact)}
        return [
            Metric(None, value, None, self._alias(device, name), at_ms, historical) for name, value in values.items()
        ]

    def _alias(self, device: str, name: str) -> int:
        return self._aliases.setdefault((device, name), len(self._aliases) + 1)
