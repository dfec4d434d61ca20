"""The options of several commands: their texts as values, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bench.cli.options import settings_of, speed_of, start_of
from drivers import ConfigError


def test_settings_are_name_and_value_and_every_other_is_refused() -> None:
    assert settings_of(["current=1 I3", " rest = a=b "]) == {"current": "1 I3", "rest": "a=b"}
    with pytest.raises(ConfigError) as caught:
        settings_of(["current", "=1 A", "rest=1 h"])
    assert [fault.error.split()[0] for fault in caught.value.faults] == ["'current'", "'=1"]


@pytest.mark.parametrize(("text", "speed"), [("max", None), ("real", 1.0), ("60", 60.0), ("0.5", 0.5)])
def test_a_speed_is_how_many_times_faster_than_real(text: str, speed: float | None) -> None:
    assert speed_of(text) == speed


@pytest.mark.parametrize("text", ["", "fast", "0", "-1", "nan", "inf", "1e12"])
def test_what_is_no_speed_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no speed"):
        speed_of(text)


@pytest.mark.parametrize(
    "text", ["2026-01-05T08:00:00+00:00", "2026-01-05T08:00:00", "2026-01-05T08:00:00Z", "2026-01-05T16:00:00+08:00"]
)
def test_a_start_is_utc_unless_it_says_otherwise(text: str) -> None:
    assert datetime.fromtimestamp(start_of(text), UTC) == datetime(2026, 1, 5, 8, tzinfo=UTC)


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(ConfigError, match="is no time"):
        start_of("tomorrow")
