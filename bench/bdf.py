"""The Battery Data Format: columns by their preferred labels, charge positive, one cell a file.

Labels and meanings: Battery Data Alliance, battery-data-format README, "Defining the BDF for Cycler Time-Series Data".
Capacities and energies are accumulated since the start of the test, never reset, by straight lines between the rows of
this very file, so that a reader can recompute every one of them.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import accumulate

from bench.record import Record

#: A role of the record and the label it has in BDF. T6 and beyond have no label there and stay in the segments.
LABELS: dict[str, str] = {
    "ambient": "Ambient Temperature / degC",
    **{f"surface_{at}": f"Surface Temperature T{at} / degC" for at in range(1, 6)},
}
STEP_ID = "Step ID"
WHOLE = frozenset({"Step Count / 1"})

Column = Sequence[float | None]


def columns(record: Record) -> dict[str, Column]:
    """The run's rows under BDF labels; a column that the run has no channel for is left out."""
    rows = record.rows
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
    breaks = rows.breaks
    charged_ah, discharged_ah = moved(mono_s, current_a, breaks)
    power_w = [None if v is None or i is None else v * i for v, i in zip(voltage_v, current_a, strict=True)]
    charged_wh, discharged_wh = moved(mono_s, power_w, breaks)
    return table | {
        "Charging Capacity / Ah": charged_ah,
        "Discharging Capacity / Ah": discharged_ah,
        "Net Capacity / Ah": [round(c - d, 9) for c, d in zip(charged_ah, discharged_ah, strict=True)],
        "Charging Energy / Wh": charged_wh,
        "Discharging Energy / Wh": discharged_wh,
        "Net Energy / Wh": [round(c - d, 9) for c, d in zip(charged_wh, discharged_wh, strict=True)],
    }


def moved(t_s: Sequence[float], rate: Column, breaks: frozenset[int] = frozenset()) -> tuple[list[float], list[float]]:
    """What flowed in and out since the first row, per hour of the rate's unit (A to Ah, W to Wh), both >= 0.

    Trapezoids between neighbouring rows; nothing is added across a row without a value, nor up to a row of ``breaks``:
    the first after the program was dead, when the output was off.
    """
    spans = [0.0]
    for at in range(1, len(t_s)):
        before, now = rate[at - 1], rate[at]
        apart = before is None or now is None or at in breaks
        mean = 0.0 if apart or before is None or now is None else (before + now) / 2.0
        spans.append(mean * (t_s[at] - t_s[at - 1]) / 3600.0)
    inward = [round(total, 9) for total in accumulate(max(0.0, span) for span in spans)]
    outward = [round(total, 9) for total in accumulate(max(0.0, -span) for span in spans)]
    return inward[: len(t_s)], outward[: len(t_s)]


def csv_text(record: Record) -> str:
    """The whole .bdf.csv. The same rows give the same text."""
    table = columns(record)
    names = step_names(record)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*table, STEP_ID])
    for step, row in zip(record.rows.steps, zip(*table.values(), strict=True), strict=True):
        writer.writerow([*map(_cell, row), names.get(step, "")])
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
