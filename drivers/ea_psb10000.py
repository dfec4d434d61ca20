"""EA Elektro-Automatik PSB 10000: bidirectional DC source with one terminal, SCPI lines on TCP 5025.

Facts are from EA's "Programming Guide ModBus & SCPI" (REV 17 and REV 24, as cited below), the PSB 9000 and ELR 10000
manuals, and public drivers that run on such units; not yet run on hardware by this project. Where none of them speaks,
the docstring says UNVERIFIED.

- Values come back with their unit, with or without a blank (``48.00V``, ``48.00 V``); a reply with another unit or
  none is an answer to something else.
- Positive current is sourced into the cell (guide REV 24, 5.4.4.2), which is charge here.
- The unit executes in order and answers a write with nothing; what it refuses is in the error queue (guide REV 17,
  5.2.5), which holds the whole box's errors and is therefore emptied before the first write and after each one.
- ``*OPC?`` is not there. Readings need no remote control, set values and the output do.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Mapping
from typing import NoReturn

from drivers.capabilities import (
    DeviceKind,
    DeviceSettings,
    DriverModel,
    Identity,
    OnCommLoss,
    PointKind,
    Setpoints,
    Span,
    TerminalLimits,
)
from drivers.errors import (
    DeviceError,
    DeviceRefused,
    FrameError,
    ReadbackMismatch,
    WrongDevice,
)
from drivers.reading import Quality, Reading
from drivers.wires import LineWire

#: The host watchdog is never set longer than this (interface monitoring itself takes 1 to 36000 s).
WATCHDOG_MAX_S = 5.0
#: How long a setting may take until it reads back; a public PSI 9000 driver waits 1 s before it looks.
SETTLE_S = 1.0
_LOOK_S = 0.1
#: The unit prints voltage in steps of 10 mV (a PSB 10080-60 answers 48.00V). Of the current's step nothing is known.
VOLTAGE_STEP_V = 0.01
CURRENT_STEP_A = 0.01
#: Measured values reach 125 % of nominal (guide REV 17, 5.4.4); beyond is no measurement.
_OVER = 1.25
#: With the output off about 0.1 % of nominal current may flow (PSB 9000 manual p. 31); five times that is not off.
_REST = 0.005
#: A rating is the same within 0.5 %.
_SAME = 0.005

_NUMBER = r"([+-]?\d+(?:\.\d+)?)"
_VALUE = re.compile(_NUMBER + r"\s*([A-Za-z]*)\Z")
_ARRAY = re.compile(_NUMBER + r"\s*V\s*,\s*" + _NUMBER + r"\s*A\s*,\s*" + _NUMBER + r"\s*k?W\Z")
_ERROR = re.compile(r'\s*([+-]?\d+)\s*,\s*"([^"]*)"')
_MODEL = re.compile(r"\bPSB[A-Z]*\s*1\d{4}\b")
_UNITS = {"V": {"V": 1.0}, "A": {"A": 1.0}, "W": {"W": 1.0, "kW": 1000.0}, "s": {"": 1.0, "s": 1.0}}

#: What a person does about an entry of the error queue (codes: guide REV 17, 5.2.5).
_FIXES = {
    -201: "take the unit out of Local at its front panel, or let go of it at its other interfaces",
    -221: "look for a menu that is open at the front panel, or a limit that excludes this value",
    -222: "keep to the unit's rating and to the adjustment limits set in it",
    -999: "Safety OVP has tripped; only switching the unit off and on clears it",
}
#: "Command unknown" (guide REV 17, 5.2.5) and "Undefined header" (SCPI-99, 21.8.9).
_UNKNOWN = (-100, -113)
#: Bits of ``STAT:QUES:COND?`` that are alarms.
_ALARMS = {0: "over-voltage", 1: "over-current", 2: "over-power", 3: "over-temperature", 13: "power fail"}


class UnknownCommandError(DeviceRefused):
    """The unit has no such command."""


class EaPsb10000:
    """A :class:`drivers.capabilities.Cycler`; channels are ``<name>.out.voltage_v`` and ``<name>.out.current_a``."""

    def __init__(self, settings: DeviceSettings) -> None:
        self._name = settings.name
        self._wire: LineWire = settings.wire
        self._clock = settings.clock
        self._serial = settings.serial
        self._rating = dict(settings.rating)
        self._voltage_channel = f"{settings.name}.out.voltage_v"
        self._current_channel = f"{settings.name}.out.current_a"
        self._over_v = self._rating.get("voltage_v", math.inf) * _OVER
        self._over_a = self._rating.get("current_a", math.inf) * _OVER
        self._set_values: dict[str, float] = {}
        # The grid of set values: 102 % of nominal in 53477 steps.
        self._grid = {
            unit: self._rating.get(key, 0.0) * 1.02 / 53477
            for unit, key in (("V", "voltage_v"), ("A", "current_a"), ("W", "power_w"))
        }

    @property
    def name(self) -> str:
        return self._name

    @property
    def channels(self) -> tuple[str, ...]:
        return (self._voltage_channel, self._current_channel)

    # -- reading only -------------------------------------------------------------------------------------------

    async def connect(self) -> Identity:
        """Read who answers and what it is rated for. Nothing is written, an output found on stays on.

        Raises WrongDevice when model, serial number or rating differ from the bench file.
        """
        doing = "identifying the device"
        text = await self._ask("*IDN?", doing)
        fields = [field.strip() for field in text.split(",")]
        if len(fields) < 4:
            self._misfit(doing, "*IDN?", text)
        identity = Identity(*fields[:4])
        if not _MODEL.search(identity.model):
            raise WrongDevice(self._name, doing, f"{identity.maker} {identity.model} answers, not a PSB 10000")
        if self._serial is not None and identity.serial != self._serial:
            raise WrongDevice(
                self._name, doing, f"serial number {identity.serial} answers, the bench file says {self._serial}"
            )
        await self._compare_rating()
        self._wire.recognise("*IDN?", text)
        return identity

    async def _compare_rating(self) -> None:
        doing = "comparing the rating"
        for key, question, unit in (
            ("voltage_v", "SYST:NOM:VOLT?", "V"),
            ("current_a", "SYST:NOM:CURR?", "A"),
            ("power_w", "SYST:NOM:POW?", "W"),
        ):
            found = await self._value(question, unit, doing)
            wanted = self._rating.get(key)
            if wanted is not None and abs(found - wanted) > _SAME * wanted:
                raise WrongDevice(
                    self._name, doing, f"the unit is rated {found:g} {unit}, the bench file says {wanted:g} {unit}"
                )

    async def read(self) -> tuple[Reading, ...]:
        """One ``MEAS:ARR?``: voltage and current of one instant, in the order of ``channels``. Raises WireError."""
        text = await self._wire.query("MEAS:ARR?", device=self._name, doing="reading")
        mono_s, utc_s = self._clock.mono_s(), self._clock.utc_s()
        match = _ARRAY.match(text)
        if match is None:
            self._misfit("reading", "MEAS:ARR?", text)
        voltage_v, current_a = float(match[1]), float(match[2])
        return (
            _reading(self._voltage_channel, voltage_v, self._over_v, mono_s, utc_s),
            _reading(self._current_channel, current_a, self._over_a, mono_s, utc_s),
        )

    async def energised(self) -> bool:
        """Whether the output is on now, by the unit's own word. Raises WireError."""
        return await self._is_on("looking at the output")

    async def alarms(self) -> tuple[str, ...]:
        """The alarms that are present now; empty when there is none. Raises WireError."""
        doing = "looking for alarms"
        text = await self._ask("STAT:QUES:COND?", doing)
        if not text.isdigit():
            self._misfit(doing, "STAT:QUES:COND?", text)
        bits = int(text)
        return tuple(alarm for bit, alarm in _ALARMS.items() if bits >> bit & 1)

    # -- taking control -----------------------------------------------------------------------------------------

    async def arm(self, limits: TerminalLimits) -> None:
        """Take remote control with the output off and the device's own limits and watchdog set and read back.

        Over-current is set for both directions, where the unit has a threshold for each. The watchdog (interface
        monitoring, ELR 10000 manual p. 55) makes the unit leave remote control after ``limits.watchdog_s`` without a
        message, and the state after remote is set to OFF, so the output goes off with it.

        Raises DeviceRefused (in Local, held by another interface, a limit out of range), ReadbackMismatch, WireError;
        ValueError for a watchdog beyond 1 to 5 s.
        """
        doing = "arming"
        if not 1.0 <= limits.watchdog_s <= WATCHDOG_MAX_S:
            raise ValueError(f"the watchdog must be 1 to {WATCHDOG_MAX_S:g} s, not {limits.watchdog_s:g}")
        await self._drain_errors(doing)
        owner = await self._ask("SYST:LOCK:OWN?", doing)
        if owner == "LOCAL":
            raise DeviceRefused(self._name, doing, "the unit is in Local", _FIXES[-201])
        await self._write("SYST:LOCK ON", doing)
        await self._settled("SYST:LOCK:OWN?", "REMOTE", doing)
        await self._write("OUTP OFF", doing)
        await self._settled("OUTP?", "OFF", doing)
        await self._write("SYST:CONF:MODE UIP", doing)
        await self._settled("SYST:CONF:MODE?", "UIP", doing)
        await self._write("POW:STAG:AFT:REM OFF", doing)
        await self._settled("POW:STAG:AFT:REM?", "OFF", doing)
        for command in ("CURR", "SINK:CURR", "VOLT"):
            await self._set(command, 0.0, "V" if command == "VOLT" else "A", doing)
        self._set_values = {"CURR": 0.0, "SINK:CURR": 0.0}
        await self._set("VOLT:PROT", limits.over_voltage_v, "V", doing)
        await self._set("CURR:PROT", limits.over_current_a, "A", doing)
        await self._protect_sink(limits.over_current_a, doing)
        # Whole seconds, rounded down. The commands come after SYST:LOCK ON and not in one line with it.
        timeout_s = float(math.floor(limits.watchdog_s))
        await self._write(f"SYST:COMM:MON:TIM {timeout_s:.0f}", doing)
        found_s = await self._value("SYST:COMM:MON:TIM?", "s", doing)
        if found_s != timeout_s:
            raise ReadbackMismatch(self._name, doing, f"the watchdog reads {found_s:g} s after {timeout_s:g} s was set")
        await self._write("SYST:COMM:MON:ACT ON", doing)
        await self._settled("SYST:COMM:MON:ACT?", "ON", doing)

    async def _protect_sink(self, current_a: float, doing: str) -> None:
        """The sink's own over-current threshold. A unit that does not know the command has CURR:PROT alone.

        Two public drivers for two-quadrant units set it, the guide's table of this series is not public.
        """
        try:
            await self._set("SINK:CURR:PROT", current_a, "A", doing)
        except UnknownCommandError:
            return

    async def apply(self, setpoints: Setpoints) -> None:
        """Write the set values and read each back.

        With the output on, nothing passes through a state that neither the old nor the new set values mean: what
        gets smaller is written before the voltage, what gets larger after it. Raises ValueError for a value that is
        not finite or negative, DeviceRefused, ReadbackMismatch, WireError.
        """
        doing = "setting"
        others = {
            "CURR": setpoints.source_current_a,
            "SINK:CURR": setpoints.sink_current_a,
            "POW": setpoints.source_power_w,
            "SINK:POW": setpoints.sink_power_w,
        }
        for value in (setpoints.voltage_v, *others.values()):
            if not 0.0 <= value < math.inf:
                raise ValueError(f"{value!r} is not a set value")
        before = [command for command, value in others.items() if value <= self._set_values.get(command, math.inf)]
        after = [command for command in others if command not in before]
        for command in (*before, "VOLT", *after):
            if command == "VOLT":
                await self._set("VOLT", setpoints.voltage_v, "V", doing)
            else:
                await self._set(command, others[command], "W" if command.endswith("POW") else "A", doing)
                self._set_values[command] = others[command]

    async def output(self, *, on: bool) -> None:
        """Switch the terminal, once, and read it back.

        Raises DeviceRefused, ReadbackMismatch (with the unit's alarms, when it went off again by itself), WireError.
        """
        state = "ON" if on else "OFF"
        doing = f"switching the output {state.lower()}"
        await self._write(f"OUTP {state}", doing)
        try:
            await self._settled("OUTP?", state, doing)
        except ReadbackMismatch as mismatch:
            alarms = ", ".join(await self.alarms()) or "none"
            raise ReadbackMismatch(self._name, doing, f"the output is not {state}, alarms: {alarms}") from mismatch

    async def release(self) -> None:
        """Stop the watchdog and give remote control back. Raises DeviceRefused while the output is on."""
        doing = "giving remote control back"
        if await self._is_on(doing):
            raise DeviceRefused(self._name, doing, "the output is still on", "make the device safe first")
        if await self._ask("SYST:LOCK:OWN?", doing) != "REMOTE":
            return
        await self._write("SYST:COMM:MON:ACT OFF", doing)
        await self._write("SYST:LOCK OFF", doing)
        if await self._ask("SYST:LOCK:OWN?", doing) == "REMOTE":
            raise ReadbackMismatch(self._name, doing, "the unit still says that it is in remote control")

    async def make_safe(self, *, fire: bool = False) -> None:  # noqa: ARG002 - off is off, fire or not
        """Currents to zero and output off, until ``OUTP?`` says OFF and no more than the unit's rest current flows.

        Everything goes through the stop lane and is sent again up to three times: it can only take energy away. If
        remote control was lost (the watchdog does that, and takes the output off with it), it is taken again only
        when the output is still on. Raises DeviceError when it is not confirmed.
        """
        doing = "making safe"
        failed: DeviceError | None = None
        for _ in range(3):
            try:
                for command in ("CURR 0", "SINK:CURR 0", "OUTP OFF"):
                    await self._wire.send(command, device=self._name, doing=doing, stop=True)
                self._set_values = {}
                refused = await self._drain_errors(doing, stop=True)
                if refused and await self._ask("OUTP?", doing, stop=True) != "OFF":
                    failed = DeviceRefused(self._name, doing, f"the output stays on, {refused}", _FIXES[-201])
                    await self._wire.send("SYST:LOCK ON", device=self._name, doing=doing, stop=True)
                elif await self._rests(doing):
                    return
                else:
                    failed = ReadbackMismatch(self._name, doing, "the output is still on, or current still flows")
            except DeviceError as error:
                failed = error
                await asyncio.sleep(_LOOK_S)
        assert failed is not None
        raise failed

    async def _rests(self, doing: str) -> bool:
        """Whether the output says OFF and the current has gone; looks again until SETTLE_S has passed."""
        rest_a = self._rating.get("current_a", 100.0) * _REST
        end_s = self._clock.mono_s() + SETTLE_S
        while True:
            if await self._ask("OUTP?", doing, stop=True) == "OFF":
                current_a = await self._value("MEAS:CURR?", "A", doing, stop=True)
                if abs(current_a) <= rest_a:
                    return True
            if self._clock.mono_s() >= end_s:
                return False
            await asyncio.sleep(_LOOK_S)

    # -- one exchange -------------------------------------------------------------------------------------------

    async def _ask(self, question: str, doing: str, *, stop: bool = False) -> str:
        return await self._wire.query(question, device=self._name, doing=doing, stop=stop)

    async def _value(self, question: str, unit: str, doing: str, *, stop: bool = False) -> float:
        """One number with its unit. Raises FrameError for another unit, none, or no number."""
        return self._parse(question, await self._ask(question, doing, stop=stop), unit, doing)

    def _parse(self, question: str, text: str, unit: str, doing: str) -> float:
        match = _VALUE.match(text)
        scale = _UNITS[unit].get(match[2]) if match is not None else None
        if match is None or scale is None:
            self._misfit(doing, question, text)
        return float(match[1]) * scale

    async def _is_on(self, doing: str) -> bool:
        text = await self._ask("OUTP?", doing)
        if text not in ("ON", "OFF"):
            self._misfit(doing, "OUTP?", text)
        return text == "ON"

    async def _write(self, command: str, doing: str) -> None:
        """One setting, and what the error queue says to it. Raises DeviceRefused."""
        await self._wire.send(command, device=self._name, doing=doing)
        errors = await self._drain_errors(doing)
        if errors:
            code, text = errors[0]
            refusal = UnknownCommandError if code in _UNKNOWN else DeviceRefused
            raise refusal(self._name, doing, f'{command!r} is refused: {code}, "{text}"', _FIXES.get(code, ""))

    async def _drain_errors(self, doing: str, *, stop: bool = False) -> list[tuple[int, str]]:
        """Everything in the error queue, oldest first; empty when all is well. Raises FrameError."""
        errors: list[tuple[int, str]] = []
        for _ in range(20):
            text = await self._ask("SYST:ERR?", doing, stop=stop)
            match = _ERROR.match(text)
            if match is None:
                self._misfit(doing, "SYST:ERR?", text)
            if int(match[1]) == 0:
                return errors
            errors.append((int(match[1]), match[2]))
        raise DeviceRefused(self._name, doing, f"the error queue does not empty, it begins with {errors[0]}")

    async def _set(self, command: str, value: float, unit: str, doing: str) -> None:
        """Write one value and read it back within one step of what the unit prints. Raises ReadbackMismatch."""
        await self._write(f"{command} {value:.3f}", doing)
        end_s = self._clock.mono_s() + SETTLE_S
        while True:
            text = await self._ask(f"{command}?", doing)
            found = self._parse(f"{command}?", text, unit, doing)
            if abs(found - value) <= _printed_step(text) + self._grid[unit]:
                return
            if self._clock.mono_s() >= end_s:
                raise ReadbackMismatch(
                    self._name, doing, f"{command} reads {found:g} {unit} after {value:g} {unit} was set"
                )
            await asyncio.sleep(_LOOK_S)

    async def _settled(self, question: str, wanted: str, doing: str) -> None:
        """Ask until the unit says what was set. Raises ReadbackMismatch after SETTLE_S."""
        end_s = self._clock.mono_s() + SETTLE_S
        while (found := (await self._ask(question, doing)).replace("/", "").upper()) != wanted:
            if self._clock.mono_s() >= end_s:
                raise ReadbackMismatch(self._name, doing, f"{question} gives {found!r}, not {wanted!r}")
            await asyncio.sleep(_LOOK_S)

    def _misfit(self, doing: str, question: str, text: str) -> NoReturn:
        self._wire.distrust()
        raise FrameError(self._name, doing, f"{text!r} is no answer to {question!r}")


def _reading(channel: str, value: float, over: float, mono_s: float, utc_s: float) -> Reading:
    if abs(value) > over:
        return Reading(channel, math.nan, mono_s, utc_s, Quality.IMPLAUSIBLE)
    return Reading(channel, value, mono_s, utc_s)


def _printed_step(text: str) -> float:
    """One step of the last digit that a reply shows."""
    step: float = 10.0 ** -len(text.rstrip("kVAW ").partition(".")[2])
    return 1.001 * step * (1000.0 if "k" in text else 1.0)


def _spans(rating: Mapping[str, float]) -> dict[str, Span]:
    """What a unit of this rating can do; the maker advises against less than 10 % of nominal (PSB 9000 manual)."""
    voltage_v, current_a, power_w = rating["voltage_v"], rating["current_a"], rating["power_w"]
    return {
        "voltage_v": Span(0.0, voltage_v, VOLTAGE_STEP_V, usable_from=0.1 * voltage_v),
        "current_a": Span(-current_a, current_a, CURRENT_STEP_A, usable_from=0.1 * current_a),
        "power_w": Span(-power_w, power_w, 1.0),
    }


MODEL = DriverModel(
    name="ea-psb10000",
    title="EA Elektro-Automatik PSB 10000, bidirectional DC source",
    kind=DeviceKind.CYCLER,
    schemes=("tcp", "visa"),
    points={"out": PointKind.TERMINAL},
    rating_keys=("voltage_v", "current_a", "power_w"),
    min_poll_s=0.05,
    on_comm_loss=OnCommLoss.DEVICE_WATCHDOG,
    evidence="replies of units as public drivers and their tests record them; not run on hardware by this project",
    spans=_spans,
    create=EaPsb10000,
    watchdog_max_s=WATCHDOG_MAX_S,
    holds_reversed_cell=False,
)
