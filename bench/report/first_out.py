"""What a trip left behind: every input as it stood then, and the minute before and after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.first_out import AFTER_S, BEFORE_S
from bench.record import Record
from bench.report.abuse_figures import Figure
from bench.report.phrases import pick
from bench.report.plots import Curve, Mark, Plot, against_time
from drivers.units import unit_of


@dataclass(frozen=True, slots=True)
class InputRow:
    """One channel: at the trip, and between which values in the minute before. None where there was no good value."""

    channel: str
    unit: str
    at_trip: float | None
    low: float | None
    high: float | None


def _trip(kept: Record) -> Mapping[str, Any] | None:
    return next((event.data for event in kept.events if event.kind in ("trip", "stop")), None)


def _series(kept: Record) -> tuple[float, dict[str, list[tuple[float, float | None]]]] | None:
    """The instant of the trip, and by channel the pairs of time and value around it; None without a trip."""
    parts = [event.data for event in kept.of("first_out")]
    if not parts:
        return None
    series: dict[str, list[tuple[float, float | None]]] = {}
    for part in parts:
        names: list[str] = part["channels"]
        for at, mono_s, value, quality in part["rows"]:
            series.setdefault(names[at], []).append((mono_s, value if quality == "good" else None))
    return float(parts[0]["tripped_mono_s"]), series


def inputs(kept: Record) -> list[InputRow]:
    """Every input of the run at the first cause; empty where nothing tripped."""
    trip, found = _trip(kept), _series(kept)
    if trip is None:
        return []
    seen: Mapping[str, float | None] = trip.get("readings") or {}
    rows = []
    for name, value in sorted(seen.items()):
        before = [] if found is None else [it for t, it in found[1].get(name, ()) if t <= found[0] and it is not None]
        rows.append(
            InputRow(name, unit_of(name.replace(".", "_")), value, min(before, default=None), max(before, default=None))
        )
    return rows


def figure(kept: Record) -> Figure | None:
    """The channels of the device that tripped, a minute before and after; None where nothing was kept of them."""
    trip, found = _trip(kept), _series(kept)
    if trip is None or found is None:
        return None
    tripped_s, series = found
    device = f"{trip.get('device')}."
    chosen = [(name, its) for name, its in series.items() if name.startswith(device) and len(its) > 1][:7]
    if not chosen:
        return None
    times = sorted({t for _, its in chosen for t, _ in its})
    curves = [Curve(name, [dict(its).get(t) for t in times], tone) for tone, (name, its) in enumerate(chosen, 1)]
    plot = Plot(
        "first-out",
        f"{trip.get('device')}, {BEFORE_S:.0f} s before and {AFTER_S:.0f} s after the trip",
        "跳闸前后各一分钟",
        "",
        [t - tripped_s for t in times],
        curves,
        marks=[Mark(0.0, "!", str(trip.get("rule")), bad=True)],
        first_s=times[0] - tripped_s,
        x_label=pick("since the trip", "跳闸后时间"),
    )
    return plot.title, plot.title_zh, against_time(plot), [(curve.tone, curve.name) for curve in curves]
