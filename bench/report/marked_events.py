"""The events worth a mark in the plots and a line in the list of a report, each in one line of words."""

from __future__ import annotations

from typing import Any

from bench.printed import number
from bench.record import Event

#: Events worth a mark in the plots and a line in the list: sign, words, whether it is bad news.
MARKED: dict[str, tuple[str, str, bool]] = {
    "preflight_passed": ("P", "preflight passed", False),
    "trip": ("✕", "guard trip", True),
    "reading_lost": ("!", "readings lost", True),
    "reading_recovered": ("r", "readings back", False),
    "quality": ("q", "quality of a reading changed", True),
    "safe_state_begun": ("S", "safe state begun", False),
    "safe_state_failed": ("✕", "safe state not confirmed", True),
    "safe_state": ("S", "safe state", False),
    "answered": ("A", "answered", False),
    "unanswered": ("!", "not answered", True),
    "turn_started": ("↻", "turn", False),
    "ending": ("E", "end", False),
    "reopened": ("!", "record reopened", True),
    "forced_jumps": ("!", "forced jumps of the virtual clock", True),
}


def said(event: Event) -> str:
    """One event in one line."""
    words = MARKED[event.kind][1]
    data = {key: value for key, value in event.data.items() if value not in (None, "", [], {}) and key != "readings"}
    match event.kind:
        case "safe_state":
            return f"{words}: {'confirmed' if data.get('confirmed') else 'NOT CONFIRMED'}"
        case "turn_started":
            return f"turn {data.get('turn')} of {data.get('id')}"
        case "answered":
            values = ", ".join(f"{name} = {_said(value)}" for name, value in (data.get("values") or {}).items())
            return f"answered by {data.get('by')}" + (f": {values}" if values else "")
        case "preflight_passed":
            return f"{words}, OCV {number(data.get('ocv_v'), 4)} V"
        case "trip" | "ending":
            parts = [str(data.get("cause", "")), str(data.get("rule", "")), str(data.get("device", ""))]
            numbers = [f"{key} {_said(data[key])}" for key in ("value", "limit") if key in data]
            return f"{words}: " + ", ".join([part for part in parts if part] + numbers).replace("_", " ")
        case _:
            return f"{words}: " + ", ".join(f"{key} {_said(value)}" for key, value in data.items())


def _said(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)
