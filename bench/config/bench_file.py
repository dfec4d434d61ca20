"""The bench file: devices on wires, places, channels, hard limits, calibration. docs/bench-file.md tells it whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from bench.config.guard_table import GuardTable
from bench.config.loading import Document, Strict, read_document
from bench.config.outbox_table import OutboxTable
from bench.config.quantities import (
    AsTuple,
    Current,
    Pressure,
    Rating,
    Temperature,
    Time,
    Voltage,
    matching,
    quantity,
    refuse,
)
from drivers import ConfigError, Dimension, Fault
from drivers.toml_text import read_text
from drivers.wires.url import UrlError, parse_url, wire_key

KIND, VERSION = "bench", 1

BenchName = Annotated[str, matching(r"[a-z][a-z0-9_-]*", "a bench's name", '"bench-2"')]
DeviceName = Annotated[str, matching(r"[a-z][a-z0-9_]*", "a device's name (small letters, digits, _)", '"psb"')]
PlaceName = Annotated[str, matching(r"[a-z][a-z0-9_-]*", "a place's name", '"chamber1"')]
ChannelName = Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9_-]*", "a channel's name", '"1"')]
ZoneName = Annotated[str, matching(r"[a-z0-9][a-z0-9_-]*", "a zone's name", '"cell-a"')]
PointRef = Annotated[str, matching(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*", "a point, device.point", '"th1.ai0"')]

#: The inputs that the guard knows how to read. ON means that all is well; OFF or silence trips.
InterlockName = Literal[
    "door_closed",
    "door_locked",
    "estop_released",
    "light_curtain_clear",
    "exhaust_flow",
    "smoke_clear",
    "flame_clear",
    "gas_clear",
]

#: Longest host watchdog of a device that can deliver energy (safety rule: gone 5 s after the host).
LONGEST_WATCHDOG_S = 5.0


def _url(value: object) -> object:
    if not isinstance(value, str):
        raise refuse(f"{value!r} is not a url", 'write for example "tcp://192.168.10.20:5025"')
    try:
        parse_url(value)
    except UrlError as error:
        raise refuse(str(error), "correct the url; docs/bench-file.md lists the kinds") from None
    return value


def _mains(value: object) -> int:
    known = {"50 Hz": 50, "60 Hz": 60}
    if not isinstance(value, str) or value not in known:
        raise refuse(f"{value!r} is no mains frequency known here", 'write "50 Hz" or "60 Hz"')
    return known[value]


class Polling(Strict):
    """How often a device is read: while something is energised, and at rest."""

    energised_s: Time = Field(default=0.2, alias="energised", examples=['"1 s"'])
    rest_s: Time = Field(default=2.0, alias="rest", examples=['"2 s"'])


class DevicePolling(Strict):
    """A device's own periods; what is left out is as in ``[polling]``."""

    energised_s: Time | None = Field(default=None, alias="energised", examples=['"1 s"'])
    rest_s: Time | None = Field(default=None, alias="rest", examples=['"2 s"'])
    stimulus_s: Time | None = Field(default=None, alias="stimulus", examples=['"1 s"'])


class DeviceEntry(Strict):
    """One device: which model, on which wire, what its plate says."""

    model: str = Field(description="a name from `cellbench devices`", examples=['"ea-psb10000"'])
    url: Annotated[str, BeforeValidator(_url)] = Field(examples=['"tcp://192.168.10.20:5025"'])
    unit: int = Field(default=1, ge=0, le=247, description="its number on a Modbus line")
    serial: str | None = Field(default=None, min_length=1, max_length=64, description="checked when it answers")
    rating: Rating = Field(default_factory=dict, examples=['{ voltage = "60 V", current = "170 A" }'])
    watchdog_s: Time | None = Field(default=None, alias="watchdog", examples=['"4 s"'])
    profile: str | None = Field(
        default=None,
        min_length=1,
        max_length=400,
        description="its registers: a name that comes with Cellbench, or a .toml file beside this one",
        examples=['"reference"'],
    )
    poll: DevicePolling = Field(default_factory=DevicePolling)


class TemperatureLimits(Strict):
    low_c: Temperature | None = Field(default=None, alias="low", examples=['"-45 degC"'])
    high_c: Temperature = Field(alias="high", examples=['"120 degC"'])


class PressureLimits(Strict):
    high_kpa: Pressure = Field(alias="high", examples=['"130 kPa"'])


class PlaceLimits(Strict):
    """What this place is built for, where it differs from ``[limits]``: a blast enclosure stands more than a chamber.

    Its temperatures count from the stimulus of an abuse test on; before it, ``[limits]`` binds here too.
    """

    place_temperature: TemperatureLimits | None = Field(default=None, examples=['{ high = "250 degC" }'])
    surface_temperature: TemperatureLimits | None = Field(default=None, examples=['{ high = "1200 degC" }'])
    pressure: PressureLimits | None = Field(default=None, examples=['{ high = "130 kPa" }'])


class Place(Strict):
    """Where a sample can be, with the air, the sensors, the tool and the interlocks of that place."""

    kind: Literal["chamber", "rig", "position"] = Field(examples=['"chamber"'])
    zone: ZoneName = Field(description="gas, fire and runaway trips act on the whole zone", examples=['"cell-a"'])
    chamber: PointRef | None = Field(default=None, examples=['"ch1.air"'])
    ambient: PointRef | None = Field(default=None, examples=['"th1.ai3"'])
    surface: Annotated[tuple[PointRef, ...], AsTuple] = Field(default=(), examples=['["th1.ai0", "th1.ai1"]'])
    rig: PointRef | None = Field(default=None, description="the nail or platen", examples=['"rig.nail"'])
    exhaust: PointRef | None = Field(default=None, description="stays on after a trip", examples=['"io2.exhaust"'])
    heater: PointRef | None = Field(default=None, examples=['"io2.heater"'])
    pressure: PointRef | None = Field(default=None, examples=['"io2.pressure"'])
    limits: PlaceLimits = Field(default_factory=PlaceLimits)
    interlocks: dict[InterlockName, PointRef] = Field(default_factory=dict)


class Reach(Strict):
    """Another place that a channel's leads go to, with a contactor of its own there."""

    cell_voltage: PointRef = Field(examples=['"v1.ai1"'])
    contactor: PointRef = Field(examples=['"io2.sample"'])
    contactor_feedback: PointRef = Field(examples=['"io2.sample_closed"'])
    short_contactor: PointRef | None = Field(
        default=None, description="shorts the sample's terminals", examples=['"io2.short"']
    )
    short_contactor_feedback: PointRef | None = Field(default=None, examples=['"io2.short_closed"'])


class Channel(Strict):
    """A cycler terminal that feeds a place through the sample's contactor."""

    place: PlaceName = Field(examples=['"chamber1"'])
    cycler: PointRef = Field(examples=['"psb.out"'])
    cell_voltage: PointRef = Field(
        description="on the sample's side of the contactor: preflight reads polarity and OCV before it closes",
        examples=['"v1.ai0"'],
    )
    contactor: PointRef = Field(description="output off is not isolation", examples=['"io1.do0"'])
    contactor_feedback: PointRef = Field(description="proves that it opened", examples=['"io1.di0"'])
    abuse: bool = Field(default=False, description="true only where an abuse test may be run")
    wiring_proof: Literal["pulse", "by hand"] = Field(
        default="pulse",
        description="on a bench with several channels: a pulse shows that the current reaches this sample; "
        '"by hand" says that a person proved it',
    )
    reaches: dict[PlaceName, Reach] = Field(default_factory=dict, description="one [channels.NAME.reaches.PLACE] each")


class VoltageLimits(Strict):
    low_v: Voltage = Field(alias="low", examples=['"-0.5 V"'])
    high_v: Voltage = Field(alias="high", examples=['"5 V"'])


class Limits(Strict):
    """Bench limits bind always; no cell file and no sequence raises them."""

    cell_voltage: VoltageLimits = Field(examples=['{ low = "-0.5 V", high = "5 V" }'])
    current_a: Current = Field(alias="current", description="both directions", examples=['"170 A"'])
    place_temperature: TemperatureLimits = Field(examples=['{ low = "-45 degC", high = "120 degC" }'])
    surface_temperature: TemperatureLimits = Field(examples=['{ high = "130 degC" }'])


class Accuracy(Strict):
    """The half-width that the certificate states, for what the point measures."""

    voltage_v: Annotated[float, Field(gt=0), quantity(Dimension.VOLTAGE)] | None = Field(
        default=None, alias="voltage", examples=['"30 mV"']
    )
    current_a: Current | None = Field(default=None, alias="current", examples=['"170 mA"'])
    temperature_k: Annotated[float, Field(gt=0), quantity(Dimension.TEMPERATURE_CHANGE)] | None = Field(
        default=None, alias="temperature", examples=['"0.5 K"']
    )


class Calibration(Strict):
    """The certificate of one measuring point."""

    certificate: str = Field(min_length=1, max_length=100, examples=['"EA-2026-0417"'])
    made: date = Field(alias="date", description="a date without quotes", examples=["2026-04-17"])
    due: date = Field(description="in date until the end of this day, UTC", examples=["2027-04-17"])
    accuracy: Accuracy = Field(default_factory=Accuracy)


class Resuming(Strict):
    """What becomes of a run whose program died. docs/operator.md tells the whole of it."""

    longest_gap_s: Annotated[float, Field(gt=0), quantity(Dimension.TIME)] = Field(
        default=86400.0,
        alias="longest_gap",
        description="a run that was dead for longer is not resumed",
        examples=['"24 h"'],
    )
    auto: bool = Field(
        default=False,
        description="one of the three words of leave for resuming without a person; the others are the step's and a "
        "permit in the data folder",
    )
    at_most: int = Field(default=3, ge=1, le=24, description="so many resumptions without a person in 24 hours")


class Simulation(Strict):
    """Only a simulated run reads this."""

    operator: dict[str, str] = Field(default_factory=dict, examples=['{ humidity = "45 %" }'])
    hands: str | None = Field(default=None, description="written by a standing bench: where a sample is carried by")


class BenchFile(Document):
    """A bench. ``far_end`` says whether the urls lead to hardware or to a standing simulated bench."""

    name: BenchName = Field(examples=['"bench-2"'])
    title: str = Field(min_length=1, max_length=200, examples=['"Cell tester 2, room 114"'])
    mains_hz: Annotated[int, BeforeValidator(_mains)] = Field(alias="mains", examples=['"50 Hz"'])
    far_end: Literal["hardware", "simulated"] = "hardware"
    maintenance: str | None = Field(
        default=None, min_length=1, max_length=200, description="why nothing may be run now; take the line out again"
    )
    distributions: Annotated[tuple[str, ...], AsTuple] = Field(
        default=(), description="third-party packages whose drivers this bench may use"
    )
    polling: Polling = Field(default_factory=Polling)
    devices: dict[DeviceName, DeviceEntry] = Field(min_length=1, description="one [devices.NAME] for each")
    places: dict[PlaceName, Place] = Field(min_length=1, description="one [places.NAME] for each")
    channels: dict[ChannelName, Channel] = Field(min_length=1, description="one [channels.NAME] for each")
    limits: Limits = Field(description="a table [limits]")
    guard: GuardTable = Field(default_factory=GuardTable, description="a table [guard]")
    calibration: dict[PointRef, Calibration] = Field(default_factory=dict)
    simulation: Simulation = Field(default_factory=Simulation)
    resume: Resuming = Field(default_factory=Resuming)
    outbox: OutboxTable = Field(default_factory=OutboxTable, description="a table [outbox]")

    def chosen_channel(self, wanted: str | None) -> str:
        """The channel of that name; without one, the only channel of the bench. Raises ConfigError."""
        if wanted is None and len(self.channels) == 1:
            return next(iter(self.channels))
        if wanted is not None and wanted in self.channels:
            return wanted
        error = "the bench has several channels and none was chosen"
        if wanted is not None:
            error = f"the bench has no channel {wanted!r}"
        raise ConfigError([Fault(error, "--channel", f"choose one of {', '.join(self.channels)}")])


def load_bench(path: str | Path) -> BenchFile:
    """Read a bench file. Raises ConfigError with every fault; what needs the drivers is checked by ``bench.plan``."""
    return read_bench(read_text(Path(path), f"{KIND} file"), str(path))


@lru_cache(maxsize=8)
def read_bench(text: str, where: str) -> BenchFile:
    """As :func:`load_bench`, from text. The same text is the same bench: a daemon asks for it with every start."""
    return read_document(text, where, BenchFile, KIND, VERSION)


def wire_keys(bench: BenchFile, devices: Iterable[str] | None = None) -> tuple[str, ...]:
    """The wires behind these devices (None: all), each once, as paths and ``host:port``: what a live run locks."""
    names = bench.devices if devices is None else devices
    return tuple(sorted({wire_key(bench.devices[name].url) for name in names}))


def standing_bench(bench: BenchFile, urls: Mapping[str, str], hands: str | None = None) -> str:
    """The text of a bench file that leads to a standing simulated bench: these urls, ``far_end = "simulated"``.

    ``hands`` is where its samples are carried by. Paths of profiles become absolute, so that the text may stand in any
    folder. Everything else, comments included, stays as it stands in the file that ``bench`` was read from.
    """
    lines, at = bench.origin.text.splitlines(), bench.origin.lines
    written = {("devices", device, "url"): url for device, url in urls.items()}
    for device, entry in bench.devices.items():
        if entry.profile is not None and entry.profile.endswith(".toml"):
            path = (Path(bench.origin.path).parent / entry.profile).resolve()
            written["devices", device, "profile"] = str(path)
    for key, value in written.items():
        lines[at[key] - 1] = _with_value(lines[at[key] - 1], key[-1], value)
    if hands is not None and ("simulation", "hands") in at:
        line = at["simulation", "hands"] - 1
        lines[line] = _with_value(lines[line], "hands", hands)
    elif hands is not None:
        table = next((number for number, line in enumerate(lines) if re.match(r"\s*\[\s*simulation\s*\]", line)), None)
        if table is None:
            table = len(lines) + 1
            lines += ["", "[simulation]"]
        lines.insert(table + 1, f"hands = {_quoted(hands)}")
    said = at.get(("far_end",))
    if said is not None:
        lines[said - 1] = 'far_end = "simulated"'
    else:
        lines.insert(at["schema",], 'far_end = "simulated"')
    return "\n".join(lines) + "\n"


def _with_value(line: str, key: str, value: str) -> str:
    """The line of a file with another text behind a key that stands on it."""
    found = re.search(rf"""\b{key}\s*=\s*("[^"]*"|'[^']*')""", line)
    assert found is not None, "the key stands on its line"
    return f"{line[: found.start(1)]}{_quoted(value)}{line[found.end(1) :]}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
