"""What a person enters is refused outside what it can be: by a file and by a bench's simulated operator."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.answers_file import Asked, answers_from_file
from bench.binding.faults import Findings
from bench.binding.values import simulated_entries
from bench.entering import bounds_of, unit_of
from drivers.errors import ConfigError
from sequences.expressions import as_expression
from sequences.language import Entry, Text

ASKED = Text(en="air pressure", zh="大气压力")


def entry(**more: str) -> Entry:
    written = {name: as_expression(text).settled({}) for name, text in more.items()}
    return Entry(name="air_pressure", prompt=ASKED, **written)


PRESSURE = entry(example="101 kPa", at_least="30 kPa", at_most="120 kPa")


def test_bounds_are_in_base_units_and_a_value_on_one_is_inside() -> None:
    bounds = bounds_of(PRESSURE)
    assert unit_of(PRESSURE) == "kPa"
    assert (bounds.low, bounds.high) == (30.0, 120.0)
    for inside in (30.0, 101.3, 120.0):
        assert bounds.refuse(inside) is None
    for outside in (29.9, 120.1, 1013.0, -101.0):
        assert bounds.refuse(outside) == "it cannot be: at least 30 kPa and at most 120 kPa"


def test_an_entry_without_bounds_refuses_nothing() -> None:
    bounds = bounds_of(entry(example="101 kPa"))
    assert (bounds.low, bounds.high) == (None, None)
    assert bounds.refuse(1e9) is None
    assert bounds_of(entry(example="101 kPa", at_most="120 kPa")).refuse(-1.0) is None


def test_an_answers_file_with_a_slip_is_refused(tmp_path: Path) -> None:
    asked = Asked({"air_pressure": PRESSURE}, {}, scans=False)
    file = tmp_path / "answers.yaml"
    file.write_text("schema: cellbench/answers/1\nanswers:\n  air_pressure: 1013 kPa\n")
    with pytest.raises(ConfigError) as refused:
        answers_from_file(file, asked, simulated=True)
    (fault,) = refused.value.faults
    assert "air_pressure: 1013 kPa: it cannot be" in fault.error
    assert fault.where.endswith(":3")
    file.write_text("schema: cellbench/answers/1\nanswers:\n  air_pressure: 1.013 bar\n")
    assert answers_from_file(file, asked, simulated=True).without([PRESSURE]) == ()


def test_a_simulated_operator_with_a_slip_is_a_fault_of_the_bench_file() -> None:
    findings = Findings()
    simulated_entries({"air_pressure": "5 kPa"}, (PRESSURE,), "bench.toml:9", findings, wanted=True)
    (fault,) = findings.faults
    assert "air_pressure" in fault.error
    assert "it cannot be" in fault.error
