"""The Battery Data Format: columns by their preferred labels, charge positive, one cell a file.

Labels and meanings: Battery Data Alliance, battery-data-format README, "Defining the BDF for Cycler Time-Series Data".
Capacities and energies are accumulated since the start of the test, never reset, by straight lines between the rows of
this very file, so that a reader can recompute every one of them.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.record import Record, stretches

#: A role of the record and the label it has in BDF. T6 and beyond have no label there and stay in the segments.
LABELS: dict[str, str] = {
    "ambient": "Ambient Temperature / degC",
    **{f"surface_{at}": f"Surface Temperature T{at} / degC" for at in range(1, 6)},
}
STEP_ID = "Step ID"
WHOLE = frozenset({"Step Count / 1"})
NET_AH, NET_WH = "Net Capacity / Ah", "Net Energy / Wh"
_FIRST = ("Test Time / s", "Voltage / V", "Current / A", "Unix Time / s", "Step Count / 1")
_MOVED = (
    "Charging Capacity / Ah",
    "Discharging Capacity / Ah",
    NET_AH,
    "Charging Energy / Wh",
    "Discharging Energy / Wh",
    NET_WH,
)

Column = Sequence[float | None]


def labels(record: Record) -> tuple[str, ...]:
    """The columns of the run in their order; one that the run has no channel for is left out."""
    known = record.rows.known_roles
    return (*_FIRST, *(label for role, label in LABELS.items() if role in known), *_MOVED)


def columns(record: Record) -> dict[str, Column]:
    """All of the run's rows under BDF labels."""
    table: dict[str, list[float | None]] = {name: [] for name in labels(record)}
    for part in tables(record):
        for name, column in table.items():
            column.extend(part[name])
    return dict(table)


def tables(record: Record) -> Iterator[dict[str, Column]]:
    """The same a stretch at a time: what is in memory does not grow with the run. Raises RecordError."""
    charge, energy = Moved(), Moved()
    for rows in stretches(record):
        mono_s = rows.mono_s
        voltage_v, current_a = rows.role("voltage"), rows.role("current")
        table: dict[str, Column] = {
            "Test Time / s": [round(t - record.start_s, 6) for t in mono_s],
            "Voltage / V": voltage_v,
            "Current / A": current_a,
            "Unix Time / s": rows.columns.get("utc_s", []),
            "Step Count / 1": rows.steps,
        }
        table.update({label: rows.role(role) for role, label in LABELS.items() if role in rows.known_roles})
        charged_ah, discharged_ah = charge.on(mono_s, current_a, rows.reopened_s)
        power_w = [None if v is None or i is None else v * i for v, i in zip(voltage_v, current_a, strict=True)]
        charged_wh, discharged_wh = energy.on(mono_s, power_w, rows.reopened_s)
        yield table | {
            "Charging Capacity / Ah": charged_ah,
            "Discharging Capacity / Ah": discharged_ah,
            NET_AH: [round(c - d, 9) for c, d in zip(charged_ah, discharged_ah, strict=True)],
            "Charging Energy / Wh": charged_wh,
            "Discharging Energy / Wh": discharged_wh,
            NET_WH: [round(c - d, 9) for c, d in zip(charged_wh, discharged_wh, strict=True)],
        }


@dataclass(slots=True)
class Moved:
    """What flowed in and out so far, per hour of the rate's unit (A to Ah, W to Wh), both >= 0.

    Trapezoids between neighbouring rows; nothing is added across a row without a value, nor across a time at which the
    program was dead and the output off.
    """

    inward: float = 0.0
    outward: float = 0.0
    last_s: float = math.inf
    last: float | None = None

    def on(self, t_s: Sequence[float], rate: Column, apart_s: Sequence[float] = ()) -> tuple[list[float], list[float]]:
        """The next rows: both sums at each of them."""
        breaks = {bisect_left(t_s, at_s) for at_s in apart_s if at_s > self.last_s or math.isinf(self.last_s)}
        inward: list[float] = []
        outward: list[float] = []
        for at, (now_s, now) in enumerate(zip(t_s, rate, strict=True)):
            if self.last is not None and now is not None and at not in breaks:
                span = (self.last + now) / 2.0 * (now_s - self.last_s) / 3600.0
                self.inward += max(0.0, span)
                self.outward += max(0.0, -span)
            self.last_s, self.last = now_s, now
            inward.append(round(self.inward, 9))
            outward.append(round(self.outward, 9))
        return inward, outward


def csv_text(record: Record) -> str:
    """The whole .bdf.csv. The same rows give the same text."""
    return "".join(csv_parts(record))


def csv_parts(record: Record) -> Iterator[str]:
    """The .bdf.csv a stretch at a time. Raises RecordError."""
    names = step_names(record)
    head = labels(record)
    yield _csv([[*head, STEP_ID]])
    for table in tables(record):
        rows = zip(*(table[name] for name in head), strict=True)
        steps = table["Step Count / 1"]
        yield _csv([*map(_cell, row), names.get(int(step or 0), "")] for step, row in zip(steps, rows, strict=True))


def _csv(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def step_names(record: Record) -> dict[int, str]:
    """What each step is called in the sequence, ready for a cell of a table."""
    return {
        int(event.data["step"]): safe_cell(str(event.data.get("id") or event.data.get("step_kind") or ""))
        for event in record.of("step_started")
    }


def _cell(value: float | None) -> str:
    return "" if value is None else repr(value + 0)  # no minus before a zero


def safe_cell(text: str) -> str:
    """Text that a spreadsheet will not take for a formula: what begins with = + - @, tab or return gets a quote."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def file_stem(record: Record) -> str:
    """``Institution__Cell__YYYYMMDD_XXX`` as BDF advises; the run id is the last part, so that no two are alike."""
    header = record.header
    day = datetime.fromtimestamp(record.start_utc_s, UTC).strftime("%Y%m%d")
    return "__".join(
        (
            _word(header.get("institution") or "cellbench"),
            _word(header.get("sample") or "cell"),
            f"{day}_{_word(header.get('run_id', '0'))}",
        )
    )


def _word(text: object) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", str(text)).strip("-.") or "x"


def metadata(record: Record) -> dict[str, object]:
    """The sidecar: what the numbers are and where the rest stands."""
    header = record.header
    return {
        "schema": "cellbench/bdf-metadata/1",
        "format": "Battery Data Format, preferred labels; positive current charges the cell",
        "run_id": header.get("run_id"),
        "mode": header.get("mode"),
        "cell": header.get("cell"),
        "sample": header.get("sample"),
        "sequence": header.get("sequence"),
        "test_time_zero_utc": datetime.fromtimestamp(record.start_utc_s, UTC).isoformat(),
        "channels": dict(record.rows.roles),
        "carried": [
            {"test_time_s": round(from_s - record.start_s, 6), "channels": dict(roles)}
            for from_s, roles in record.rows.moves
        ],
        "steps": [
            {"step_count": it.data.get("step"), "path": it.data.get("path"), "kind": it.data.get("step_kind")}
            for it in record.of("step_started")
        ],
    }


def metadata_text(record: Record) -> str:
    """The sidecar as it stands in its file."""
    return json.dumps(metadata(record), indent=1, ensure_ascii=False) + "\n"
