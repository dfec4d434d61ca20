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
    "resumed": ("R", "resumed", True),
    "resume_refused": ("!", "not resumed", True),
    "authorised_start": ("R", "authorised start", True),
    "closed": ("E", "given up", True),
    "permitted": ("A", "leave", False),
    "not_permitted": ("!", "no leave", True),
    "transferred": ("T", "carried", False),
    "stroke_started": ("▸", "stroke started", False),
    "contact": ("C", "contact", False),
    "stroke_ended": ("▪", "stroke ended", False),
    "stroke_unread": ("!", "stroke not read", True),
    "retracted": ("◂", "tool pulled out", False),
    "short_close": ("▸", "short circuit closed", False),
    "short_open": ("▪", "short circuit opened", False),
    "heater": ("▸", "heater", False),
    "sample_event": ("*", "the sample", True),
    "bench_event": ("!", "the bench", True),
    "observing_on": ("O", "energy away, the observation goes on", True),
    "observation_begun": ("O", "observation begun", False),
    "observation_ended": ("O", "observation ended", False),
    "observation_broken_off": ("!", "observation broken off", True),
    "stop_asked": ("!", "a person asked to stop", True),
    "judged": ("J", "judged", False),
    "judgement_missing": ("!", "not judged", True),
    "handover": ("H", "handed over", False),
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
        case "permitted" | "not_permitted":
            by = f" by {data['by']}" if "by" in data else ""
            return f"{words}{by}: {str(data.get('what')).replace('_', ' ')}"
        case "transferred":
            ocv = f"OCV {number(data.get('ocv_before_v'), 5)} V before, {number(data.get('ocv_after_v'), 5)} V after"
            return f"{words} by {data.get('by')} from {data.get('from')} to {data.get('to')}, {ocv}"
        case "contact":
            volts = f", cell at {number(data['voltage_v'], 4)} V" if "voltage_v" in data else ""
            return f"{words}: {data.get('what')}{volts}"
        case "judged":
            against = f", CONTRADICTED by {', '.join(data['contradicted_by'])}" if "contradicted_by" in data else ""
            return (
                f"{words} by {data.get('by')}: {data.get('question')} {'yes' if data.get('answer') else 'no'}{against}"
            )
        case "handover":
            return f"{words} to {data.get('by') or 'NOBODY'}"
        case "stroke_ended":
            depth = f", {number(data['depth_mm'])} mm deep" if "depth_mm" in data else ""
            return f"{words}: {str(data.get('reason')).replace('_', ' ')}{depth}"
        case "trip" | "ending" | "sample_event" | "bench_event" | "observing_on":
            parts = [str(data.get("cause", "")), str(data.get("rule", "")), str(data.get("device", ""))]
            numbers = [f"{key} {_said(data[key])}" for key in ("value", "limit") if key in data]
            return f"{words}: " + ", ".join([part for part in parts if part] + numbers).replace("_", " ")
        case _:
            return f"{words}: " + ", ".join(f"{key} {_said(value)}" for key, value in data.items())


def _said(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)
