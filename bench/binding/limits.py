"""What the guard holds each channel to, what the instrument is set to hold by itself, and how far apart they stand.

From the sample outwards, with the demonstration bench and a 4.3 V, 60 A / 120 A cell in brackets:

    set value of a step           <= operating limit of the cell                  [4.300 V]
    guard, sample limit            = operating limit + margin                     [4.360 V]
    device limit (OVP, OCP)        = operating limit + 2 margins                  [4.420 V]
    guard, bench limit             = bench file                                   [5.000 V]

**Margins.** The instrument regulates to its own reading and may hold a cell right at the limit for hours, so a limit
without a margin would trip on the last digit. With a the stated accuracy (certificate, else the driver's, else five
resolution steps) and r the resolution, of the source s that regulates and the instrument m that reads:

    voltage      a_s + r_s + a_m + 2 r_m     terminal: 30 + 10 + 0 + 20 mV = 60 mV (its own reading regulates: a_m = 0)
                                             cell voltage (accuracy 10 mV, resolution 0.2 mV): 50.4 mV
    current      1 % of the limit + a_s + 3 r_s          60 A: 0.6 + 0.17 + 0.03 = 0.8 A
    temperature  a_m + 2 r_m, at least 1 K               0.5 + 0.2 K -> 1 K

The 1 % covers what a source overshoots within a poll; 2 r_m is one step of rounding and one of noise. A margin above
a tenth of the operating voltage window would protect nothing: such an instrument is refused for such a cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.binding.faults import Findings
from bench.binding.points import Equipment
from bench.binding.shapes import BoundChannel, GuardLimit, Point, Window
from bench.config import BenchFile, CellFile, TemperatureLimits
from drivers.capabilities import TerminalLimits
from sequences.language import Phase, SequenceClass

CURRENT_OVERSHOOT = 0.01
LEAST_TEMPERATURE_MARGIN_K = 1.0
LARGEST_VOLTAGE_MARGIN = 0.1  # of the operating window
ACCURACY_STEPS = 5  # stands in for an accuracy that nobody states


@dataclass(frozen=True, slots=True)
class Meter:
    """Accuracy and resolution of one quantity of one point."""

    accuracy: float
    resolution: float


@dataclass(frozen=True, slots=True)
class Margins:
    """How far the guard's sample limits stand off from the cell's own limits."""

    terminal_v: float
    cell_v: float
    charge_a: float
    discharge_a: float
    temperature_k: float

    def document(self) -> Mapping[str, float]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def window(cell: CellFile, sequence_class: SequenceClass, phase: Phase, *, abuse_channel: bool) -> Window:
    """What the sample may be taken to: its operating limits, or the abuse ceilings in the stimulus (and what follows
    it) of an abuse sequence on a channel that is marked for it."""
    inner, outer = cell.operating, cell.abuse
    stimulated = sequence_class is SequenceClass.ABUSE and phase is not Phase.CONDITIONING
    if stimulated and abuse_channel and outer is not None:
        return Window(
            outer.voltage.low_v,
            outer.voltage.high_v,
            outer.charge_current_a,
            outer.discharge_current_a,
            None,
            outer.temperature.high_c,
        )
    return Window(
        inner.voltage.low_v,
        inner.voltage.high_v,
        inner.charge_current_a,
        inner.discharge_current_a,
        inner.temperature.low_c,
        inner.temperature.high_c,
    )


def meter(equipment: Equipment, reference: str, quantity: str) -> Meter | None:
    """What is known of one measuring point, from its certificate or its driver; None if the driver has no such span."""
    point = Point.of(reference)
    span = equipment.span(point.device, quantity)
    if span is None:
        return None
    certificate = equipment.bench.calibration.get(reference)
    stated: float | None = None
    if certificate is not None:
        its = certificate.accuracy
        stated = {"voltage_v": its.voltage_v, "current_a": its.current_a, "temperature_c": its.temperature_k}[quantity]
    if stated is None:
        stated = span.accuracy
    return Meter(stated if stated is not None else ACCURACY_STEPS * span.resolution, span.resolution)


def margins(equipment: Equipment, channel: BoundChannel, cell: CellFile, findings: Findings) -> Margins | None:
    """See the module's text. None if the drivers do not say enough, which is a fault."""
    bench = equipment.bench
    entry, place = bench.channels[channel.name], bench.places[channel.place]
    volts = meter(equipment, entry.cycler, "voltage_v")
    amps = meter(equipment, entry.cycler, "current_a")
    sense = meter(equipment, entry.cell_voltage, "voltage_v")
    sensors = [meter(equipment, reference, "temperature_c") for reference in place.surface]
    if volts is None or amps is None or sense is None or None in sensors:
        return None  # an unknown model or a wrong rating: already told
    overhead_a = amps.accuracy + 3 * amps.resolution
    warmth_k = max((known.accuracy + 2 * known.resolution for known in sensors if known is not None), default=0.0)
    found = Margins(
        terminal_v=volts.accuracy + volts.resolution + 2 * volts.resolution,
        cell_v=volts.accuracy + volts.resolution + sense.accuracy + 2 * sense.resolution,
        charge_a=CURRENT_OVERSHOOT * cell.operating.charge_current_a + overhead_a,
        discharge_a=CURRENT_OVERSHOOT * cell.operating.discharge_current_a + overhead_a,
        temperature_k=max(LEAST_TEMPERATURE_MARGIN_K, warmth_k),
    )
    width_v = cell.operating.voltage.high_v - cell.operating.voltage.low_v
    largest_v = max(found.terminal_v, found.cell_v)
    findings.need(
        largest_v <= LARGEST_VOLTAGE_MARGIN * width_v,
        f"{channel.cycler.device} and {channel.cell_voltage_point.device} are too coarse for this cell: without false "
        f"trips its limits would have to stand {largest_v * 1e3:.0f} mV off, of a window of {width_v * 1e3:.0f} mV",
        bench.where("channels", channel.name, "cycler"),
        "use an instrument with a lower voltage range",
    )
    return found


def sample_limits(channel: BoundChannel, inside: Window, stand_off: Margins) -> tuple[GuardLimit, ...]:
    """The sample's limits with their margins, on every channel that shows the quantity."""
    volts = f"limit {inside.low_v:g} to {inside.high_v:g} V, margin {{:.1f}} mV"
    terminal, sense = stand_off.terminal_v, stand_off.cell_v
    charge_a, discharge_a = inside.charge_a + stand_off.charge_a, inside.discharge_a + stand_off.discharge_a
    found = [
        GuardLimit(
            "sample.voltage",
            channel.voltage,
            _plain(inside.low_v - terminal),
            _plain(inside.high_v + terminal),
            "sample",
            hard=True,
            margin=volts.format(terminal * 1e3),
        ),
        GuardLimit(
            "sample.cell_voltage",
            channel.cell_voltage,
            _plain(inside.low_v - sense),
            _plain(inside.high_v + sense),
            "sample",
            hard=False,
            margin=volts.format(sense * 1e3),
        ),
        GuardLimit(
            "sample.current",
            channel.current,
            _plain(-discharge_a),
            _plain(charge_a),
            "sample",
            hard=True,
            margin=f"charge {inside.charge_a:g} A + {stand_off.charge_a:.2f} A, "
            f"discharge {inside.discharge_a:g} A + {stand_off.discharge_a:.2f} A",
        ),
    ]
    warmth_k = stand_off.temperature_k
    found += [
        GuardLimit(
            "sample.temperature",
            sensor,
            None if inside.low_c is None else inside.low_c - warmth_k,
            inside.high_c + warmth_k,
            "sample",
            hard=True,
            margin=f"high {inside.high_c:g} degC, margin {warmth_k:g} K",
        )
        for sensor in channel.surface
    ]
    return tuple(found)


def place_limits(bench: BenchFile, place: str, *, stimulated: bool) -> tuple[TemperatureLimits, TemperatureLimits]:
    """The bench's limits of a place's air and of a sample's surface there. What a place is built for counts in the
    stimulus of an abuse test and after it; until then ``[limits]`` binds everywhere."""
    outer, own = bench.limits, bench.places[place].limits
    if not stimulated:
        return outer.place_temperature, outer.surface_temperature
    return own.place_temperature or outer.place_temperature, own.surface_temperature or outer.surface_temperature


def bench_limits(equipment: Equipment, channel: BoundChannel, *, stimulated: bool) -> tuple[GuardLimit, ...]:
    """The bench's own limits, as the file gives them, and the interlocks of the place."""
    bench, limits = equipment.bench, equipment.bench.limits
    volts = limits.cell_voltage
    air, skin = place_limits(bench, channel.place, stimulated=stimulated)
    found = [
        GuardLimit("bench.voltage", channel.voltage, volts.low_v, volts.high_v, "bench", hard=True),
        GuardLimit("bench.cell_voltage", channel.cell_voltage, volts.low_v, volts.high_v, "bench", hard=False),
        GuardLimit("bench.current", channel.current, -limits.current_a, limits.current_a, "bench", hard=True),
    ]
    if channel.ambient is not None:
        found.append(GuardLimit("bench.place_temperature", channel.ambient, air.low_c, air.high_c, "bench", hard=True))
    if channel.chamber_air is not None:
        rule = "bench.chamber_temperature"
        found.append(GuardLimit(rule, channel.chamber_air, air.low_c, air.high_c, "bench", hard=False))
    found += [
        GuardLimit("bench.surface_temperature", sensor, skin.low_c, skin.high_c, "bench", hard=True)
        for sensor in channel.surface
    ]
    pressure = bench.places[channel.place].limits.pressure
    if pressure is not None and channel.pressure is not None:
        found.append(GuardLimit("bench.pressure", channel.pressure, None, pressure.high_kpa, "bench", hard=True))
    if channel.rig is not None:
        rating = equipment.rating(channel.rig.device)
        found += [
            GuardLimit(rule, f"{channel.rig}.{quantity}", None, rating[key], "bench", hard=True)
            for rule, quantity, key in (
                ("bench.force", "force_n", "force_n"),
                ("bench.position", "position_mm", "stroke_mm"),
            )
            if key in rating  # one that is missing was told
        ]
    detectors = set(channel.detectors.values())
    found += [
        GuardLimit(
            f"interlock.{name}", sensor, 0.5, None, "detector" if sensor in detectors else "interlock", hard=True
        )
        for name, sensor in channel.interlocks.items()
    ]
    return tuple(found)


def check_bench_limits(equipment: Equipment, channel: BoundChannel, findings: Findings) -> None:
    """A bench limit that lies where its instrument cannot measure would never trip."""
    bench = equipment.bench
    limits, place = bench.limits, bench.places[channel.place]
    cycler, sense = channel.cycler.device, channel.cell_voltage_point.device
    volts = limits.cell_voltage
    bounds: list[tuple[str, str, float | None, str, tuple[str, ...]]] = [
        (cycler, "voltage_v", volts.high_v, "V", ("limits", "cell_voltage", "high")),
        (sense, "voltage_v", volts.high_v, "V", ("limits", "cell_voltage", "high")),
        (sense, "voltage_v", volts.low_v, "V", ("limits", "cell_voltage", "low")),
        (cycler, "current_a", limits.current_a, "A", ("limits", "current")),
    ]
    own = ("places", channel.place, "limits")
    for references, key, common, its in (
        ((place.ambient, place.chamber), "place_temperature", limits.place_temperature, place.limits.place_temperature),
        (place.surface, "surface_temperature", limits.surface_temperature, place.limits.surface_temperature),
    ):
        for reference in references:
            if reference is not None:
                device = Point.of(reference).device
                bounds.append((device, "temperature_c", common.high_c, "degC", ("limits", key, "high")))
                if its is not None:
                    bounds.append((device, "temperature_c", its.high_c, "degC", (*own, key, "high")))
    pressure = place.limits.pressure
    if pressure is not None:
        where = bench.where(*own, "pressure")
        fix = 'add pressure = "io2.pressure" to the place, or remove the limit'
        if findings.need(place.pressure, f"place {channel.place} limits a pressure that nothing measures", where, fix):
            device = Point.of(place.pressure or "").device
            bounds.append((device, "pressure_kpa", pressure.high_kpa, "kPa", (*own, "pressure", "high")))
    for device, quantity, value, unit, key_path in dict.fromkeys(bounds):
        span = equipment.span(device, quantity)
        if span is not None and value is not None:
            key = ".".join(key_path).removeprefix("limits.")
            findings.need(
                span.low <= value <= span.high,
                f"the bench limit {key} = {value:g} {unit} is outside the range of {device} "
                f"({span.low:g} to {span.high:g} {unit}), so it could never trip",
                bench.where(*key_path),
                "set the limit within what the device can do",
            )


def check_cell_limits(equipment: Equipment, channel: BoundChannel, cell: CellFile, findings: Findings) -> None:
    """The cell's operating limits are within the bench's, and where the instruments can follow them."""
    bench, inner = equipment.bench, cell.operating
    limits, skin = bench.limits, bench.limits.surface_temperature
    pairs: list[tuple[tuple[str, ...], float, float | None, str, bool]] = [
        (("voltage", "high"), inner.voltage.high_v, limits.cell_voltage.high_v, "V", True),
        (("voltage", "low"), inner.voltage.low_v, limits.cell_voltage.low_v, "V", False),
        (("charge_current",), inner.charge_current_a, limits.current_a, "A", True),
        (("discharge_current",), inner.discharge_current_a, limits.current_a, "A", True),
        (("temperature", "high"), inner.temperature.high_c, skin.high_c, "degC", True),
        (("temperature", "low"), inner.temperature.low_c, skin.low_c, "degC", False),
    ]
    for key, value, outer, unit, upper in pairs:
        if outer is not None:
            findings.need(
                value <= outer if upper else value >= outer,
                f"the cell's operating limit {'.'.join(key)} = {value:g} {unit} is looser than the bench's "
                f"({outer:g} {unit})",
                cell.where("operating", *key),
                "bench limits bind always: tighten the cell's limit for this bench, or use another bench",
            )
    for device in (channel.cycler.device, channel.cell_voltage_point.device):
        span = equipment.span(device, "voltage_v")
        if span is not None:
            findings.need(
                span.low <= inner.voltage.low_v and inner.voltage.high_v <= span.high,
                f"{device} ({span.low:g} to {span.high:g} V) cannot follow the cell's {inner.voltage.low_v:g} to "
                f"{inner.voltage.high_v:g} V",
                cell.where("operating", "voltage"),
                "use a bench whose instruments cover the cell's voltage",
            )


def device_limits(
    bench: BenchFile,
    channel: BoundChannel,
    inside: Window,
    stand_off: Margins,
    highest: tuple[float, float],
    watchdog_s: float,
    findings: Findings,
) -> TerminalLimits:
    """What the instrument enforces by itself: outside every set value, inside the bench's limits.

    ``highest`` is the highest voltage and current that the sequence sets. Two margins above the sample's own limit, so
    that the guard speaks first; pulled in to the bench's limit where that is nearer. Less than one margin between the
    highest set value and the bench's limit is a fault.
    """
    where = bench.where("limits")
    margin_a = max(stand_off.charge_a, stand_off.discharge_a)
    volts = min(_plain(inside.high_v + 2 * stand_off.terminal_v), bench.limits.cell_voltage.high_v)
    amps = min(_plain(max(inside.charge_a, inside.discharge_a) + 2 * margin_a), bench.limits.current_a)
    for value, highest_set, room, unit in (
        (volts, highest[0], stand_off.terminal_v, "V"),
        (amps, highest[1], margin_a, "A"),
    ):
        findings.need(
            value >= highest_set + room - 1e-9,
            f"no room for the instrument's own limit: the sequence sets {highest_set:g} {unit}, the bench allows "
            f"{value:g} {unit}, and they must stand {room:.3g} {unit} apart",
            where,
            f"set the sequence's values below the bench's limit of channel {channel.name}",
        )
    return TerminalLimits(over_voltage_v=volts, over_current_a=amps, watchdog_s=watchdog_s)


def _plain(value: float) -> float:
    """Without the last digits that adding decimal fractions leaves: 4.36, not 4.359999999999999."""
    return round(value, 9)
