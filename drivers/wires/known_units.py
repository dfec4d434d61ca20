"""By what the units of a Modbus port are known again after the port was opened anew.

A port's name may lead to another adapter by then, an address to another device. What a unit is known by are registers
that its driver read when it connected.
"""

from __future__ import annotations

from typing import NamedTuple

from drivers.wires.modbus_session import Ask


class Known(NamedTuple):
    """Registers of one unit, and what they read: ``function`` 3 for holding registers, 4 for input registers."""

    function: int
    address: int
    words: tuple[int, ...]


class KnownUnits:
    """The units of one port that a driver has recognised, and which of them have to be asked again."""

    def __init__(self) -> None:
        self._known: dict[int, Known] = {}
        self._unproven: set[int] = set()

    def recognise(self, unit: int, known: Known) -> None:
        """What it is known by from now on; the same as before changes nothing."""
        if self._known.get(unit) != known:
            self._known[unit] = known
            self._unproven.discard(unit)

    def forget(self, unit: int) -> None:
        """Whoever answers there is about to be asked who it is."""
        self._known.pop(unit, None)
        self._unproven.discard(unit)

    def opened(self) -> None:
        """The port was opened anew: nothing is proven any more."""
        self._unproven = set(self._known)

    def unproven(self, unit: int) -> bool:
        return unit in self._unproven

    def question(self, unit: int, deadline_s: float | None) -> Ask:
        """What it has to answer before anything else. Raises KeyError for a unit that nobody has recognised."""
        known = self._known[unit]
        return Ask(known.function, known.address, len(known.words), unit, deadline_s=deadline_s)

    def differs(self, unit: int, words: tuple[int, ...]) -> str | None:
        """What is wrong with its answer; None proves it."""
        known = self._known[unit]
        if words == known.words:
            self._unproven.discard(unit)
            return None
        found, wanted = (" ".join(f"{word:04X}" for word in its) for its in (words, known.words))
        return (
            f"unit {unit} is not the device that was connected: since the port was opened anew, register "
            f"{known.address} reads {found or 'nothing'} (hex), before it read {wanted}"
        )
