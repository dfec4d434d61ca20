"""Devices to driver models, roles to points: each exists, is of the right kind, and is nobody else's."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bench.binding.faults import Findings
from bench.binding.shapes import DETECTORS, BoundChannel, Point
from bench.config import BenchFile, Channel, Place, Reach
from bench.config.profiles import configured
from drivers import ConfigError
from drivers.capabilities import DriverModel, PointKind, Span
from drivers.wires.url import parse_url

#: Gives a model by name from the distributions that may be used; raises KeyError for one that is not there.
Models = Callable[[str, frozenset[str]], DriverModel]

_WHAT = {
    PointKind.TERMINAL: "a DC terminal",
    PointKind.AIR: "a chamber's air",
    PointKind.TEMPERATURE: "a temperature input",
    PointKind.VOLTAGE: "a voltage input",
    PointKind.INPUT: "a two-state input",
    PointKind.OUTPUT: "a two-state output",
    PointKind.ACTUATOR: "a nail or a platen",
    PointKind.PRESSURE: "a pressure input",
    PointKind.MASS: "a balance",
    PointKind.LEVEL: "a number of another kind",
}
_READS = {
    PointKind.AIR: "temperature_c",
    PointKind.TEMPERATURE: "temperature_c",
    PointKind.VOLTAGE: "voltage_v",
    PointKind.INPUT: "on",
    PointKind.OUTPUT: "on",
    PointKind.PRESSURE: "pressure_kpa",
}
#: Line settings that all devices on one wire share.
_LINE = ("scheme", "baud", "parity", "data_bits", "stop_bits")


@dataclass(frozen=True)
class Equipment:
    """The models behind the bench's devices, and what each can do with its rating."""

    bench: BenchFile
    models: Mapping[str, DriverModel] = field(default_factory=dict)
    spans: Mapping[str, Mapping[str, Span]] = field(default_factory=dict)

    def span(self, device: str, quantity: str) -> Span | None:
        """What a device can do in ``voltage_v``, ``current_a``, ``temperature_c``, ..., if it says so."""
        return self.spans.get(device, {}).get(quantity)

    def rating(self, device: str) -> Mapping[str, float]:
        """What a device's plate says; empty for a device that is not there."""
        return self.bench.devices[device].rating if device in self.bench.devices else {}


def equip(bench: BenchFile, models: Models, findings: Findings) -> Equipment:
    """Load the model of every device of the bench and check url, rating and wire against it."""
    found: dict[str, DriverModel] = {}
    spans: dict[str, Mapping[str, Span]] = {}
    for name, entry in bench.devices.items():
        try:
            model = models(entry.model, frozenset(bench.distributions))
        except KeyError:
            where = bench.where("devices", name, "model")
            fix = "`cellbench devices` lists the models; a third-party one needs its distribution in `distributions`"
            findings.fault(f"no driver for model {entry.model!r} of device {name}", where, fix)
            continue
        try:
            model = configured(model, bench, name)
        except ConfigError as error:
            findings.faults += error.faults
            continue
        found[name] = model
        scheme = parse_url(entry.url).scheme
        findings.need(
            scheme in model.schemes,
            f"{name}: {model.name} does not speak on {scheme}",
            bench.where("devices", name, "url"),
            f"use {' or '.join(model.schemes)}",
        )
        if _rated(bench, name, model, findings):
            spans[name] = model.spans(entry.rating)
    _wires(bench, findings)
    return Equipment(bench, found, spans)


def _rated(bench: BenchFile, name: str, model: DriverModel, findings: Findings) -> bool:
    written, wanted = bench.devices[name].rating, model.rating_keys
    missing = [key for key in wanted if key not in written]
    unknown = [key for key in written if key not in wanted]
    for key in missing:
        fix = f"add {_plain(key)} to its rating as on its plate; it is compared with the device when it answers"
        findings.fault(f"{name}: the rating has no {_plain(key)}", bench.where("devices", name), fix)
    for key in unknown:
        close = difflib.get_close_matches(key, wanted, n=1)
        hint = f"did you mean {_plain(close[0])}? " if close else ""
        known = ", ".join(_plain(each) for each in wanted) or "nothing"
        where = bench.where("devices", name, "rating", _plain(key))
        fix = f"{hint}{model.name} is rated by {known}; check the unit as well"
        findings.fault(f"{name}: {_plain(key)} with this unit is no rating of it", where, fix)
    return not missing and not unknown


def _plain(rating_key: str) -> str:
    """``voltage_v`` as the file writes it: ``voltage``."""
    return rating_key.rpartition("_")[0]


def _wires(bench: BenchFile, findings: Findings) -> None:
    """Two devices may share one RS-485 line, with different units and the same settings; nothing else is shared."""
    first: dict[str, str] = {}
    for name, entry in bench.devices.items():
        url, where = parse_url(entry.url), bench.where("devices", name, "url")
        other = first.setdefault(url.key, name)
        if other == name:
            continue
        its = parse_url(bench.devices[other].url)
        if not url.scheme.startswith("modbus"):
            findings.fault(f"{name} and {other} are on one wire, {url.key}", where, "give each its own url")
        elif any(getattr(url, setting) != getattr(its, setting) for setting in _LINE):
            fix = "one line has one speed and one framing: write both urls alike"
            findings.fault(f"{name} and {other} share the wire {url.key} with different settings", where, fix)
    units: dict[tuple[str, int], str] = {}
    for name, entry in bench.devices.items():
        key = parse_url(entry.url).key
        other = units.setdefault((key, entry.unit), name)
        if other != name and parse_url(entry.url).scheme.startswith("modbus"):
            fix = "give each its own unit number, on the device and here"
            where = bench.where("devices", name)
            findings.fault(f"{name} and {other} are both unit {entry.unit} on {key}", where, fix)


@dataclass
class _Roles:
    """Binds one reference after another and remembers who has what."""

    equipment: Equipment
    findings: Findings
    exclusive: dict[str, str] = field(default_factory=dict)

    def bind(self, reference: str, kind: PointKind, role: str, where: str, *, alone: bool = False) -> None:
        bench, point = self.equipment.bench, Point.of(reference)
        if point.device not in bench.devices:
            close = difflib.get_close_matches(point.device, bench.devices, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            fix = f"{hint}devices of this bench: {', '.join(bench.devices)}"
            self.findings.fault(f"{role}: no device {point.device!r}", where, fix)
            return
        model = self.equipment.models.get(point.device)
        if model is None:
            return
        known = [name for name, its in model.points.items() if its is kind]
        if point.point not in model.points:
            fix = f"points of {model.name} that fit: {', '.join(known) or 'none'}"
            self.findings.fault(f"{role}: {point.device} has no point {point.point!r}", where, fix)
            return
        if model.points[point.point] is not kind:
            what = _WHAT[model.points[point.point]]
            fix = f"bind it to {_WHAT[kind]}; points of {point.device} that fit: {', '.join(known) or 'none'}"
            self.findings.fault(f"{role}: {reference} is {what}, wanted {_WHAT[kind]}", where, fix)
            return
        if alone:
            owner = self.exclusive.setdefault(reference, role)
            fix = "give each its own point"
            self.findings.need(owner == role, f"{reference} is bound twice: {owner} and {role}", where, fix)


def bind_roles(equipment: Equipment, findings: Findings) -> None:
    """Check every role of every place and channel of the bench."""
    bench = equipment.bench
    roles = _Roles(equipment, findings)
    for name, place in bench.places.items():
        _place(roles, name, place)
    for name, channel in bench.channels.items():
        _channel(roles, name, channel)


def _place(roles: _Roles, name: str, place: Place) -> None:
    where = roles.equipment.bench.where
    if place.chamber is not None:
        at = where("places", name, "chamber")
        # The shelves of one chamber share its air: one setpoint, many samples.
        roles.bind(place.chamber, PointKind.AIR, "chamber of a place", at, alone=True)
        first = next(its for its in roles.equipment.bench.places.values() if its.chamber == place.chamber)
        error = f"{name} is a shelf of {place.chamber} in another zone than the first one there"
        roles.findings.need(first.zone == place.zone, error, at, "the places in one chamber are one zone: write it so")
    if place.kind == "chamber" and place.chamber is None:
        fix = 'add chamber = "ch1.air", or call the place kind = "position"'
        roles.findings.fault(f"place {name} is a chamber without a chamber", where("places", name), fix)
    if place.kind == "rig" and place.rig is None:
        fix = 'add rig = "rig.nail", or call the place kind = "position"'
        roles.findings.fault(f"place {name} is a rig without a rig", where("places", name), fix)
    for role, reference, kind in (
        ("rig", place.rig, PointKind.ACTUATOR),
        ("exhaust", place.exhaust, PointKind.OUTPUT),
        ("heater", place.heater, PointKind.OUTPUT),
        ("pressure", place.pressure, PointKind.PRESSURE),
    ):
        if reference is not None:
            roles.bind(reference, kind, f"{role} of {name}", where("places", name, role), alone=True)
    if place.ambient is not None:
        at = where("places", name, "ambient")
        # Positions in one room may share its thermocouple, so the role is one for all places.
        roles.bind(place.ambient, PointKind.TEMPERATURE, "ambient of a place", at, alone=True)
    for position, reference in enumerate(place.surface):
        at = where("places", name, "surface", position)
        roles.bind(reference, PointKind.TEMPERATURE, f"surface point {position + 1} of {name}", at, alone=True)
    taken: dict[str, str] = {}
    for interlock, reference in place.interlocks.items():
        at = where("places", name, "interlocks", interlock)
        roles.bind(reference, PointKind.INPUT, f"interlock {interlock} of {name}", at)
        other = taken.setdefault(reference, interlock)
        error = f"{reference} is both {other} and {interlock} of {name}"
        roles.findings.need(other == interlock, error, at, "each interlock has an input of its own")


def _channel(roles: _Roles, name: str, channel: Channel) -> None:
    bench, findings = roles.equipment.bench, roles.findings
    at = bench.where("channels", name, "cycler")
    roles.bind(channel.cycler, PointKind.TERMINAL, f"cycler of channel {name}", at, alone=True)
    known = ", ".join(bench.places)
    at = bench.where("channels", name, "place")
    findings.need(channel.place in bench.places, f"channel {name}: no place {channel.place!r}", at, f"places: {known}")
    _leads(roles, channel, f"channel {name}", channel.place, ("channels", name))
    for place, reach in channel.reaches.items():
        path = ("channels", name, "reaches", place)
        findings.need(
            place in bench.places, f"channel {name} reaches no place {place!r}", bench.where(*path), f"places: {known}"
        )
        findings.need(
            place != channel.place,
            f"channel {name} reaches {place}, which is its own place",
            bench.where(*path),
            "a reach is to another place; the channel's own contactor stands in its own table",
        )
        _leads(roles, reach, f"channel {name} at {place}", place, path)
        _short(roles, reach, f"channel {name} at {place}", path)


def _leads(roles: _Roles, its: Channel | Reach, whose: str, place: str, path: tuple[str, ...]) -> None:
    """Contactor, feedback and cell voltage of a channel at one place."""
    bench, findings = roles.equipment.bench, roles.findings
    roles.bind(its.contactor, PointKind.OUTPUT, f"contactor of {whose}", bench.where(*path, "contactor"), alone=True)
    at = bench.where(*path, "contactor_feedback")
    roles.bind(its.contactor_feedback, PointKind.INPUT, f"feedback of {whose}", at, alone=True)
    at_voltage = bench.where(*path, "cell_voltage")
    roles.bind(its.cell_voltage, PointKind.VOLTAGE, f"cell voltage of {whose}", at_voltage, alone=True)
    if place in bench.places:
        for interlock, reference in bench.places[place].interlocks.items():
            error = f"{reference} is both the contactor's feedback and {interlock}"
            fix = "the feedback has an input of its own"
            findings.need(reference != its.contactor_feedback, error, at, fix)


def _short(roles: _Roles, reach: Reach, whose: str, path: tuple[str, ...]) -> None:
    where = roles.equipment.bench.where
    roles.findings.need(
        (reach.short_contactor is None) == (reach.short_contactor_feedback is None),
        f"{whose}: a short contactor and its feedback come together",
        where(*path),
        "add the one that is missing: what shorts a cell must be known to have opened",
    )
    if reach.short_contactor is not None:
        at = where(*path, "short_contactor")
        roles.bind(reach.short_contactor, PointKind.OUTPUT, f"short contactor of {whose}", at, alone=True)
    if reach.short_contactor_feedback is not None:
        at = where(*path, "short_contactor_feedback")
        role = f"short contactor's feedback of {whose}"
        roles.bind(reach.short_contactor_feedback, PointKind.INPUT, role, at, alone=True)


def bound_channel(bench: BenchFile, name: str, place_name: str) -> BoundChannel:
    """The channel at one of its places with every role as reading channels. Only for a bench in which the roles were
    found fine."""
    channel = bench.channels[name]
    place = bench.places[place_name]
    reach = channel.reaches.get(place_name) if place_name != channel.place else None
    its = reach or channel
    return BoundChannel(
        name=name,
        place=place_name,
        zone=place.zone,
        abuse=channel.abuse,
        cycler=Point.of(channel.cycler),
        voltage=f"{channel.cycler}.voltage_v",
        current=f"{channel.cycler}.current_a",
        cell_voltage_point=Point.of(its.cell_voltage),
        cell_voltage=_reads(its.cell_voltage, PointKind.VOLTAGE),
        contactor=Point.of(its.contactor),
        contactor_feedback=_reads(its.contactor_feedback, PointKind.INPUT),
        surface=tuple(_reads(reference, PointKind.TEMPERATURE) for reference in place.surface),
        ambient=_reads(place.ambient, PointKind.TEMPERATURE) if place.ambient is not None else None,
        chamber=_point(place.chamber),
        chamber_air=_reads(place.chamber, PointKind.AIR) if place.chamber is not None else None,
        interlocks={name: _reads(reference, PointKind.INPUT) for name, reference in place.interlocks.items()},
        kind=place.kind,
        rig=_point(place.rig),
        exhaust=_point(place.exhaust),
        heater=_point(place.heater),
        pressure=_reads(place.pressure, PointKind.PRESSURE) if place.pressure is not None else None,
        short=_point(reach.short_contactor) if reach is not None else None,
        short_feedback=_reads(reach.short_contactor_feedback, PointKind.INPUT)
        if reach is not None and reach.short_contactor_feedback is not None
        else None,
    )


@dataclass(frozen=True, slots=True)
class PlaceSeen:
    """What shows a fire at a place: its detectors by kind and its surface points, as reading channels."""

    name: str
    zone: str
    detectors: Mapping[str, str]
    surface: tuple[str, ...]


def bound_places(bench: BenchFile) -> tuple[PlaceSeen, ...]:
    """Every place of the bench. Only for a bench in which the roles were found fine."""
    return tuple(
        PlaceSeen(
            name,
            place.zone,
            {
                kind: _reads(reference, PointKind.INPUT)
                for interlock, reference in place.interlocks.items()
                if (kind := interlock.removesuffix("_clear")) in DETECTORS
            },
            tuple(_reads(reference, PointKind.TEMPERATURE) for reference in place.surface),
        )
        for name, place in bench.places.items()
    )


def _point(reference: str | None) -> Point | None:
    return None if reference is None else Point.of(reference)


def _reads(reference: str, kind: PointKind) -> str:
    return f"{reference}.{_READS[kind]}"


def used_points(bench: BenchFile, channels: Iterable[BoundChannel]) -> dict[str, tuple[str, ...]]:
    """The points that a run uses on a channel at these places, by device, in the bench file's order of devices. What
    shows a fire elsewhere in their zones is used as far as it is on a device that is used anyway."""
    known = tuple(channels)
    points = {point for channel in known for point in _points(bench, channel)}
    devices = {point.device for point in points}
    zones = {channel.zone for channel in known}
    for place in bound_places(bench):
        if place.zone in zones:
            readings = (*place.detectors.values(), *place.surface)
            seen = (Point.of(reading.rpartition(".")[0]) for reading in readings)
            points |= {point for point in seen if point.device in devices}
    return {
        device: tuple(sorted(point.point for point in points if point.device == device))
        for device in bench.devices
        if any(point.device == device for point in points)
    }


def _points(bench: BenchFile, channel: BoundChannel) -> Iterator[Point]:
    place, entry = bench.places[channel.place], bench.channels[channel.name]
    its = entry.reaches[channel.place] if channel.place != entry.place else entry
    yield channel.cycler
    yield channel.contactor
    yield channel.cell_voltage_point
    yield from (point for point in (channel.chamber, channel.rig, channel.exhaust, channel.heater) if point is not None)
    yield from (point for point in (channel.short, _point(place.ambient), _point(place.pressure)) if point is not None)
    if isinstance(its, Reach) and its.short_contactor_feedback is not None:
        yield Point.of(its.short_contactor_feedback)
    yield from map(Point.of, (its.contactor_feedback, *place.surface, *place.interlocks.values()))
