"""EA Elektro-Automatik PSB 10000, bidirectional DC supply, SCPI on TCP 5025 or its USB virtual COM port.

From the EA programming guide (as quoted by public drivers), the PSB 9000 manual p.7, 31, 35, 38, 41, the ELR 10000
manual p.55 and SCPI-99. What no public source says, and what is done here:

- error codes are those of SCPI-99 (UNVERIFIED for this maker); a message that fails answers nothing;
- the configuration of interface monitoring needs no remote lock, set values, limits, mode and output do;
- each direction has an over-current threshold of its own (``SINK:CURR:PROT`` is what two public drivers for such units
  send), both raise the same alarm bit;
- an OVP or OCP alarm is acknowledged by ``*CLS`` or by switching the output on;
- the set value after an OVP trip stays; leaving remote applies the state-after-remote setting, asked or timed out.

Values have steps of 10 mV, 10 mA and 1 W on a 60 V, 170 A, 5 kW unit. Positive current is source, negative is sink.
The unit is unipolar: a reversed cell reads 0 V.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from simulators.faults import Faults
from simulators.models import Reply, SimulatorModel, Timers
from simulators.personalities.noise import noise
from simulators.personalities.scpi import (
    DATA_OUT_OF_RANGE,
    DATA_TYPE_ERROR,
    INVALID_WHILE_IN_LOCAL,
    SETTINGS_CONFLICT,
    Action,
    ErrorQueue,
    HeaderTree,
    ScpiError,
    number,
    switch,
)
from simulators.personalities.watchdog import HostWatchdog
from simulators.spec import DeviceSpec

if TYPE_CHECKING:
    from simulators.plant.plant import Plant

LATENCY_S = 0.004
#: Set values go to 102 % of nominal (EA-PSB-C), protection thresholds to 110 % (ASSUMED).
SET_SPAN = 1.02
PROTECTION_SPAN = 1.10
VOLTAGE_NOISE_V = 0.002
CURRENT_NOISE_A = 0.003
OVER_VOLTAGE, OVER_CURRENT = 1 << 0, 1 << 1  # bits of STAT:QUES:COND?

Quantity = tuple[str, int]
VOLT: Quantity = ("V", 2)
AMP: Quantity = ("A", 2)
WATT: Quantity = ("W", 0)


def _text(value: float, quantity: Quantity) -> str:
    unit, digits = quantity
    return f"{value:.{digits}f}{unit}"


class Psb10000:
    """One instrument on one channel of the plant.

    Faults: ``stuck`` freezes what it measures; ``extra_v`` and ``extra_gain`` are added to and multiplied into what is
    in force against what was set; ``gain`` is what it shows for an ampere and ``sense_gain`` for a volt, and regulates
    by; ``deaf`` acknowledges settings and keeps the old ones; ``welded`` keeps the output on; ``local`` means that a
    person at the panel has it; without ``protected`` OVP and OCP do not act.
    """

    def __init__(self, spec: DeviceSpec, plant: Plant, seed: int, timers: Timers) -> None:
        self.faults = Faults()
        self.stuck = self.deaf = self.welded = self.local = False
        self.protected = True
        self.extra_v, self.extra_gain, self.sense_gain = 0.0, 1.0, 1.0
        self.errors = ErrorQueue()
        self._plant = plant
        self._terminal = plant.terminal(spec.channel) if spec.channel is not None else None
        self._timers = timers
        self._nominal_v = spec.rating.get("voltage_v", 60.0)
        self._nominal_a = spec.rating.get("current_a", 170.0)
        self._nominal_w = spec.rating.get("power_w", 5000.0)
        self.gain = 1.0 + spec.current_gain_error
        model = f"PSB 1{self._nominal_v:04.0f}-{self._nominal_a:.0f}"
        serial = spec.serial if spec.serial is not None else "0000000000"
        self._identity = f"EA Elektro-Automatik,{model},{serial},V2.08 KE V3.10 HMI,SIMULATED"
        self._voltage_noise = noise(seed, spec.name, "voltage", VOLTAGE_NOISE_V)
        self._current_noise = noise(seed, spec.name, "current", CURRENT_NOISE_A)
        self._latency_s = 0.0 if spec.scheme == "visa" else LATENCY_S
        self._watchdog = HostWatchdog(timers, self._host_is_silent)
        self._watchdog.timeout_s = 5.0
        self._monitoring = False
        self._off_after_remote = False
        self.remote = False
        self.alarms = 0
        self._measured = (0.0, 0.0)
        self._restore_defaults()
        self._headers = HeaderTree(self._actions())
        self._known: dict[bytes, tuple[Action, str]] = {}

    @property
    def on(self) -> bool:
        """Whether the DC terminal is on."""
        return self._on

    def close(self) -> None:
        self._watchdog.disarm()

    def answer(self, request: bytes, now_s: float) -> Reply:
        """One line: one message, or several with semicolons between them. Only queries answer."""
        self._watchdog.heard(now_s)
        self._plant.advance(now_s)
        if self._on:
            self._protect()
        found = self._known.get(request)
        if found is not None:
            text = found[0](found[1])
        else:
            answers = [answer for message in request.split(b";") if (answer := self._one(message)) is not None]
            text = ";".join(answers) if answers else None
        return None if text is None else ((self._latency_s, text.encode("ascii") + b"\n"),)

    def _one(self, message: bytes) -> str | None:
        if not message.strip():
            return None
        try:
            action, parameter = self._headers.find(message.decode("ascii", "replace"))
            answer = action(parameter)
        except ScpiError as error:
            self.errors.add(error.error)
            return None
        if b"?" in message and b";" not in message:
            self._known[message] = (action, parameter)  # queries never fail
        return answer

    # What the instrument measures and does

    def measure(self) -> tuple[float, float]:
        """Volts and amperes as displayed."""
        if not self.stuck:
            terminal = self._terminal
            voltage_v, current_a = (0.0, 0.0) if terminal is None else (terminal.voltage_v, terminal.current_a)
            voltage_v = round(self._voltage_noise(voltage_v * self.sense_gain), 2)
            current_a = round(self._current_noise(current_a * self.gain), 2)
            self._measured = (max(voltage_v, 0.0) + 0.0, current_a + 0.0)
        return self._measured

    def _regulate(self) -> None:
        if self._terminal is None:
            return
        if self.welded and not self._on:
            return
        # The instrument regulates what its own current measurement says.
        self._terminal.regulate(
            on=self._on,
            voltage_v=(self._set_v + self.extra_v) / self.sense_gain,
            source_a=self._source_a * self.extra_gain / self.gain,
            sink_a=self._sink_a * self.extra_gain / self.gain,
            source_w=self._source_w / self.gain,
            sink_w=self._sink_w / self.gain,
        )

    def _protect(self) -> None:
        """OVP and OCP: always active, they switch the terminal off."""
        terminal = self._terminal
        if terminal is None or not self.protected:
            return
        if terminal.voltage_v * self.sense_gain > self._ovp_v:
            self.alarms |= OVER_VOLTAGE
        current_a = terminal.current_a * self.gain
        if current_a > self._ocp_a or -current_a > self._sink_ocp_a:
            self.alarms |= OVER_CURRENT
        if self.alarms:
            self._switch(on=False)

    def _switch(self, *, on: bool) -> None:
        self._on = on
        self._regulate()

    def _leave_remote(self) -> None:
        self.remote = False
        self._watchdog.disarm()
        if self._off_after_remote:
            self._switch(on=False)

    def go_wrong(self, **how: Any) -> None:
        """Set any of the faults above; what is in force follows at once."""
        self._plant.advance(self._timers.time())
        for name, value in how.items():
            setattr(self, name, value)
        self._regulate()

    def restart(self) -> None:
        """Power came back: everything is as it was delivered."""
        self._plant.advance(self._timers.time())
        self.remote = self._monitoring = self._off_after_remote = False
        self._watchdog.disarm()
        self._watchdog.timeout_s = 5.0
        self.alarms = 0
        self.errors.clear()
        self._restore_defaults()

    def take_over(self) -> None:
        """A person at the panel: remote control ends and cannot be had until ``local`` is False again."""
        self._plant.advance(self._timers.time())
        self.local = True
        self._leave_remote()

    def trip(self) -> None:
        """The instrument's own protection acts."""
        self._plant.advance(self._timers.time())
        self.alarms |= OVER_CURRENT
        self._switch(on=False)

    def leave_on(self, current_a: float) -> None:
        """As somebody left it: charging with this current."""
        self._plant.advance(self._timers.time())
        self._set_v, self._source_a = self._nominal_v * 0.07, current_a
        self._switch(on=True)

    def rename(self, serial: str) -> None:
        """Another unit answers from now on."""
        maker, model, _, *rest = self._identity.split(",")
        self._identity = ",".join((maker, model, serial, *rest))

    def _host_is_silent(self) -> None:
        self._plant.advance(self._timers.time())
        self._leave_remote()

    def _watch(self) -> None:
        """Interface monitoring works while the host has remote control."""
        if self._monitoring and self.remote:
            self._watchdog.arm(self._timers.time())
        else:
            self._watchdog.disarm()

    def _restore_defaults(self) -> None:
        self._on = False
        self._mode = "UIP"
        self._set_v = 0.0
        self._source_a = self._sink_a = 0.0
        self._source_w = self._sink_w = self._nominal_w
        self._ovp_v = round(self._nominal_v * PROTECTION_SPAN, 2)
        self._ocp_a = self._sink_ocp_a = round(self._nominal_a * PROTECTION_SPAN, 2)
        self._regulate()

    # What it is told

    def _need_remote(self) -> None:
        if not self.remote:
            raise ScpiError(INVALID_WHILE_IN_LOCAL)

    def _set(self, name: str, quantity: Quantity, most: float, text: str) -> None:
        self._need_remote()
        value = number(text, quantity[0])
        if not 0.0 <= value <= most + 1e-9:
            raise ScpiError(DATA_OUT_OF_RANGE)
        if self.deaf:
            return
        setattr(self, name, round(value, quantity[1]) + 0.0)
        self._regulate()
        if self._on:
            self._protect()

    def _get(self, name: str, quantity: Quantity, _: str) -> str:
        return _text(getattr(self, name), quantity)

    def _value(self, header: str, name: str, quantity: Quantity, most: float) -> dict[str, Action]:
        return {header: partial(self._set, name, quantity, most), f"{header}?": partial(self._get, name, quantity)}

    def _lock(self, text: str) -> None:
        if switch(text):
            if self.local:
                raise ScpiError(INVALID_WHILE_IN_LOCAL)
            self.remote = True
        else:
            self._leave_remote()
        self._watch()

    def _output(self, text: str) -> None:
        on = switch(text)
        self._need_remote()
        if self.deaf:
            return
        if on:
            self.alarms = 0
        self._switch(on=on)
        if on:
            self._protect()

    def _choose_mode(self, text: str) -> None:
        self._need_remote()
        mode = text.strip().upper()
        if mode not in ("UIP", "UIR"):
            raise ScpiError(DATA_TYPE_ERROR)
        if self._on:
            raise ScpiError(SETTINGS_CONFLICT)
        self._mode = mode

    def _monitor(self, text: str) -> None:
        self._monitoring = switch(text)
        self._watch()

    def _monitor_time(self, text: str) -> None:
        seconds = number(text, "s")
        if not (1 <= seconds <= 36000 and seconds == int(seconds)):
            raise ScpiError(DATA_OUT_OF_RANGE)
        self._watchdog.timeout_s = seconds
        self._watch()

    def _after_remote(self, text: str) -> None:
        word = text.strip().upper()
        if word not in ("AUTO", "OFF"):
            raise ScpiError(DATA_TYPE_ERROR)
        self._off_after_remote = word == "OFF"

    def _reset(self, _: str) -> None:
        self._need_remote()
        self.alarms = 0
        self._restore_defaults()

    def _clear(self, _: str) -> None:
        self.alarms = 0
        self.errors.clear()

    def _measure_all(self, _: str) -> str:
        voltage_v, current_a = self.measure()
        return f"{voltage_v:.2f}V,{current_a:.2f}A,{round(voltage_v * current_a)}W"

    def _actions(self) -> dict[str, Action]:
        top_v, top_a, top_w = (SET_SPAN * top for top in (self._nominal_v, self._nominal_a, self._nominal_w))
        return {
            "*IDN?": _say(lambda: self._identity),
            "*RST": self._reset,
            "*CLS": self._clear,
            "SYSTem:ERRor[:NEXT]?": _say(self.errors.next),
            "SYSTem:ERRor:ALL?": _say(self.errors.all),
            "SYSTem:LOCK[:STATe]": self._lock,
            "SYSTem:LOCK:OWNer?": _say(lambda: "REMOTE" if self.remote else "NONE"),
            "SYSTem:CONFig:MODE": self._choose_mode,
            "SYSTem:CONFig:MODE?": _say(lambda: self._mode),
            "SYSTem:NOMinal:VOLTage?": _say(lambda: _text(self._nominal_v, VOLT)),
            "SYSTem:NOMinal:CURRent?": _say(lambda: _text(self._nominal_a, AMP)),
            "SYSTem:NOMinal:POWer?": _say(lambda: _text(self._nominal_w, WATT)),
            "SYSTem:COMMunicate:MONitoring:TIMeout": self._monitor_time,
            "SYSTem:COMMunicate:MONitoring:TIMeout?": _say(lambda: f"{self._watchdog.timeout_s:.0f}"),
            "SYSTem:COMMunicate:MONitoring:ACTion": self._monitor,
            "SYSTem:COMMunicate:MONitoring:ACTion?": _say(lambda: "ON" if self._monitoring else "OFF"),
            "POWer:STAGe:AFTer:REMote": self._after_remote,
            "POWer:STAGe:AFTer:REMote?": _say(lambda: "OFF" if self._off_after_remote else "AUTO"),
            "STATus:QUEStionable:CONDition?": _say(lambda: str(self.alarms)),
            **self._value("[SOURce:]VOLTage[:LEVel]", "_set_v", VOLT, top_v),
            **self._value("[SOURce:]CURRent[:LEVel]", "_source_a", AMP, top_a),
            **self._value("[SOURce:]POWer[:LEVel]", "_source_w", WATT, top_w),
            **self._value("SINK:CURRent[:LEVel]", "_sink_a", AMP, top_a),
            **self._value("SINK:POWer[:LEVel]", "_sink_w", WATT, top_w),
            **self._value("[SOURce:]VOLTage:PROTection[:LEVel]", "_ovp_v", VOLT, PROTECTION_SPAN * self._nominal_v),
            **self._value("[SOURce:]CURRent:PROTection[:LEVel]", "_ocp_a", AMP, PROTECTION_SPAN * self._nominal_a),
            **self._value("SINK:CURRent:PROTection[:LEVel]", "_sink_ocp_a", AMP, PROTECTION_SPAN * self._nominal_a),
            "OUTPut[:STATe]": self._output,
            "OUTPut[:STATe]?": _say(lambda: "ON" if self._on else "OFF"),
            "MEASure[:SCALar]:VOLTage[:DC]?": _say(lambda: _text(self.measure()[0], VOLT)),
            "MEASure[:SCALar]:CURRent[:DC]?": _say(lambda: _text(self.measure()[1], AMP)),
            "MEASure[:SCALar]:POWer[:DC]?": lambda _: self._measure_all("").rpartition(",")[2],
            "MEASure[:SCALar]:ARRay?": self._measure_all,
        }


def _say(what: Callable[[], str]) -> Action:
    """The action of a query without arguments."""
    return lambda _: what()


SIMULATOR = SimulatorModel(name="ea-psb10000", schemes=("tcp", "visa", "serial"), create=Psb10000)
