"""ESPEC P-300 chamber controller, temperature only, ASCII lines that end in CR LF.

Commands and error texts from ChamberConnectLibrary's P-300 code, minimum waits from espec-pr3j 0.5.0. What no public
source says, and what is done here:

- what happens to a command that comes within the wait after the last one: it is lost without an answer (worse for a
  host than an error text; the wait counts from the moment the last answer left);
- the upper and lower limits of ``TEMP?`` start at the chamber's rating, and ``TYPE?`` names its upper end;
- an alarm stops the chamber; it is cleared at the panel, not over this line (facts: UNVERIFIED).

``DATE?``, ``TIME?``, programs, humidity, relays and refrigerator settings are not simulated: their queries answer
``NA:`` as a controller without the option does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simulators.faults import Faults
from simulators.models import Reply, SimulatorModel, Timers
from simulators.personalities.noise import noise
from simulators.spec import DeviceSpec

if TYPE_CHECKING:
    from simulators.plant.plant import Plant

#: How long the controller takes to answer (ASSUMED).
LATENCY_S = 0.02
#: Quiet time that it needs after a monitor command and after a setting (espec-pr3j 0.5.0).
AFTER_MONITOR_S = 0.2
AFTER_SETTING_S = 0.5
AIR_NOISE_K = 0.03

CMD_ERR = "CMD ERR"
PARA_ERR = "PARA ERR"
OUT_OF_RANGE = "DATA OUT OF RANGE"
DATA_NOT_READY = "DATA NOT READY"
INVALID_REQ = "INVALID REQ"
PROTECT_ON = "PROTECT ON"
NOT_READY = "CONT NOT READY-1"


class RefusedError(Exception):
    """The controller answers ``NA:`` and this text."""


def _degrees(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise RefusedError(PARA_ERR) from None
    if not -999.9 <= value <= 999.9:
        raise RefusedError(OUT_OF_RANGE)
    return round(value, 1) + 0.0


class EspecP300:
    """One chamber of the plant. ``raise_alarm`` and ``clear_alarms`` are the panel's and the machine's doing;
    ``stuck`` freezes what it says of its air."""

    def __init__(self, spec: DeviceSpec, plant: Plant, seed: int, timers: Timers) -> None:
        self.faults = Faults()
        self.stuck = False
        self.panel_locked = False
        self._plant = plant
        self._timers = timers
        self._chamber = plant.chamber(spec.place) if spec.place is not None else None
        self._low_c = spec.rating.get("low_c", -40.0)
        self._high_c = spec.rating.get("high_c", 150.0)
        self._low_limit_c, self._high_limit_c = self._low_c, self._high_c
        self._setpoint_c = 23.0 if self._chamber is None else round(self._chamber.setpoint_c, 1)
        self._mode = "STANDBY"
        self._key_protect = False
        self._alarms: list[int] = []
        self._noise = noise(seed, spec.name, "air", AIR_NOISE_K)
        self._air_c = 23.0
        self._ready_s = float("-inf")
        self._monitors: dict[str, Callable[[], str]] = {
            "TEMP?": self._temp,
            "MON?": self._mon,
            "MON?,DETAIL": self._mon,
            "MODE?": lambda: self._mode,
            "MODE?,DETAIL": lambda: self._mode,
            "ALARM?": lambda: ",".join(str(code) for code in (len(self._alarms), *self._alarms)),
            "ROM?": lambda: "P300 SIMULATED 1.00",
            "TYPE?": lambda: f"T,T,P300,{self._high_c:.1f}",
            "CONSTANT SET?,TEMP": lambda: f"{self._setpoint_c:.1f},ON",
            "KEYPROTECT?": lambda: "ON" if self._key_protect else "OFF",
            "PRGM MON?": _not_ready,
        }
        self._settings: dict[str, Callable[[list[str]], None]] = {
            "TEMP": self._set_temp,
            "MODE": self._set_mode,
            "POWER": self._set_power,
            "KEYPROTECT": self._set_key_protect,
        }

    @property
    def mode(self) -> str:
        """OFF, STANDBY or CONSTANT."""
        return self._mode

    def close(self) -> None:
        return

    def raise_alarm(self, code: int) -> None:
        """Something in the machine tripped: it stops."""
        self._plant.advance(self._timers.time())
        self._alarms.append(code)
        self._run("STANDBY")

    def clear_alarms(self) -> None:
        """Someone pressed the key at the panel."""
        self._alarms.clear()

    def answer(self, request: bytes, now_s: float) -> Reply:
        """One command; lost if it comes too early after the last one."""
        if now_s < self._ready_s - 1e-6:
            return None
        self._plant.advance(now_s)
        line = request.decode("ascii", "replace").strip()
        monitor = "?" in line
        try:
            if monitor:
                text = self._monitor(line)
            else:
                self._apply(line)
                text = f"OK:{line}"
        except RefusedError as refused:
            text = f"NA:{refused}"
        self._ready_s = now_s + LATENCY_S + (AFTER_MONITOR_S if monitor else AFTER_SETTING_S)
        return ((LATENCY_S, text.encode("ascii", "replace") + b"\r\n"),)

    # Monitor commands

    def _monitor(self, line: str) -> str:
        say = self._monitors.get(line) or self._monitors.get(line.upper().replace(", ", ","))
        if say is None:
            raise RefusedError(CMD_ERR)
        return say()

    def _measure(self) -> float:
        if not self.stuck and self._chamber is not None:
            self._air_c = round(self._noise(self._chamber.air_c), 1) + 0.0
        return self._air_c

    def _temp(self) -> str:
        return f"{self._measure():.1f},{self._setpoint_c:.1f},{self._high_limit_c:.1f},{self._low_limit_c:.1f}"

    def _mon(self) -> str:
        return f"{self._measure():.1f},,{self._mode},{len(self._alarms)}"

    # Settings

    def _apply(self, line: str) -> None:
        word, *parameters = (part.strip().upper() for part in line.split(","))
        setting = self._settings.get(word)
        if setting is None:
            raise RefusedError(CMD_ERR)
        if self.panel_locked:
            raise RefusedError(PROTECT_ON)
        if not parameters:
            raise RefusedError(PARA_ERR)
        setting(parameters)

    def _set_temp(self, parameters: list[str]) -> None:
        """``TEMP, S25.0 H155.0 L-45.0``: set value and limits, any of them; all or none are taken."""
        new = {"S": self._setpoint_c, "H": self._high_limit_c, "L": self._low_limit_c}
        for word in " ".join(parameters).split():
            if word[0] not in new:
                raise RefusedError(PARA_ERR)
            new[word[0]] = _degrees(word[1:])
        if not (self._low_c <= new["L"] <= new["S"] <= new["H"] <= self._high_c):
            raise RefusedError(OUT_OF_RANGE)
        self._setpoint_c, self._high_limit_c, self._low_limit_c = new["S"], new["H"], new["L"]
        if self._chamber is not None:
            self._chamber.setpoint_c = self._setpoint_c

    def _set_mode(self, parameters: list[str]) -> None:
        mode = parameters[0]
        if mode.startswith("RUN"):
            raise RefusedError(INVALID_REQ)  # as the GL does over its line
        if mode not in ("OFF", "STANDBY", "CONSTANT"):
            raise RefusedError(PARA_ERR)
        if mode == "CONSTANT" and self._alarms:
            raise RefusedError(NOT_READY)
        self._run(mode)

    def _set_power(self, parameters: list[str]) -> None:
        if parameters[0] not in ("ON", "OFF"):
            raise RefusedError(PARA_ERR)
        self._run("STANDBY" if parameters[0] == "ON" else "OFF")

    def _set_key_protect(self, parameters: list[str]) -> None:
        if parameters[0] not in ("ON", "OFF"):
            raise RefusedError(PARA_ERR)
        self._key_protect = parameters[0] == "ON"

    def _run(self, mode: str) -> None:
        self._mode = mode
        if self._chamber is not None:
            self._chamber.running = mode == "CONSTANT"


def _not_ready() -> str:
    raise RefusedError(DATA_NOT_READY)


SIMULATOR = SimulatorModel(name="espec-p300", schemes=("serial", "tcp"), create=EspecP300)
