"""docs/sequence-language.md: its worked example loads, and what it lists is what there is."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

import sequences
from drivers import BASE, UNITS, Dimension
from sequences.language import STEP_KINDS
from sequences.names import CELL, LIVE, RUN, STROKE, TRANSFER
from tests.sequences.texts import ABUSE, JUDGE

PAGE = (Path(__file__).parents[2] / "docs" / "sequence-language.md").read_text()

YAML = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_worked_example_loads_and_judges() -> None:
    text = YAML[0]
    sequence = sequences.parse(text, "docs/sequence-language.md")
    values: dict[str, float | tuple[float, ...]] = {
        "cell.rated_capacity": 60.0,
        "result.capacity": (61.0, 60.0, 59.0),
        "result.mean_voltage": (3.5, 3.6, 3.8),
        "watch.hottest": 33.0,
        "entry.humidity": 0.45,
    }
    results = {name: value.evaluate(values) for name, value in sequence.results.items()}
    assert results == pytest.approx(
        {"capacity_ah": 59.0, "smallest_capacity_ah": 59.0, "mean_voltage_v": 3.7, "hottest_c": 33.0}
    )
    kept, humidity = (sequences.judge(item, values) for item in sequence.criteria)
    assert kept.value == pytest.approx(100 * 59 / 60)
    assert (kept.unit, kept.verdict) == ("%", sequences.Verdict.PASS)
    assert humidity.verdict is sequences.Verdict.PASS


def test_the_pieces_of_an_abuse_test_load() -> None:
    question, watch = YAML[1:]
    text = ABUSE.replace(JUDGE, textwrap.indent(question, "  ")) + "watch:\n" + textwrap.indent(watch, "  ")
    sequence = sequences.parse(text, "docs/sequence-language.md")
    (runaway,) = sequence.watch
    assert runaway.when is not None
    assert runaway.during == ("needle", "observation")


def test_every_name_unit_and_step_is_on_the_page() -> None:
    words = set(re.findall(r"[\w./%]+", PAGE))
    assert set(CELL) <= words
    assert set(LIVE) <= words
    assert set(RUN) | set(STROKE) | set(TRANSFER) <= words
    assert set(UNITS) <= words
    steps = set(re.findall(r"^\| `([a-z_]+)`", PAGE, flags=re.MULTILINE)) | {"discharge"}
    assert set(STEP_KINDS) <= steps
    assert {unit for dimension, unit in BASE.items() if unit and dimension is not Dimension.CURRENT_PER_RATED} <= words
