"""What a resumed run knew when it died, brought back by running its own stored rows through its own arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bench.live import Carried, LiveChannels
from bench.notebook import Notebook
from bench.stream import Batch
from drivers.reading import Quality, Reading
from sequences.language import Charge, Discharge
from sequences.names import INSTANT

if TYPE_CHECKING:
    from bench.plan import Plan
    from bench.resumption import Resumption


def restore(found: Resumption, plan: Plan, notebook: Notebook) -> Carried | None:
    """Put results, entries and watches back, and give what the step that goes on had counted; None if none does."""
    for name, value, repeated in found.results:
        notebook.restore(name, value, repeated=repeated)
    for name, value in found.entries.items():
        notebook.put(name, value)
    notebook.put("run.longest_log_interval", found.longest_log_interval_s)
    notebook.restore_watched(found.watched)
    if found.how != "resume" or found.step is None:
        return None
    carried = _counted(found, notebook)
    notebook.live.move(LiveChannels.of(plan.channel))  # rates and instants belong to the old clock
    return carried


def _counted(found: Resumption, notebook: Notebook) -> Carried:
    live, step = notebook.live, found.step
    direction = 1 if isinstance(step, Charge) else -1 if isinstance(step, Discharge) else 0
    before = found.carried_before
    begun_s = found.output_on_s
    if begun_s is None:
        return _again(before) if before is not None else Carried(0.0, 0.0, 0.0, {}, {})
    rows = list(_batches(found.rows))
    for batch in rows:
        if batch[-1].mono_s <= begun_s:
            live.deliver(batch)
    live.begin(begun_s, direction=direction, carried=None if before is None else _again(before))
    notebook.begin_step(found.ids)
    last_s = begun_s
    for batch in rows:
        if batch[-1].mono_s > begun_s:
            live.deliver(batch)
            notebook.look(batch)
            last_s = batch[-1].mono_s
    notebook.end_step(None)
    start = {name: live.values[f"start.{name}"] for name in INSTANT}
    totals, gone_s = live.totals, last_s - begun_s
    duration_s = gone_s + (0.0 if before is None else float(before["duration_s"]))
    last = _numbers({name: live.values[name] for name in (*INSTANT,)})
    return Carried(totals.charge_as, totals.energy_ws, duration_s, _numbers(start), last, found.ended)


def as_data(carried: Carried) -> dict[str, Any]:
    """What was carried, for the record: a later resumption goes on with it."""

    def plain(values: Mapping[str, float]) -> dict[str, float | None]:
        return {name: value if math.isfinite(value) else None for name, value in values.items()}

    return {
        "charge_as": carried.charge_as,
        "energy_ws": carried.energy_ws,
        "duration_s": carried.duration_s,
        "start": plain(carried.start),
        "last": plain(carried.last),
        "ended": carried.ended,
    }


def _again(before: Mapping[str, object]) -> Carried:
    """What an earlier resumption had carried, as its event says."""
    start, last = before["start"], before["last"]
    charge_as, energy_ws, duration_s = (float(str(before[name])) for name in ("charge_as", "energy_ws", "duration_s"))
    return Carried(charge_as, energy_ws, duration_s, _numbers(start), _numbers(last))


def _numbers(values: object) -> dict[str, float]:
    if not isinstance(values, Mapping):
        return {}
    return {str(name): math.nan if value is None else value for name, value in values.items()}


def _batches(columns: Mapping[str, object]) -> Iterator[Batch]:
    """The stored rows as the readings that they were."""
    if not columns:
        return
    names = [name for name in columns if name not in ("mono_s", "utc_s", "step")]
    for mono_s, utc_s, *values in zip(columns["mono_s"], columns["utc_s"], *(columns[n] for n in names), strict=True):  # type: ignore[call-overload]
        yield tuple(
            Reading(name, math.nan if value is None else value, mono_s, utc_s, _quality(value))
            for name, value in zip(names, values, strict=True)
        )


def _quality(value: float | None) -> Quality:
    return Quality.IMPLAUSIBLE if value is None else Quality.GOOD
