"""An operator's answers from a file, held against what a sequence asks for; and who is named for a value."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bench.answers import Answer, HeardAnswers, answers_from_file
from bench.run import Order, Prepared, prepare
from bench.shipped import examples
from drivers import ConfigError
from sequences.expressions import as_expression
from sequences.language import Confirm, Entry, Text

SAID = Text(en="value", zh="数值")
HUMIDITY = Entry(name="humidity", prompt=SAID, example=as_expression("45 %"))
PRESSURE = Entry(name="air_pressure", prompt=SAID, example=as_expression("101 kPa"))
REMARK = Entry(name="remark", prompt=SAID, text=True)
ENTRIES = (HUMIDITY, PRESSURE, REMARK)


def written(folder: Path, *lines: str, head: str = 'schema = "cellbench/answers/1"') -> Path:
    path = folder / "answers.toml"
    path.write_text("\n".join((head, "[entries]", *lines)) + "\n")
    return path


def test_answers_fit_the_entries_and_what_is_missing_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, 'humidity = "45 %"', 'remark = "as delivered"')
    answers = answers_from_file(path, simulated=False, entries=ENTRIES)
    assert answers.without(ENTRIES) == ("air_pressure",)
    given = asyncio.run(answers.ask(Confirm(text=SAID, entries=ENTRIES)))
    assert given == {"humidity": 0.45, "remark": "as delivered"}


@pytest.mark.parametrize(
    ("line", "error", "fix"),
    [
        ('humidty = "45 %"', "humidty", "did you mean `humidity`"),
        ('wind = "1 m/s"', "wind", "humidity, air_pressure, remark"),
        ("humidity = 45", "not text with its unit", 'humidity = "45 %"'),
        ('humidity = "45"', "no unit", 'humidity = "45 %"'),
        ('humidity = "45 kPa"', "is a pressure", 'humidity = "45 %"'),
        ('air_pressure = "45 %"', "is a number", 'air_pressure = "101 kPa"'),
        ('remark = " "', "empty", "remove the line"),
    ],
)
def test_a_slip_names_file_line_and_fix(tmp_path: Path, line: str, error: str, fix: str) -> None:
    with pytest.raises(ConfigError) as caught:
        answers_from_file(written(tmp_path, "", line), simulated=False, entries=ENTRIES)
    (fault,) = caught.value.faults
    assert fault.where.endswith("answers.toml:4")
    assert error in fault.error
    assert fix in fault.fix


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", 1),
        ("schema = ", 1),
        ('schema = "cellbench/answers/2"\n', 1),
        ('schema = "cellbench/answers/1"\nentries = 3\n', 1),
        ('answers = 1\nentries = {humidity = 45, wind = "1 m/s"}\n', 4),
    ],
)
def test_a_file_that_is_no_answers_file_is_refused_with_everything(tmp_path: Path, text: str, faults: int) -> None:
    path = tmp_path / "answers.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        answers_from_file(path, simulated=True, entries=ENTRIES)
    assert len(caught.value.faults) == faults
    assert all("answers.toml" in fault.where for fault in caught.value.faults)


def order(answers: Path) -> Order:
    return Order(
        sequence="gbt31486-2024/room-capacity",
        bench=examples() / "benches" / "demo.toml",
        cell=examples() / "cells" / "nmc-21700.toml",
        simulate=True,
        answers=answers,
    )


def test_an_order_takes_its_answers_before_any_device_and_warns_of_missing_ones(tmp_path: Path) -> None:
    prepared: Prepared = prepare(order(written(tmp_path, 'humidity = "45 %"', 'air_pressure = "101 kPa"')), {})
    assert prepared.answers is not None
    assert [warning for warning in prepared.plan.warnings if "answers.toml has no answer for air_speed" in warning]
    with pytest.raises(ConfigError, match="no unit"):
        prepare(order(written(tmp_path, 'humidity = "45"')), {})
    with pytest.raises(ConfigError, match="does not exist"):
        prepare(replace(order(tmp_path / "none.toml")), {})


def test_the_operators_page_shows_a_file_that_can_be_loaded(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "operator.md").read_text("utf-8")
    (example,) = re.findall(r"```toml\n(# answers\.toml\n.*?)```", page, re.DOTALL)
    path = tmp_path / "answers.toml"
    path.write_text(example, "utf-8")
    prepared = prepare(order(path), {})
    assert prepared.answers is not None
    assert prepared.answers.without(prepared.plan.entries) == ()


class Silent:
    """Answers the first entry only, and no confirmation without one."""

    by = "lin"

    async def ask(self, step: Confirm) -> Mapping[str, Answer] | None:
        return {step.entries[0].name: 0.45} if step.entries else None


def test_what_was_answered_is_heard_and_nothing_else() -> None:
    heard = HeardAnswers(Silent())
    assert asyncio.run(heard.ask(Confirm(text=SAID))) is None
    assert heard.heard == set()
    assert asyncio.run(heard.ask(Confirm(text=SAID, entries=ENTRIES))) == {"humidity": 0.45}
    assert (heard.by, heard.heard) == ("lin", {"humidity"})
