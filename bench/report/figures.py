"""Which curves a report shows: voltage, current, temperatures and step capacity against time, and every discharge."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.record import Event, Record
from bench.report.marked_events import MARKED, said
from bench.report.phrases import beside, pick
from bench.report.plots import Band, Curve, Mark, Plot, against, against_time
from bench.report.scales import Points
from bench.report.step_table import Step, step_capacity

#: Steps that are drawn as bands, and the marks that would only repeat them.
BANDED = frozenset(
    {
        "charge", "discharge", "rest", "soak", "chamber", "measure", "transfer", "penetrate", "crush", "short", "heat",
        "hold", "observe",
    }
)  # fmt: skip
#: A discharge below this is no discharge curve.
LEAST_AH = 1e-3
MOST_DISCHARGES = 7
#: Marks of one kind beyond this make a plot unreadable; the list of events has them all.
MOST_MARKS = 30


def time_plots(kept: Record, steps: Sequence[Step], marked: Sequence[Event]) -> list[tuple[Plot, str]]:
    """The four plots, the events marked on the first."""
    t_s = [t - kept.start_s for t in kept.rows.mono_s]
    rows = kept.rows
    bands = [Band(it.begin_s, it.end_s, it.kind, f"{it.index} {it.name}") for it in steps if it.kind in BANDED]
    marks = [
        Mark(it.mono_s - kept.start_s, MARKED[it.kind][0], said(it), MARKED[it.kind][2]) for it in marked[:MOST_MARKS]
    ]
    surfaces = sorted(role for role in rows.known_roles if role.startswith("surface_"))
    temperatures = [
        Curve(pick(f"surface {role[8:]} · 表面", f"表面 {role[8:]}"), rows.role(role), tone)
        for tone, role in enumerate(surfaces[:5], 3)
    ]
    if "ambient" in rows.known_roles:
        temperatures.append(Curve(beside("ambient", "环境"), rows.role("ambient"), 2))
    charging, discharging = step_capacity(kept, steps)
    # before the first step and after the last the contactor is open: the terminal's voltage is not the cell's
    begin_s, end_s = (steps[0].begin_s, steps[-1].end_s) if steps else (0.0, math.inf)
    volts = [it if begin_s <= t <= end_s else None for t, it in zip(t_s, rows.role("voltage"), strict=True)]
    plots = [
        Plot(
            "voltage",
            "Voltage",
            "电压",
            "V",
            t_s,
            [Curve(beside("cell voltage", "电压"), volts, 1)],
            bands,
            marks,
        ),
        Plot(
            "current",
            "Current (charge positive)",
            "电流(充电为正)",
            "A",
            t_s,
            [Curve(beside("current", "电流"), rows.role("current"), 2)],
            bands,
            least=1.0,
        ),
        Plot("temperature", "Temperature", "温度", "°C", t_s, temperatures, bands, least=4.0),
        Plot(
            "capacity",
            "Charge moved within each step",
            "工步容量",
            "Ah",
            t_s,
            [Curve(beside("charged", "充入"), charging, 1), Curve(beside("discharged", "放出"), discharging, 2)],
            bands,
            from_zero=True,
        ),
    ]
    return [(plot, against_time(plot)) for plot in plots]


def legend_of(plot: Plot) -> list[tuple[int, str]]:
    """The curves of a plot by tone and name, those without any value left out."""
    return [(it.tone, it.name) for it in plot.curves if any(value is not None for value in it.values)]


def discharge_curves(kept: Record, steps: Sequence[Step]) -> dict[str, object] | None:
    """Voltage against capacity of the discharges, the last few of them; None if there was none."""
    _, discharging = step_capacity(kept, steps)
    voltage_v = kept.rows.role("voltage")
    curves: dict[int, Points] = {
        step.index: [] for step in steps if step.kind == "discharge" and step.charge_ah < -LEAST_AH
    }
    for step, ah, volts in zip(kept.rows.steps, discharging, voltage_v, strict=True):
        if step in curves and ah is not None and volts is not None:
            curves[step].append((ah, volts))
    shown = [(index, points) for index, points in curves.items() if points][-MOST_DISCHARGES:]
    if not shown:
        return None
    drawn = [(pick(f"step {index}", f"工步 {index}"), points, tone) for tone, (index, points) in enumerate(shown, 1)]
    svg = against(
        drawn,
        id_="discharges",
        title=pick("Discharge voltage against capacity", "放电曲线"),
        x_label=pick("discharged capacity / Ah", "放电容量 / Ah"),
        unit="V",
    )
    return {"svg": svg, "legend": [(tone, name) for name, _, tone in drawn]}
