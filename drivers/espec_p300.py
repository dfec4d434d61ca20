"""ESPEC P-300 family (also SCP-220, ES-102): a thermal chamber, ASCII lines on a serial port.

Facts are from ESPEC North America's ChamberConnectLibrary (EspecInteract, P300) and the espec-pr3j package: 9600 8N1,
lines end in CR LF, a monitor command answers with data, a setting with ``OK:`` and its echo, either with ``NA:`` and
the reason. The controller wants 0.2 s of quiet after a monitor command and 0.5 s after a setting. Not yet run on
hardware by this project. The RS-485 address prefix is not used: one chamber, one port.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
from collections.abc import Mapping
from typing import NoReturn

from drivers.capabilities import DeviceKind, DeviceSettings, DriverModel, Identity, OnCommLoss, PointKind, Span
from drivers.errors import DeviceError, DeviceRefused, FrameError, ReadbackMismatch, WireError, WrongDevice
from drivers.reading import Quality, Reading
from drivers.rounds import Rounds
from drivers.wires import LineWire

#: Quiet time after a monitor command and after a setting (espec-pr3j).
MONITOR_PAUSE_S = 0.2
SETTING_PAUSE_S = 0.5
#: After a setting whose answer nobody waits for: the quiet counts from that answer's end, which is not seen.
UNHEARD_PAUSE_S = SETTING_PAUSE_S + 0.2
#: A reply of 30 characters alone takes 31 ms at 9600 baud; the public library waits 3 s.
DEADLINE_S = 1.0
#: The controller takes and shows tenths of a degree.
STEP_C = 0.1
#: Where conditioning ends: the middle of the 23 to 25 degC that stand for ambient.
AMBIENT_C = 24.0
#: No chamber of this family leaves this range, so beyond it there is no measurement.
_PLAUSIBLE_C = (-120.0, 250.0)
_SAME_C = 0.05

_NUMBER = r"\s*([+-]?\d+(?:\.\d+)?)\s*"
_TEMP = re.compile(",".join([_NUMBER] * 4) + r"\Z")
_RUNNING = frozenset({"CONSTANT", "RUN"})
_MODES = frozenset({"OFF", "STANDBY", *_RUNNING})

#: What a person does about a refusal (ChamberConnectLibrary, ERROR_DESCRIPTIONS).
_FIXES = {
    "PROTECT ON": "take the protection off at the chamber's own panel",
    "DATA OUT OF RANGE": "keep to the chamber's high and low limits",
    "CHB NOT READY": "look at the chamber's panel: it cannot act on this now",
    "CONT NOT READY-3": "this controller does not know the command; check the model in the bench file",
}


class EspecP300:
    """A :class:`drivers.capabilities.Chamber`; channels ``<name>.air.temperature_c`` and ``<name>.air.setpoint_c``."""

    def __init__(self, settings: DeviceSettings) -> None:
        self._name = settings.name
        self._wire: LineWire = settings.wire
        self._clock = settings.clock
        self._serial = settings.serial
        self._rating = dict(settings.rating)
        self._temperature_channel = f"{settings.name}.air.temperature_c"
        self._setpoint_channel = f"{settings.name}.air.setpoint_c"
        # What it must show since it was last set; None before that.
        self._set_c: float | None = None
        self._set_to: str | None = None
        self._limits_c: tuple[float, float] | None = None
        self._rounds = Rounds(1)

    @property
    def name(self) -> str:
        return self._name

    @property
    def channels(self) -> tuple[str, ...]:
        return (self._temperature_channel, self._setpoint_channel)

    async def connect(self) -> Identity:
        """Read what answers: controller type (``TYPE?``), its programme (``ROM?``) and its limits (``TEMP?``).

        Nothing is written. The controller has no serial number to give, so a bench file that names one is refused.
        Raises WrongDevice when the limits are not the rating in the bench file.
        """
        doing = "identifying the device"
        kind = await self._monitor("TYPE?", doing)
        fields = [field.strip() for field in kind.split(",")]
        # Sensor, second sensor if it has humidity, controller, highest temperature.
        if len(fields) not in (3, 4) or not re.fullmatch(_NUMBER, fields[-1]):
            self._misfit(doing, "TYPE?", kind)
        firmware = await self._monitor("ROM?", doing)
        if self._serial is not None:
            raise WrongDevice(
                self._name, doing, "this controller gives no serial number", "take `serial` out of the bench file"
            )
        _, _, high_c, low_c = await self._temp("comparing the rating")
        self._limits_c = (high_c, low_c)
        for key, found_c in (("high_c", high_c), ("low_c", low_c)):
            wanted_c = self._rating.get(key)
            if wanted_c is not None and abs(found_c - wanted_c) > _SAME_C:
                raise WrongDevice(
                    self._name,
                    "comparing the rating",
                    f"the chamber's {key[:-2]} limit is {found_c:g} degC, the bench file says {wanted_c:g} degC",
                )
        self._wire.recognise("TYPE?", kind, pause_s=MONITOR_PAUSE_S)
        return Identity("ESPEC", fields[-2], "", firmware)

    async def read(self) -> tuple[Reading, ...]:
        """One ``TEMP?``: air and setpoint of one instant, in the order of ``channels``. Raises WireError."""
        air_c, setpoint_c, _, _ = await self._temp("reading")
        mono_s, utc_s = self._clock.mono_s(), self._clock.utc_s()
        return (
            _reading(self._temperature_channel, air_c, mono_s, utc_s),
            _reading(self._setpoint_channel, setpoint_c, mono_s, utc_s),
        )

    async def energised(self) -> bool:
        """Whether the chamber conditions its air now, by its own word. Raises WireError."""
        return await self._mode("looking at the mode") in _RUNNING

    async def deviations(self) -> tuple[str, ...]:
        """How the chamber differs now from how it was set: mode (with its alarms), setpoint, its own limits.

        One question a call, two for a mode that differs, everything within two calls; () before it was set. Raises
        WireError, and DeviceRefused by a controller that does not know ``ALARM?``.
        """
        if self._set_to is None:
            return ()
        return await self._rounds.go((), {"mode": self._mode_differs, "setpoint": self._setpoint_differs})

    async def _mode_differs(self) -> str | None:
        doing = "looking for deviations"
        wanted, found = self._set_to, await self._mode(doing)
        if found == wanted:
            return None
        alarms = await self._monitor("ALARM?", doing)
        return f"the mode reads {found} where {wanted} was set; ALARM? gives {alarms!r}"

    async def _setpoint_differs(self) -> str | None:
        _, setpoint_c, high_c, low_c = await self._temp("looking for deviations")
        if self._set_c is not None and abs(setpoint_c - self._set_c) > STEP_C / 2 + 1e-6:
            return f"the setpoint reads {setpoint_c:g} degC where {self._set_c:g} degC was set"
        if self._limits_c is not None and (high_c, low_c) != self._limits_c:
            was_high_c, was_low_c = self._limits_c
            return f"its limits are {high_c:g} and {low_c:g} degC, they were {was_high_c:g} and {was_low_c:g} degC"
        return None

    async def run_at(self, temperature_c: float) -> None:
        """Set the setpoint and start constant operation; both read back.

        Raises DeviceRefused (out of the chamber's limits, panel protected), ReadbackMismatch, WireError; ValueError
        for a temperature that is not finite.
        """
        await self._run_at(temperature_c, f"going to {temperature_c:g} degC", stop=False)

    async def stop(self) -> None:
        """End conditioning: standby, read back. Raises DeviceRefused, ReadbackMismatch, WireError."""
        await self._set_mode("STANDBY", "stopping", stop=False)

    async def make_safe(self, *, fire: bool = False) -> None:
        """After conditioning: ambient, with air and cooling running. After smoke, flame or gas: off.

        Through the stop lane, up to three times, confirmed by read-back. When the line does not answer, the command is
        also sent without waiting for one: a chamber that is only not heard still obeys. Raises DeviceError when it is
        not confirmed.
        """
        doing = "making safe"
        failed: DeviceError | None = None
        for _ in range(3):
            try:
                if fire:
                    await self._set_mode("OFF", doing, stop=True)
                else:
                    await self._run_at(AMBIENT_C, doing, stop=True)
            except WireError as error:
                failed = error
                command = "MODE,OFF" if fire else f"TEMP, S{AMBIENT_C:.1f}"
                with contextlib.suppress(WireError):
                    await self._wire.send(command, device=self._name, doing=doing, stop=True, pause_s=UNHEARD_PAUSE_S)
            except DeviceError as error:
                failed = error
            else:
                return
        assert failed is not None
        raise failed

    async def _run_at(self, temperature_c: float, doing: str, *, stop: bool) -> None:
        if not math.isfinite(temperature_c):
            raise ValueError(f"{temperature_c!r} is not a temperature")
        with self._rounds.changing():
            self._set_c = None
            await self._set_temperature(temperature_c, doing, stop=stop)
            self._set_c = temperature_c
        await self._set_mode("CONSTANT", doing, stop=stop)

    async def _set_temperature(self, temperature_c: float, doing: str, *, stop: bool) -> None:
        await self._setting(f"TEMP, S{temperature_c:.1f}", doing, stop=stop)
        _, setpoint_c, _, _ = await self._temp(doing, stop=stop)
        if abs(setpoint_c - temperature_c) > STEP_C / 2 + 1e-6:
            raise ReadbackMismatch(
                self._name, doing, f"the setpoint reads {setpoint_c:g} degC after {temperature_c:g} degC was set"
            )

    async def _set_mode(self, mode: str, doing: str, *, stop: bool) -> None:
        with self._rounds.changing():
            self._set_to = None
            await self._switch_mode(mode, doing, stop=stop)
            self._set_to = mode

    async def _switch_mode(self, mode: str, doing: str, *, stop: bool) -> None:
        await self._setting(f"MODE,{mode}", doing, stop=stop)
        found = await self._mode(doing, stop=stop)
        if found != mode:
            # A compressor may take a moment to start or stop; the setting's own quiet time has passed once already.
            await asyncio.sleep(SETTING_PAUSE_S)
            found = await self._mode(doing, stop=stop)
        if found != mode:
            raise ReadbackMismatch(self._name, doing, f"the mode reads {found} after {mode} was set")

    async def _mode(self, doing: str, *, stop: bool = False) -> str:
        text = await self._monitor("MODE?", doing, stop=stop)
        if text not in _MODES:
            self._misfit(doing, "MODE?", text)
        return text

    async def _temp(self, doing: str, *, stop: bool = False) -> tuple[float, float, float, float]:
        """Air, setpoint, high limit, low limit, in degC. Raises FrameError for anything else."""
        text = await self._monitor("TEMP?", doing, stop=stop)
        match = _TEMP.match(text)
        if match is None:
            self._misfit(doing, "TEMP?", text)
        return float(match[1]), float(match[2]), float(match[3]), float(match[4])

    async def _monitor(self, question: str, doing: str, *, stop: bool = False) -> str:
        text = await self._wire.query(
            question, device=self._name, doing=doing, deadline_s=DEADLINE_S, stop=stop, pause_s=MONITOR_PAUSE_S
        )
        if text.startswith("NA:"):
            self._refuse(question, text, doing)
        if text.startswith("OK:"):
            self._misfit(doing, question, text)
        return text

    async def _setting(self, command: str, doing: str, *, stop: bool) -> None:
        """One setting, acknowledged by its own echo (which may differ in blanks). Raises DeviceRefused, FrameError."""
        text = await self._wire.query(
            command, device=self._name, doing=doing, deadline_s=DEADLINE_S, stop=stop, pause_s=SETTING_PAUSE_S
        )
        if text.startswith("NA:"):
            self._refuse(command, text, doing)
        word = command.partition(",")[0]
        if not text.startswith("OK:") or text[3:].partition(",")[0].strip() != word:
            self._misfit(doing, command, text)

    def _refuse(self, command: str, text: str, doing: str) -> NoReturn:
        reason = text[3:].strip()
        raise DeviceRefused(self._name, doing, f"{command!r} is refused: {reason}", _FIXES.get(reason, ""))

    def _misfit(self, doing: str, question: str, text: str) -> NoReturn:
        self._wire.distrust()
        raise FrameError(self._name, doing, f"{text!r} is no answer to {question!r}")


def _reading(channel: str, value_c: float, mono_s: float, utc_s: float) -> Reading:
    if not _PLAUSIBLE_C[0] <= value_c <= _PLAUSIBLE_C[1]:
        return Reading(channel, math.nan, mono_s, utc_s, Quality.IMPLAUSIBLE)
    return Reading(channel, value_c, mono_s, utc_s)


def _spans(rating: Mapping[str, float]) -> dict[str, Span]:
    return {"temperature_c": Span(rating["low_c"], rating["high_c"], STEP_C)}


MODEL = DriverModel(
    name="espec-p300",
    title="ESPEC P-300 family, thermal chamber",
    kind=DeviceKind.CHAMBER,
    schemes=("serial", "tcp", "visa"),
    points={"air": PointKind.AIR},
    rating_keys=("high_c", "low_c"),
    min_poll_s=0.5,
    on_comm_loss=OnCommLoss.DEVICE_LIMITS,
    evidence="replies as the maker's public library parses them; not run on hardware by this project",
    spans=_spans,
    create=EspecP300,
)
