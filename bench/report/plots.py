"""Curves as SVG text, written here so that a report needs nothing but itself. Colours come from the page's CSS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from bench.printed import number
from bench.report.phrases import pick
from bench.report.scales import Points, padded, runs, thinned, ticks, time_unit

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 960, 64, 14, 22, 40
#: A curve is drawn with at most so many points.
MOST_POINTS = 2000
MARK_WIDTH = 30


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a plot. ``tone`` is the number of a colour of the page (--c1 to --c7)."""

    name: str
    values: Sequence[float | None]
    tone: int


@dataclass(frozen=True, slots=True)
class Band:
    """A step behind the curves: from, to (s), its kind, what to call it."""

    begin_s: float
    end_s: float
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Mark:
    """An event: when, the sign at its head, what happened, and whether it is a bad one."""

    at_s: float
    sign: str
    text: str
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """One quantity against time, test time unless ``x_label`` says another, drawn from ``first_s`` on.

    ``least`` is the narrowest range drawn, so that noise does not look like news.
    """

    id: str
    title: str
    title_zh: str
    unit: str
    t_s: Sequence[float]
    curves: Sequence[Curve]
    bands: Sequence[Band] = ()
    marks: Sequence[Mark] = ()
    least: float = 0.1
    height: int = 210
    from_zero: bool = False
    first_s: float = 0.0
    x_label: str = ""


@dataclass(slots=True)
class _Frame:
    """Where values stand on the paper."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    height: int
    parts: list[str] = field(default_factory=list)

    def x(self, value: float) -> float:
        share = (value - self.x_low) / (self.x_high - self.x_low)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        share = (value - self.y_low) / (self.y_high - self.y_low)
        return round(self.height - BOTTOM - share * (self.height - TOP - BOTTOM), 1)

    @property
    def floor(self) -> int:
        return self.height - BOTTOM

    def add(self, text: str) -> None:
        self.parts.append(text)


def against_time(plot: Plot) -> str:
    """The plot as one ``<svg>``. The same data give the same text."""
    first_s = plot.first_s
    last_s = max([plot.t_s[-1] if plot.t_s else first_s, *(band.end_s for band in plot.bands), first_s + 1.0])
    unit, seconds = time_unit(last_s - first_s)
    values = [value for curve in plot.curves for value in curve.values if value is not None]
    low, high = padded(values, at_least=plot.least)
    frame = _Frame(first_s, last_s, min(low, 0.0) if plot.from_zero else low, high, plot.height)
    for band in plot.bands:
        left, right = frame.x(band.begin_s), frame.x(band.end_s)
        frame.add(
            f'<rect class="band {escape(band.kind)}" x="{left:g}" y="{TOP}" width="{max(right - left, 0.3):.1f}" '
            f'height="{frame.floor - TOP}"><title>{escape(band.name)}</title></rect>'
        )
    x_ticks = [(at * seconds, number(at)) for at in ticks(first_s / seconds, last_s / seconds, 10)]
    _axes(frame, plot.unit, x_ticks, f"{plot.x_label or pick('test time', '试验时间')} / {unit}")
    for curve in plot.curves:
        for stretch in _share(runs(plot.t_s, curve.values)):
            _line(frame, stretch, curve)
    for at, together in _apart(frame, plot.marks):
        kind = "mark bad" if any(mark.bad for mark in together) else "mark"
        text = "; ".join(mark.text for mark in together)
        signs = " ".join(dict.fromkeys(mark.sign for mark in together))
        frame.add(f'<g class="{kind}"><title>{escape(text)}</title><path d="M{at:g} {TOP - 4}V{frame.floor}"/>')
        frame.add(f'<text x="{at:g}" y="{TOP - 7}">{escape(signs)}</text></g>')
    return _svg(frame, f"{pick(plot.title, plot.title_zh)} / {plot.unit}", plot.id)


def against(
    curves: Sequence[tuple[str, Points, int]],
    *,
    id_: str,
    title: str,
    x_label: str,
    unit: str,
    height: int = 300,
    from_zero: bool = True,
    marks: Sequence[tuple[float, str]] = (),
) -> str:
    """Curves of one quantity against another (discharge voltage against capacity); marks say where what is."""
    xs = [x for _, points, _ in curves for x, _ in points]
    ys = [y for _, points, _ in curves for _, y in points]
    low, high = padded(ys, at_least=0.1)
    x_low, x_high = (0.0, max([*xs, 0.0]) * 1.02 or 1.0) if from_zero else padded(xs, at_least=1.0)
    frame = _Frame(x_low, x_high, low, high, height)
    _axes(frame, unit, [(at, number(at)) for at in ticks(x_low, x_high, 10)], x_label)
    for name, points, tone in curves:
        _line(frame, thinned(points, MOST_POINTS), Curve(name, (), tone))
    for at, text in marks:
        if x_low <= at <= x_high:
            x = frame.x(at)
            frame.add(f'<g class="mark"><path d="M{x:g} {TOP - 4}V{frame.floor}"/>')
            frame.add(f'<text x="{x:g}" y="{TOP - 7}">{escape(text)}</text></g>')
    return _svg(frame, title, id_)


def _apart(frame: _Frame, marks: Sequence[Mark]) -> list[tuple[float, list[Mark]]]:
    """Marks whose signs would stand on one another, as one."""
    groups: list[tuple[float, list[Mark]]] = []
    for mark in sorted(marks, key=lambda mark: mark.at_s):
        at = frame.x(mark.at_s)
        if groups and at - groups[-1][0] < MARK_WIDTH:
            groups[-1][1].append(mark)
        else:
            groups.append((at, [mark]))
    return groups


def _share(stretches: list[Points]) -> list[Points]:
    """Thin the stretches of one curve so that all together keep within the bound."""
    total = sum(map(len, stretches))
    if total <= MOST_POINTS:
        return stretches
    return [thinned(stretch, max(MOST_POINTS * len(stretch) // total, 8)) for stretch in stretches]


def _line(frame: _Frame, points: Points, curve: Curve) -> None:
    path = " ".join(f"{frame.x(x):g},{frame.y(y):g}" for x, y in points)
    frame.add(f'<polyline class="curve c{curve.tone}" points="{path}"><title>{escape(curve.name)}</title></polyline>')


def _axes(frame: _Frame, unit: str, x_ticks: Sequence[tuple[float, str]], x_label: str) -> None:
    for value in ticks(frame.y_low, frame.y_high, max((frame.floor - TOP) // 34, 3)):
        y = frame.y(value)
        frame.add(f'<path class="grid" d="M{LEFT} {y:g}H{WIDTH - RIGHT}"/>')
        frame.add(f'<text class="y" x="{LEFT - 7}" y="{y + 3.5:g}">{number(value)}</text>')
    for value, text in x_ticks:
        x = frame.x(value)
        frame.add(f'<path class="grid" d="M{x:g} {TOP}V{frame.floor}"/>')
        frame.add(f'<text class="x" x="{x:g}" y="{frame.floor + 15}">{text}</text>')
    frame.add(f'<path class="frame" d="M{LEFT} {TOP}V{frame.floor}H{WIDTH - RIGHT}"/>')
    middle = (TOP + frame.floor) / 2
    frame.add(f'<text class="label" transform="translate(14 {middle:g}) rotate(-90)">{escape(unit)}</text>')
    frame.add(f'<text class="label" x="{(LEFT + WIDTH - RIGHT) / 2:g}" y="{frame.height - 5}">{escape(x_label)}</text>')


def _svg(frame: _Frame, title: str, id_: str) -> str:
    body = "".join(frame.parts)
    return (
        f'<svg id="{escape(id_)}" class="plot" role="img" viewBox="0 0 {WIDTH} {frame.height}" '
        f'preserveAspectRatio="xMidYMid meet"><title>{escape(title)}</title>{body}</svg>'
    )
