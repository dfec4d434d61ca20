"""Curves for a page: what was heard lately from memory, older from the bundle."""

from __future__ import annotations

from collections.abc import Sequence

from bench.daemon.decimation import Buckets
from bench.daemon.lately import KEPT_S, Lately
from bench.daemon.old_series import Wanted
from bench.daemon.views import EventView, SeriesView

#: A page asks for no more points than this.
MOST_POINTS = 4000


def lately(
    kept: Lately,
    *,
    channel: str,
    quantities: Sequence[str],
    begin_s: float | None,
    end_s: float | None,
    points: int,
    now_utc_s: float,
) -> SeriesView:
    """The last minutes of a channel, at full rate where there are as many points as readings."""
    end = now_utc_s if end_s is None else end_s
    begin = end - KEPT_S if begin_s is None else begin_s
    buckets = Buckets(begin, end, min(points, MOST_POINTS))
    curves = {name: buckets.curve(kept.points(channel, name, begin, end)) for name in quantities}
    return SeriesView(
        channels=tuple(quantities),
        bucket_s=buckets.length_s,
        utc_s=buckets.times_s,
        low={name: tuple(curve[0]) for name, curve in curves.items()},
        high={name: tuple(curve[1]) for name, curve in curves.items()},
    )


def wanted(
    folder: str, *, quantities: Sequence[str], begin_s: float | None, end_s: float | None, points: int
) -> Wanted:
    return Wanted(folder, tuple(quantities), begin_s, end_s, min(points, MOST_POINTS))


def old(found: dict[str, object], *, channel: str, run_id: str) -> SeriesView:
    """What was read from a bundle; marks have no number of their own."""
    marks = found.pop("marks", ())
    assert isinstance(marks, list | tuple)
    view = SeriesView.model_validate(found)
    told = tuple(EventView(seq=0, channel=channel, run_id=run_id, **mark) for mark in marks)
    return view.model_copy(update={"marks": told})
