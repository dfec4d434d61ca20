"""Which measuring points a run's results rest on, and until when their certificates are in date."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from bench.binding.shapes import BoundChannel
from bench.config import BenchFile
from sequences.expressions import Expression
from sequences.language import Sequence
from sequences.names import STROKE
from sequences.tree import changed

#: How long the certificate of a simulated point is good for, from the run's start.
SIMULATED_CERTIFICATE = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The measuring points behind the results. ``due`` is None for a point without a certificate."""

    points: tuple[tuple[str, str | None, date | None], ...]
    simulated: bool

    def margin_s(self, start_utc_s: float) -> float:
        """Seconds from the run's start to the end of the first due day (UTC); negative once that has passed.

        NaN if a point has no certificate: then nobody knows. A simulated point's certificate dates from the start.
        """
        if self.simulated:
            return SIMULATED_CERTIFICATE.total_seconds()
        dues = [due for _, _, due in self.points]
        if not dues or any(due is None for due in dues):
            return math.nan
        first = min(due for due in dues if due is not None) + timedelta(days=1)
        return datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp() - start_utc_s

    @property
    def uncertified(self) -> tuple[str, ...]:
        return () if self.simulated else tuple(point for point, _, due in self.points if due is None)


#: Names whose values come from the surface points, besides ``temperature`` itself.
_OF_SURFACE = {"temperature", "temperature_rate", "run.peak_temperature", "run.stimulus_to_peak"}


def evidence(sequence: Sequence, bench: BenchFile, channels: Iterable[BoundChannel], *, simulated: bool) -> Evidence:
    """The cycler's terminal always; other points, at every place of the run, where something of the sequence reads
    them."""
    names: set[str] = {watch.of for watch in sequence.watch if watch.of is not None}

    def note(expression: Expression) -> Expression:
        names.update(name.removeprefix("start.") for name in expression.names)
        return expression

    changed(sequence, note)
    points: dict[str, None] = {}
    for channel in channels:
        place = bench.places[channel.place]
        points[str(channel.cycler)] = None
        if "ambient" in names and place.ambient is not None:
            points[place.ambient] = None
        if names & _OF_SURFACE:
            points.update(dict.fromkeys(place.surface))
        if "cell_voltage" in names:
            points[str(channel.cell_voltage_point)] = None
        if place.rig is not None and names & set(STROKE):
            points[place.rig] = None
    return Evidence(
        tuple(
            (point, known.certificate, known.due) if (known := bench.calibration.get(point)) else (point, None, None)
            for point in points
        ),
        simulated,
    )
