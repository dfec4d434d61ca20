"""The steps that ran, from a run's record: when each began and ended, why, and the charge that it moved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bench import bdf
from bench.printed import duration, number
from bench.record import Record
from bench.report.phrases import pick

#: Steps in which charge is moved on purpose; in the others only the noise of the current adds up.
ENERGETIC = frozenset({"charge", "discharge"})


@dataclass(frozen=True, slots=True)
class Step:
    """One step that ran. Times are test time; ``charge_ah`` and ``energy_wh`` are signed, charge positive."""

    index: int
    path: str
    kind: str
    name: str
    phase: str
    begin_s: float
    end_s: float
    why: str
    charge_ah: float
    energy_wh: float


def steps_of(kept: Record) -> list[Step]:
    """The steps in the order in which they ran. One that was cut short ends where the next event says so."""
    ended = {event.data.get("step"): event for event in kept.of("step_ended")}
    begun = list(kept.of("step_started"))
    cut = next(kept.of("trip", "ending", "safe_state_begun", "log_closed"), None)
    moved = _moved_by_step(kept)
    found: list[Step] = []
    for event in begun:
        index = int(event.data.get("step", 0))
        end = ended.get(index) or cut or kept.events[-1]
        kind = str(event.data.get("step_kind", ""))
        charge_ah, energy_wh = moved.get(index, (0.0, 0.0))
        found.append(
            Step(
                index=index,
                path=str(event.data.get("path", "")),
                kind=kind,
                name=str(event.data.get("id") or kind),
                phase=str(event.data.get("phase", "")),
                begin_s=event.mono_s - kept.start_s,
                end_s=end.mono_s - kept.start_s,
                why=str(end.data.get("why") or (pick("cut short", "提前结束") if index not in ended else "")),
                charge_ah=charge_ah,
                energy_wh=energy_wh,
            )
        )
    return found


def _spans(kept: Record) -> Iterator[tuple[float, int, float, float]]:
    """For every stored row: its test time, the step that the span up to it belongs to (that of its later row, or of the
    one whose current flows), and the net charge and energy so far."""
    before: tuple[float, int] | None = None
    for table in bdf.tables(kept):
        named = (table[name] for name in ("Test Time / s", "Step Count / 1", "Current / A", bdf.NET_AH, bdf.NET_WH))
        for at_s, step, amps, ah, wh in zip(*named, strict=True):
            now = (abs(amps or 0.0), int(step or 0))
            owner = before[1] if before is not None and before[0] > now[0] else now[1]
            before = now
            yield float(at_s or 0.0), owner, float(ah or 0.0), float(wh or 0.0)


def _moved_by_step(kept: Record) -> dict[int, tuple[float, float]]:
    """Net charge and energy of each step, from the stored rows."""
    moved: dict[int, tuple[float, float]] = {}
    before = (0.0, 0.0)
    for _, step, ah, wh in _spans(kept):
        so_far = moved.get(step, (0.0, 0.0))
        moved[step] = (so_far[0] + ah - before[0], so_far[1] + wh - before[1])
        before = (ah, wh)
    return moved


def step_capacity(kept: Record, found: Sequence[Step]) -> tuple[list[float | None], list[float | None]]:
    """Charge moved so far within each charge (first) and each discharge (second), >= 0; None elsewhere. One value for
    each row that ``kept`` shows, counted over all that were stored."""
    kinds = {step.index: step.kind for step in found}
    charging: list[float | None] = []
    discharging: list[float | None] = []
    shown_s = [round(t - kept.start_s, 6) for t in kept.rows.mono_s]
    gone, before, last = 0.0, 0.0, None
    for at_s, step, now, _ in _spans(kept):
        gone = (gone if step == last else 0.0) + now - before
        before, last = now, step
        if len(charging) < len(shown_s) and at_s == shown_s[len(charging)]:
            charging.append(max(gone, 0.0) if kinds.get(step) == "charge" else None)
            discharging.append(max(-gone, 0.0) if kinds.get(step) == "discharge" else None)
    return charging, discharging


def table_of(found: Sequence[Step]) -> list[dict[str, Any]]:
    """The step table, ready to print."""
    return [
        {
            "index": step.index,
            "path": step.path,
            "name": step.name.replace("_", " "),
            "kind": step.kind,
            "phase": step.phase,
            "at": duration(step.begin_s),
            "took": duration(step.end_s - step.begin_s),
            "ah": number(round(step.charge_ah, 4)) if step.kind in ENERGETIC else "",
            "wh": number(round(step.energy_wh, 4)) if step.kind in ENERGETIC else "",
            "why": step.why.replace("_", " "),
        }
        for step in found
    ]
