"""Bytes of the payload, worked out by hand from the wire format of protocol buffers and the Sparkplug schema."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.outbox.sparkplug_payload import DataType, Metric, PayloadError, decoded_names, encoded


def test_a_births_bytes() -> None:
    """timestamp 1 = 08 01; a metric of 7 bytes = 12 07: name "b" (0a 01 62), type 4 (20 04), long 7 (58 07); seq 0."""
    made = encoded([Metric("b", 7, DataType.INT64)], timestamp_ms=1, seq=0)
    assert made.hex(" ") == "08 01 12 07 0a 01 62 20 04 58 07 18 00"


def test_a_deaths_payload_has_no_sequence_number() -> None:
    assert encoded([], timestamp_ms=300, seq=None).hex(" ") == "08 ac 02"


def test_data_by_alias_historical_and_null() -> None:
    """alias 5 = 10 05, timestamp 1 = 18 01, historical = 28 01, then null = 38 01 or double 1.0 = 69 and 8 bytes."""
    null = encoded([Metric(None, None, None, 5, 1, historical=True)], timestamp_ms=1, seq=255)
    assert null.hex(" ") == "08 01 12 08 10 05 18 01 28 01 38 01 18 ff 01"
    one = encoded([Metric(None, 1.0, None, 5)], timestamp_ms=1, seq=1)
    assert one.hex(" ") == "08 01 12 0b 10 05 69 00 00 00 00 00 00 f0 3f 18 01"


def test_a_negative_long_is_its_twos_complement() -> None:
    made = encoded([Metric("b", -1, DataType.INT64)], timestamp_ms=1, seq=0)
    assert "58 ff ff ff ff ff ff ff ff ff 01" in made.hex(" ")


@given(st.lists(st.tuples(st.text(max_size=20), st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20))))
def test_what_is_said_is_heard(told: list[tuple[str, bool | float | str]]) -> None:
    metrics = [Metric(name, value, DataType.STRING) for name, value in told]
    heard = decoded_names(encoded(metrics, timestamp_ms=1, seq=0))
    assert heard == [(name.encode("utf-8", "replace").decode(), value) for name, value in told]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        decoded_names(data)
    except PayloadError:
        return


@pytest.mark.parametrize(
    "data",
    [
        b"\x12",
        b"\x12\x05abc",
        b"\x80" * 20,
        b"\x12\x02\x0a\x05",
        b"\x00\x01",
        b"\x0b",
        b"\x12\x03\x0a\x01\xff",
        b"\0" * 70_000,
    ],
)
def test_what_is_cut_or_endless_is_refused(data: bytes) -> None:
    with pytest.raises(PayloadError):
        decoded_names(data)
