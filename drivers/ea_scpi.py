"""EA Elektro-Automatik's SCPI: values with their unit, settings that are read back, and the error queue.

- Values come back with their unit, with or without a blank (``48.00V``, ``48.00 V``); a reply with another unit or
  none is an answer to something else.
- The unit executes in order and answers a write with nothing; what it refuses is in the error queue, which holds the
  whole box's errors and is therefore emptied before the first write and after each one.

Source: EA's "Programming Guide ModBus & SCPI" (REV 17), 5.2.5 for the error queue; the forms of values from public
drivers that run on such units.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import NoReturn

from drivers.clock import Clock
from drivers.errors import DeviceRefused, FrameError, ReadbackMismatch
from drivers.wires import LineWire

#: How long a setting may take until it reads back (a public PSI 9000 driver waits 1 s before it looks), and how often
#: that is looked at, in seconds.
SETTLE_S = 1.0
LOOK_S = 0.1

_NUMBER = r"([+-]?\d+(?:\.\d+)?)"
_VALUE = re.compile(_NUMBER + r"\s*([A-Za-z]*)\Z")
_ARRAY = re.compile(_NUMBER + r"\s*V\s*,\s*" + _NUMBER + r"\s*A\s*,\s*" + _NUMBER + r"\s*k?W\Z")
_ERROR = re.compile(r'\s*([+-]?\d+)\s*,\s*"([^"]*)"')
_UNITS = {"V": {"V": 1.0}, "A": {"A": 1.0}, "W": {"W": 1.0, "kW": 1000.0}, "s": {"": 1.0, "s": 1.0}}

#: What a person does about an entry of the error queue (codes: guide REV 17, 5.2.5).
FIXES = {
    -201: "take the unit out of Local at its front panel, or let go of it at its other interfaces",
    -221: "look for a menu that is open at the front panel, or a limit that excludes this value",
    -222: "keep to the unit's rating and to the adjustment limits set in it",
    -999: "Safety OVP has tripped; only switching the unit off and on clears it",
}
#: "Command unknown" (guide REV 17, 5.2.5) and "Undefined header" (SCPI-99, 21.8.9).
_UNKNOWN = (-100, -113)


class UnknownCommandError(DeviceRefused):
    """The unit has no such command."""


def voltage_and_current(text: str) -> tuple[float, float] | None:
    """Volts and amperes of a reply to ``MEAS:ARR?``; None if it is none."""
    match = _ARRAY.match(text)
    return None if match is None else (float(match[1]), float(match[2]))


class EaScpi:
    """One unit's end of its wire. ``grid`` is the step of set values by unit ("V", "A", "W").

    ``doing`` only names in errors what was under way; ``stop`` is the wire's stop lane. Everything raises WireError.
    """

    def __init__(self, name: str, wire: LineWire, clock: Clock, grid: Mapping[str, float]) -> None:
        self._name = name
        self._wire = wire
        self._mono_s = clock.mono_s
        self._grid = grid

    async def ask(self, question: str, doing: str, *, stop: bool = False) -> str:
        """One question and its answer as text."""
        return await self._wire.query(question, device=self._name, doing=doing, stop=stop)

    async def value(self, question: str, unit: str, doing: str, *, stop: bool = False) -> float:
        """One number with its unit. Raises FrameError for another unit, none, or no number."""
        return self._parse(question, await self.ask(question, doing, stop=stop), unit, doing)

    def _parse(self, question: str, text: str, unit: str, doing: str) -> float:
        match = _VALUE.match(text)
        scale = _UNITS[unit].get(match[2]) if match is not None else None
        if match is None or scale is None:
            self.misfit(doing, question, text)
        return float(match[1]) * scale

    async def write(self, command: str, doing: str) -> None:
        """One setting, and what the error queue says to it. Raises DeviceRefused."""
        await self._wire.send(command, device=self._name, doing=doing)
        errors = await self.drain_errors(doing)
        if errors:
            code, text = errors[0]
            refusal = UnknownCommandError if code in _UNKNOWN else DeviceRefused
            raise refusal(self._name, doing, f'{command!r} is refused: {code}, "{text}"', FIXES.get(code, ""))

    async def drain_errors(self, doing: str, *, stop: bool = False) -> list[tuple[int, str]]:
        """Everything in the error queue, oldest first; empty when all is well. Raises FrameError."""
        errors: list[tuple[int, str]] = []
        for _ in range(20):
            text = await self.ask("SYST:ERR?", doing, stop=stop)
            match = _ERROR.match(text)
            if match is None:
                self.misfit(doing, "SYST:ERR?", text)
            if int(match[1]) == 0:
                return errors
            errors.append((int(match[1]), match[2]))
        raise DeviceRefused(self._name, doing, f"the error queue does not empty, it begins with {errors[0]}")

    async def set_value(self, command: str, value: float, unit: str, doing: str) -> None:
        """Write one value and read it back within one step of what the unit prints. Raises ReadbackMismatch."""
        await self.write(f"{command} {value:.3f}", doing)
        end_s = self._mono_s() + SETTLE_S
        while True:
            found = await self.differs(command, value, unit, doing)
            if found is None:
                return
            if self._mono_s() >= end_s:
                raise ReadbackMismatch(
                    self._name, doing, f"{command} reads {found:g} {unit} after {value:g} {unit} was set"
                )
            await asyncio.sleep(LOOK_S)

    async def differs(self, command: str, value: float, unit: str, doing: str) -> float | None:
        """What a setting reads, if that is further from ``value`` than one step of what the unit prints; else None."""
        text = await self.ask(f"{command}?", doing)
        found = self._parse(f"{command}?", text, unit, doing)
        return None if abs(found - value) <= _printed_step(text) + self._grid.get(unit, 0.0) else found

    async def settled(self, question: str, wanted: str, doing: str) -> None:
        """Ask until the unit says what was set. Raises ReadbackMismatch after SETTLE_S."""
        end_s = self._mono_s() + SETTLE_S
        while (found := (await self.ask(question, doing)).replace("/", "").upper()) != wanted:
            if self._mono_s() >= end_s:
                raise ReadbackMismatch(self._name, doing, f"{question} gives {found!r}, not {wanted!r}")
            await asyncio.sleep(LOOK_S)

    def misfit(self, doing: str, question: str, text: str) -> NoReturn:
        """Raises FrameError, and lets the wire sort out what else may be on its way."""
        self._wire.distrust()
        raise FrameError(self._name, doing, f"{text!r} is no answer to {question!r}")


def _printed_step(text: str) -> float:
    """One step of the last digit that a reply shows."""
    step: float = 10.0 ** -len(text.rstrip("kVAW ").partition(".")[2])
    return 1.001 * step * (1000.0 if "k" in text else 1.0)
