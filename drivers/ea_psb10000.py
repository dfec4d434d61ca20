"""EA Elektro-Automatik PSB 10000: bidirectional DC source with one terminal, SCPI lines on TCP 5025.

Facts are from EA's "Programming Guide ModBus & SCPI" (REV 17 and REV 24, as cited below), the PSB 9000 and ELR 10000
manuals, and public drivers that run on such units; not yet run on hardware by this project. Where none of them speaks,
the docstring says UNVERIFIED. How its lines are written and answered is in ea_scpi.

- Positive current is sourced into the cell (guide REV 24, 5.4.4.2), which is charge here.
- ``*OPC?`` is not there. Readings need no remote control, set values and the output do.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Mapping
from functools import partial

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
from drivers.ea_scpi import FIXES, LOOK_S, SETTLE_S, EaScpi, UnknownCommandError, voltage_and_current
from drivers.errors import DeviceError, DeviceRefused, ReadbackMismatch, WrongDevice
from drivers.reading import Quality, Reading
from drivers.rounds import Look, Rounds
from drivers.wires import LineWire

#: The host watchdog is never set longer than this (interface monitoring itself takes 1 to 36000 s).
WATCHDOG_MAX_S = 5.0
#: The unit prints voltage in steps of 10 mV (a PSB 10080-60 answers 48.00V). Of the current's step nothing is known.
VOLTAGE_STEP_V = 0.01
CURRENT_STEP_A = 0.01
#: Measured values reach 125 % of nominal (guide REV 17, 5.4.4); beyond is no measurement.
_OVER = 1.25
#: With the output off about 0.1 % of nominal current may flow (PSB 9000 manual p. 31); five times that is not off.
_REST = 0.005
#: A rating is the same within 0.5 %.
_SAME = 0.005

_MODEL = re.compile(r"\bPSB[A-Z]*\s*1\d{4}\b")
#: What it means when the unit answers one of these otherwise than it was set.
_MEANS = {
    "SYST:LOCK:OWN?": "remote control is lost",
    "SYST:COMM:MON:ACT?": "its watchdog is off",
    "POW:STAG:AFT:REM?": "the output would stay on after remote control",
    "SYST:CONF:MODE?": "its mode has changed",
}
#: Bits of ``STAT:QUES:COND?`` that are alarms.
_ALARMS = {0: "over-voltage", 1: "over-current", 2: "over-power", 3: "over-temperature", 13: "power fail"}


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
        # What the unit must show for as long as it is armed: numbers with their unit, and words.
        self._held: dict[str, tuple[float, str]] = {}
        self._words: dict[str, str] = {}
        self._switched_on = False
        self._rounds = Rounds(2)
        # The grid of set values: 102 % of nominal in 53477 steps.
        grid = {
            unit: self._rating.get(key, 0.0) * 1.02 / 53477
            for unit, key in (("V", "voltage_v"), ("A", "current_a"), ("W", "power_w"))
        }
        self._scpi = EaScpi(settings.name, settings.wire, settings.clock, grid)

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
        text = await self._scpi.ask("*IDN?", doing)
        fields = [field.strip() for field in text.split(",")]
        if len(fields) < 4:
            self._scpi.misfit(doing, "*IDN?", text)
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
            found = await self._scpi.value(question, unit, doing)
            wanted = self._rating.get(key)
            if wanted is not None and abs(found - wanted) > _SAME * wanted:
                raise WrongDevice(
                    self._name, doing, f"the unit is rated {found:g} {unit}, the bench file says {wanted:g} {unit}"
                )

    async def read(self) -> tuple[Reading, ...]:
        """One ``MEAS:ARR?``: voltage and current of one instant, in the order of ``channels``. Raises WireError."""
        text = await self._wire.query("MEAS:ARR?", device=self._name, doing="reading")
        mono_s, utc_s = self._clock.mono_s(), self._clock.utc_s()
        measured = voltage_and_current(text)
        if measured is None:
            self._scpi.misfit("reading", "MEAS:ARR?", text)
        voltage_v, current_a = measured
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
        text = await self._scpi.ask("STAT:QUES:COND?", doing)
        if not text.isdigit():
            self._scpi.misfit(doing, "STAT:QUES:COND?", text)
        bits = int(text)
        return tuple(alarm for bit, alarm in _ALARMS.items() if bits >> bit & 1)

    async def deviations(self) -> tuple[str, ...]:
        """How the unit differs now from how it was armed and set: output, remote control, set values, limits, watchdog.

        Three questions a call, everything within seven calls; () before it is armed and after it was released. A set
        value differs beyond one step of what the unit prints. Raises WireError.
        """
        if not self._words:
            return ()
        looks: dict[str, Look] = {question: partial(self._said, question) for question in self._words}
        looks |= {command: partial(self._reads, command) for command in self._held}
        return await self._rounds.go((self._output_differs,), looks)

    async def _output_differs(self) -> str | None:
        on = await self._is_on("looking for deviations")
        if on == self._switched_on:
            return None
        if on:
            return "the output is on, and nobody here switched it on"
        alarms = ", ".join(await self.alarms()) or "none"
        return f"the unit switched its output off by itself, alarms: {alarms}"

    async def _said(self, question: str) -> str | None:
        wanted = self._words.get(question)
        found = (await self._scpi.ask(question, "looking for deviations")).replace("/", "").upper()
        if wanted in (found, None):
            return None
        return f"{_MEANS[question]}: {question} gives {found!r} where {wanted!r} was set"

    async def _reads(self, command: str) -> str | None:
        if command not in self._held:
            return None
        value, unit = self._held[command]
        found = await self._scpi.differs(command, value, unit, "looking for deviations")
        return None if found is None else f"{command} reads {found:g} {unit} where {value:g} {unit} was set"

    # -- taking control -----------------------------------------------------------------------------------------

    async def arm(self, limits: TerminalLimits) -> None:
        """Take remote control with the output off and the device's own limits and watchdog set and read back.

        Over-current is set for both directions, where the unit has a threshold for each. The watchdog (interface
        monitoring, ELR 10000 manual p. 55) makes the unit leave remote control after ``limits.watchdog_s`` without a
        message, and the state after remote is set to OFF, so the output goes off with it.

        Raises DeviceRefused (in Local, held by another interface, a limit out of range), ReadbackMismatch, WireError;
        ValueError for a watchdog beyond 1 to 5 s.
        """
        if not 1.0 <= limits.watchdog_s <= WATCHDOG_MAX_S:
            raise ValueError(f"the watchdog must be 1 to {WATCHDOG_MAX_S:g} s, not {limits.watchdog_s:g}")
        with self._rounds.changing():
            await self._arm(limits, "arming")

    async def _arm(self, limits: TerminalLimits, doing: str) -> None:
        await self._scpi.drain_errors(doing)
        owner = await self._scpi.ask("SYST:LOCK:OWN?", doing)
        if owner == "LOCAL":
            raise DeviceRefused(self._name, doing, "the unit is in Local", FIXES[-201])
        await self._scpi.write("SYST:LOCK ON", doing)
        await self._scpi.settled("SYST:LOCK:OWN?", "REMOTE", doing)
        self._switched_on, self._held, self._words = False, {}, {}
        await self._scpi.write("OUTP OFF", doing)
        await self._scpi.settled("OUTP?", "OFF", doing)
        await self._scpi.write("SYST:CONF:MODE UIP", doing)
        await self._scpi.settled("SYST:CONF:MODE?", "UIP", doing)
        await self._scpi.write("POW:STAG:AFT:REM OFF", doing)
        await self._scpi.settled("POW:STAG:AFT:REM?", "OFF", doing)
        for command in ("CURR", "SINK:CURR", "VOLT"):
            await self._set(command, 0.0, "V" if command == "VOLT" else "A", doing)
        self._set_values = {"CURR": 0.0, "SINK:CURR": 0.0}
        await self._set("VOLT:PROT", limits.over_voltage_v, "V", doing)
        await self._set("CURR:PROT", limits.over_current_a, "A", doing)
        await self._protect_sink(limits.over_current_a, doing)
        # Whole seconds, rounded down. The commands come after SYST:LOCK ON and not in one line with it.
        timeout_s = float(math.floor(limits.watchdog_s))
        await self._scpi.write(f"SYST:COMM:MON:TIM {timeout_s:.0f}", doing)
        found_s = await self._scpi.value("SYST:COMM:MON:TIM?", "s", doing)
        if found_s != timeout_s:
            raise ReadbackMismatch(self._name, doing, f"the watchdog reads {found_s:g} s after {timeout_s:g} s was set")
        await self._scpi.write("SYST:COMM:MON:ACT ON", doing)
        await self._scpi.settled("SYST:COMM:MON:ACT?", "ON", doing)
        self._held["SYST:COMM:MON:TIM"] = (timeout_s, "s")
        self._words = {
            "SYST:LOCK:OWN?": "REMOTE",
            "SYST:COMM:MON:ACT?": "ON",
            "POW:STAG:AFT:REM?": "OFF",
            "SYST:CONF:MODE?": "UIP",
        }

    async def _set(self, command: str, value: float, unit: str, doing: str) -> None:
        """Write one value, read it back, and hold the unit to it from now on."""
        self._held.pop(command, None)
        await self._scpi.set_value(command, value, unit, doing)
        self._held[command] = (value, unit)

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
        others = {
            "CURR": setpoints.source_current_a,
            "SINK:CURR": setpoints.sink_current_a,
            "POW": setpoints.source_power_w,
            "SINK:POW": setpoints.sink_power_w,
        }
        for value in (setpoints.voltage_v, *others.values()):
            if not 0.0 <= value < math.inf:
                raise ValueError(f"{value!r} is not a set value")
        with self._rounds.changing():
            await self._apply(setpoints.voltage_v, others, "setting")

    async def _apply(self, voltage_v: float, others: Mapping[str, float], doing: str) -> None:
        before = [command for command, value in others.items() if value <= self._set_values.get(command, math.inf)]
        after = [command for command in others if command not in before]
        for command in (*before, "VOLT", *after):
            if command == "VOLT":
                await self._set("VOLT", voltage_v, "V", doing)
            else:
                await self._set(command, others[command], "W" if command.endswith("POW") else "A", doing)
                self._set_values[command] = others[command]

    async def output(self, *, on: bool) -> None:
        """Switch the terminal, once, and read it back.

        Raises DeviceRefused, ReadbackMismatch (with the unit's alarms, when it went off again by itself), WireError.
        """
        with self._rounds.changing():
            await self._output("ON" if on else "OFF")
            self._switched_on = on

    async def _output(self, state: str) -> None:
        doing = f"switching the output {state.lower()}"
        await self._scpi.write(f"OUTP {state}", doing)
        try:
            await self._scpi.settled("OUTP?", state, doing)
        except ReadbackMismatch as mismatch:
            alarms = ", ".join(await self.alarms()) or "none"
            raise ReadbackMismatch(self._name, doing, f"the output is not {state}, alarms: {alarms}") from mismatch

    async def release(self) -> None:
        """Stop the watchdog and give remote control back. Raises DeviceRefused while the output is on."""
        doing = "giving remote control back"
        if await self._is_on(doing):
            raise DeviceRefused(self._name, doing, "the output is still on", "make the device safe first")
        self._held, self._words = {}, {}
        if await self._scpi.ask("SYST:LOCK:OWN?", doing) != "REMOTE":
            return
        await self._scpi.write("SYST:COMM:MON:ACT OFF", doing)
        await self._scpi.write("SYST:LOCK OFF", doing)
        if await self._scpi.ask("SYST:LOCK:OWN?", doing) == "REMOTE":
            raise ReadbackMismatch(self._name, doing, "the unit still says that it is in remote control")

    async def make_safe(self, *, fire: bool = False) -> None:  # noqa: ARG002 - off is off, fire or not
        """Currents to zero and output off, until ``OUTP?`` says OFF and no more than the unit's rest current flows.

        Everything goes through the stop lane and is sent again up to three times: it can only take energy away. If
        remote control was lost (the watchdog does that, and takes the output off with it), it is taken again only
        when the output is still on. Raises DeviceError when it is not confirmed.
        """
        with self._rounds.changing():
            await self._make_safe("making safe")

    async def _make_safe(self, doing: str) -> None:
        failed: DeviceError | None = None
        for _ in range(3):
            try:
                for command in ("CURR 0", "SINK:CURR 0", "OUTP OFF"):
                    await self._wire.send(command, device=self._name, doing=doing, stop=True)
                self._set_values, self._switched_on = {}, False
                for command in ("CURR", "SINK:CURR"):
                    self._held.pop(command, None)
                refused = await self._scpi.drain_errors(doing, stop=True)
                if refused and await self._scpi.ask("OUTP?", doing, stop=True) != "OFF":
                    failed = DeviceRefused(self._name, doing, f"the output stays on, {refused}", FIXES[-201])
                    await self._wire.send("SYST:LOCK ON", device=self._name, doing=doing, stop=True)
                elif await self._rests(doing):
                    return
                else:
                    failed = ReadbackMismatch(self._name, doing, "the output is still on, or current still flows")
            except DeviceError as error:
                failed = error
                await asyncio.sleep(LOOK_S)
        assert failed is not None
        raise failed

    async def _rests(self, doing: str) -> bool:
        """Whether the output says OFF and the current has gone; looks again until SETTLE_S has passed."""
        rest_a = self._rating.get("current_a", 100.0) * _REST
        end_s = self._clock.mono_s() + SETTLE_S
        while True:
            if await self._scpi.ask("OUTP?", doing, stop=True) == "OFF":
                current_a = await self._scpi.value("MEAS:CURR?", "A", doing, stop=True)
                if abs(current_a) <= rest_a:
                    return True
            if self._clock.mono_s() >= end_s:
                return False
            await asyncio.sleep(LOOK_S)

    async def _is_on(self, doing: str) -> bool:
        text = await self._scpi.ask("OUTP?", doing)
        if text not in ("ON", "OFF"):
            self._scpi.misfit(doing, "OUTP?", text)
        return text == "ON"


def _reading(channel: str, value: float, over: float, mono_s: float, utc_s: float) -> Reading:
    if abs(value) > over:
        return Reading(channel, math.nan, mono_s, utc_s, Quality.IMPLAUSIBLE)
    return Reading(channel, value, mono_s, utc_s)


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
