"""Numbers, limits and durations as people read them."""

from __future__ import annotations

import pytest

from bench.printed import between, duration, number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (300.0, "300"),
        (0.5, "0.5"),
        (-1.25, "−1.25"),
        (62.20697, "62.207"),
        (1e-7, "1.0000e-07"),
        (31_536_000.0, "31536000"),
        (0.0, "0"),
        (None, "—"),
    ],
)
def test_numbers_as_people_read_them(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(12.34, "12.3 s"), (250.0, "4 min 10 s"), (10923.0, "3 h 02 min")])
def test_durations_as_people_read_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(15.0, 35.0, "15 … 35"), (-1.5, None, "≥ −1.5"), (None, 0.03, "≤ 0.03"), (None, None, "—")],
)
def test_limits_as_people_read_them(low: float | None, high: float | None, text: str) -> None:
    assert between(low, high) == text
