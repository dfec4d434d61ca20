"""Reading a register profile's TOML key by key: what is faulty is told with its line and replaced, so that all faults
of a page are found in one reading."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from drivers.errors import ConfigError, Fault
from drivers.registers import WordOrder
from drivers.toml_text import KeyPath, line_of
from drivers.units import Dimension, UnitError, parse_as

LAST_ADDRESS = 0xFFFF
ORDERS = ("ABCD", "CDAB")
T = TypeVar("T")


@dataclass
class Page:
    """One reading of a page. ``path`` is always the way to the table that is read."""

    document: dict[str, Any]
    lines: Mapping[KeyPath, int]
    where: str
    faults: list[Fault] = field(default_factory=list)
    order: WordOrder = "ABCD"

    def fault(self, error: str, path: KeyPath, fix: str) -> None:
        line = line_of(self.lines, path)
        self.faults.append(Fault(error, self.where if line is None else f"{self.where}:{line}", fix))

    def raise_faults(self) -> None:
        """Raises ConfigError with every fault that was found, in the order of the page."""
        if self.faults:
            raise ConfigError(sorted(self.faults, key=_line_number))

    def keys(
        self, table: Mapping[str, Any], known: Iterable[str], path: KeyPath, *, needed: Iterable[str] = ()
    ) -> None:
        """Every key is known, and none that is needed is missing."""
        known = tuple(known)
        for key in table:
            if key not in known:
                close = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean `{close[0]}`? " if close else ""
                self.fault(f"unknown key `{key}`", (*path, key), f"{hint}known here: {', '.join(known)}")
        for key in needed:
            if key not in table:
                place = ".".join(str(part) for part in path)
                self.fault(f"`{key}` is missing", path, f"add {key}" + (f" to [{place}]" if place else ""))

    def table(self, parent: Mapping[str, Any], key: str, path: KeyPath) -> dict[str, Any]:
        found = parent.get(key, {})
        if not isinstance(found, dict):
            self.fault(f"`{key}` is not a table", (*path, key), f"write [{'.'.join(map(str, (*path, key)))}]")
            return {}
        return found

    def text(self, key: str) -> str:
        found = self.document.get(key, "")
        if not isinstance(found, str):
            self.fault(f"`{key}` is not text", (key,), f'write {key} = "..."')
            return ""
        return found

    def truth(self, table: Mapping[str, Any], key: str, path: KeyPath) -> bool:
        found = table.get(key, False)
        if not isinstance(found, bool):
            self.fault(f"`{key}` = {found!r} is not true or false", (*path, key), "write true or false")
            return False
        return found

    def seconds(self, table: Mapping[str, Any], key: str, path: KeyPath, longest_s: float, *, default: float) -> float:
        found = table.get(key)
        if found is None:
            return default
        try:
            time_s = parse_as(str(found), Dimension.TIME)
        except UnitError as error:
            self.fault(f"`{key}`: {error}", (*path, key), f'write for example {key} = "80 ms"')
            return default
        if not 0.0 < time_s <= longest_s:
            self.fault(f"`{key}` is not above 0 and up to {longest_s:g} s", (*path, key), "shorten it")
            return default
        return time_s

    def integer(
        self, table: Mapping[str, Any], key: str, path: KeyPath, *, low: int = 0, high: int = LAST_ADDRESS
    ) -> int:
        found = table.get(key, low)
        if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
            self.fault(f"`{key}` = {found!r} is not a whole number from {low} to {high}", (*path, key), "correct it")
            return low
        return found

    def number(self, table: Mapping[str, Any], key: str, path: KeyPath) -> float | None:
        found = table.get(key)
        if found is None:
            return None
        if not isinstance(found, (int, float)) or isinstance(found, bool) or not math.isfinite(found):
            self.fault(f"`{key}` = {found!r} is not a number", (*path, key), "write a number")
            return None
        return found

    def choice(self, table: Mapping[str, Any], key: str, known: Iterable[str], default: T, path: KeyPath) -> Any:
        found = table.get(key, default)
        if found not in tuple(known):
            self.fault(f"`{key}` = {found!r} is none of {', '.join(known)}", (*path, key), "write one of them")
            return default
        return found


def _line_number(fault: Fault) -> int:
    tail = fault.where.rpartition(":")[2]
    return int(tail) if tail.isdigit() else 0
