"""The curves of an abuse test: force and voltage along the stroke, position and speed in time, and what followed."""

from __future__ import annotations

from collections.abc import Sequence

from bench import record
from bench.record import Event, Record
from bench.report.abuse import contact_s
from bench.report.marked_events import MARKED, said
from bench.report.phrases import beside, pick
from bench.report.plots import Curve, Mark, Plot, against, against_time
from bench.report.scales import Points
from bench.stroke_table import StrokeTable

#: The observation is drawn from so long before contact.
BEFORE_S = 60.0
#: The speed is taken over two rows before and two after: over 40 ms at 100 Hz.
SPAN = 2

#: What is marked on the curves after contact; the list of events has the rest.
MARKED_AFTER = frozenset({"contact", "sample_event", "bench_event", "trip", "stroke_ended", "observation_begun"})

Figure = tuple[str, str, str, list[tuple[int, str]]]


def stroke_figures(kept: Record, table: StrokeTable, contact_mm: float | None) -> list[Figure]:
    """Title in both languages, the drawing, and its legend. ``contact_mm`` is marked where it is known."""
    t_s, position = table.columns["test_time_s"], table.columns["position_mm"]
    marks = [] if contact_mm is None else [(contact_mm, pick("contact", "接触"))]
    figures: list[Figure] = []
    for key, name, name_zh, unit, tone in (
        ("force_n", "Force", "力", "N", 2),
        ("voltage_v", "Cell voltage", "电压", "V", 1),
    ):
        points = _along(position, table.columns[key])
        if not points:
            continue
        svg = against(
            [(beside(name, name_zh), points, tone)],
            id_=f"stroke-{table.number}-{key.split('_')[0]}",
            title=pick(f"{name} against position", f"{name_zh}—位置"),
            x_label=pick("position / mm", "位置 / mm"),
            unit=unit,
            height=230,
            from_zero=False,
            marks=marks,
        )
        figures.append((f"{name} against position", f"{name_zh}—位置", svg, [(tone, beside(name, name_zh))]))
    if not t_s:
        return figures
    zero_s = contact_s(kept)
    if zero_s is not None:
        since, label = zero_s - kept.start_s, pick("since contact", "接触后时间")
    else:
        since, label = _known(t_s)[0], pick("since first row", "首行后时间")
    times = [t - since for t in _known(t_s)]
    for key, name, name_zh, unit, values in (
        ("position", "Position of the tool", "位置", "mm", list(position)),
        ("speed", "Speed of the tool", "速度", "mm/s", _speed(times, position)),
    ):
        plot = Plot(
            f"stroke-{table.number}-{key}",
            f"{name} in time",
            f"{name_zh}—时间",
            unit,
            times,
            [Curve(beside(name, name_zh), values, 3)],
            least=1.0,
            height=190,
            first_s=times[0],
            x_label=label,
        )
        figures.append((plot.title, plot.title_zh, against_time(plot), [(3, plot.curves[0].name)]))
    return figures


def aftermath_figures(kept: Record, marked: Sequence[Event]) -> list[Figure]:
    """Temperatures and the cell's voltage from just before contact to the end of the observation."""
    zero_s = contact_s(kept)
    end = next(reversed(list(kept.of("observation_ended"))), None) or kept.events[-1]
    if zero_s is None:
        return []
    rows = record.between(kept, zero_s - BEFORE_S, end.mono_s)
    inside = [at for at, t in enumerate(rows.mono_s) if zero_s - BEFORE_S <= t <= end.mono_s]
    if not inside:
        return []
    first, last = inside[0], inside[-1] + 1
    times = [t - zero_s for t in rows.mono_s[first:last]]
    marks = [
        Mark(it.mono_s - zero_s, MARKED[it.kind][0], said(it), MARKED[it.kind][2])
        for it in marked
        if zero_s - BEFORE_S <= it.mono_s <= end.mono_s and it.kind in MARKED_AFTER
    ]
    surfaces = sorted(role for role in rows.known_roles if role.startswith("surface_"))
    temperatures = [
        Curve(pick(f"surface {role[8:]} · 表面", f"表面 {role[8:]}"), rows.role(role)[first:last], tone)
        for tone, role in enumerate(surfaces[:5], 3)
    ]
    temperatures.append(Curve(beside("ambient", "环境"), rows.role("ambient")[first:last], 2))
    volts = [Curve(beside("at the cell's own leads", "电芯端电压"), rows.role("cell_voltage")[first:last], 1)]
    figures: list[Figure] = []
    for name, title, title_zh, unit, curves, least, height in (
        ("aftermath-temperature", "Temperatures from contact on", "激励后温度", "°C", temperatures, 4.0, 300),
        ("aftermath-voltage", "Cell voltage from contact on", "激励后电压", "V", volts, 0.1, 190),
    ):
        plot = Plot(
            name,
            title,
            title_zh,
            unit,
            times,
            curves,
            marks=marks,
            least=least,
            height=height,
            first_s=times[0],
            x_label=pick("since contact", "接触后时间"),
        )
        legend = [(it.tone, it.name) for it in curves if any(value is not None for value in it.values)]
        figures.append((title, title_zh, against_time(plot), legend))
    return figures


def _along(position: Sequence[float | None], values: Sequence[float | None]) -> Points:
    """A quantity over the way there, to the deepest position; a hold or a way back would only cover it."""
    places = [at if at is not None else float("-inf") for at in position]
    deepest = places.index(max(places)) if places else -1
    pairs = zip(position[: deepest + 1], values[: deepest + 1], strict=True)
    return [(at, value) for at, value in pairs if at is not None and value is not None]


def _speed(t_s: Sequence[float], position: Sequence[float | None]) -> list[float | None]:
    speeds: list[float | None] = [None] * len(t_s)
    for at in range(SPAN, len(t_s) - SPAN):
        before, after = position[at - SPAN], position[at + SPAN]
        span_s = t_s[at + SPAN] - t_s[at - SPAN]
        if before is not None and after is not None and span_s > 0.0:
            speeds[at] = (after - before) / span_s
    return speeds


def _known(values: Sequence[float | None]) -> list[float]:
    return [0.0 if value is None else value for value in values]
