"""Numbers, limits and durations as people read them: the same on the terminal, in the report and in messages."""

from __future__ import annotations

import math


def number(value: float | None, digits: int = 5) -> str:
    """A number to so many significant digits, without an exponent where it can be read without one."""
    if value is None:
        return "—"
    if value == 0.0 or not math.isfinite(value):
        return f"{value:g}"
    magnitude = math.floor(math.log10(abs(value)))
    if not -4 <= magnitude < 9:
        return f"{value:.{digits - 1}e}"
    text = f"{value:.{max(digits - 1 - magnitude, 0)}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def duration(seconds: float | None) -> str:
    """3 h 02 min, 4 min 10 s, 12.5 s."""
    if seconds is None:
        return "—"
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    if whole >= 60:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{seconds:.1f} s"


def between(low: float | None, high: float | None, digits: int = 5) -> str:
    """What a value must lie between: ``≥ 2.5``, ``≤ 75``, ``15 … 30``."""
    if low is not None and high is not None:
        return f"{number(low, digits)} … {number(high, digits)}"
    if low is not None:
        return f"≥ {number(low, digits)}"
    return f"≤ {number(high, digits)}" if high is not None else "—"
