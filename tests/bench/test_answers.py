"""Answers that were prepared: a file held against what a sequence asks for, people of a simulated run, who is named."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from bench.answers import (
    Answer,
    AnswersInTurn,
    GivenAnswers,
    HeardAnswers,
    Judged,
    Leave,
    Permission,
    simulated_operator,
)
from bench.answers_file import Asked, answers_from_file
from bench.run import Order, Prepared, prepare
from bench.shipped import examples
from drivers import ConfigError
from sequences.expressions import as_expression
from sequences.language import Confirm, Entry, Grade, Question, Source, Text

SAID = Text(en="value", zh="数值")
HUMIDITY = Entry(name="humidity", prompt=SAID, example=as_expression("45 %"))
PRESSURE = Entry(name="air_pressure", prompt=SAID, example=as_expression("101 kPa"))
REMARK = Entry(name="remark", prompt=SAID, text=True)
ENTRIES = (HUMIDITY, PRESSURE, REMARK)
SOURCE = Source(standard="ours", edition="1", grade=Grade.OURS)
FIRE = Question(name="fire", text=SAID, definition=SAID, source=SOURCE)
LEAK = Question(name="leak", text=SAID, definition=SAID, source=SOURCE)
ASKED = Asked(
    entries={entry.name: entry for entry in ENTRIES},
    questions={"fire": "fire", "leak": "leak", "no-fire": "fire"},
    scans=True,
)


def written(folder: Path, *lines: str, head: str = "schema: cellbench/answers/1") -> Path:
    path = folder / "answers.yaml"
    path.write_text("\n".join((head, "answers:", *(f"  {line}" for line in lines))) + "\n")
    return path


def read(folder: Path, *lines: str, simulated: bool = True) -> GivenAnswers:
    return answers_from_file(written(folder, *lines), ASKED, simulated=simulated, sample="S-1")


def leave(what: Leave, *not_by: str) -> Permission:
    return Permission(what, SAID, frozenset(not_by))


def faults(folder: Path, *lines: str) -> list[tuple[str, str, str]]:
    with pytest.raises(ConfigError) as caught:
        read(folder, *lines)
    return [(fault.where.rpartition("/")[2], fault.error, fault.fix) for fault in caught.value.faults]


def test_answers_fit_the_entries_and_what_is_missing_is_named(tmp_path: Path) -> None:
    answers = read(tmp_path, "humidity: 45 %", "remark: {answer: as delivered, by: lin}")
    assert answers.without(ENTRIES) == ("air_pressure",)
    given = asyncio.run(answers.ask(Confirm(text=SAID, entries=ENTRIES)))
    assert given == {"humidity": 0.45, "remark": "as delivered"}
    assert answers.entered_by("humidity") == "answers.yaml"
    assert answers.entered_by("remark") == "lin (answers.yaml)"


@pytest.mark.parametrize(
    ("line", "error", "fix"),
    [
        ("humidty: 45 %", "humidty", "did you mean `humidity`"),
        ("wind: 1 m/s", "wind", "humidity, air_pressure, remark"),
        ("humidity: 45", "no unit", "humidity: 45 %"),
        ("humidity: 45 kPa", "is a pressure", "humidity: 45 %"),
        ("air_pressure: 45 %", "is a number", "air_pressure: 101 kPa"),
        ('remark: " "', "empty", "remove the line"),
        ("humidity: [45 %]", "is a list", "{answer: yes, by: NAME}"),
        ("humidity: {by: lin}", "has no answer", "{answer: yes, by: NAME}"),
        ("humidity: {answer: 45 %, who: lin}", "`who` is not understood", "{answer: yes, by: NAME}"),
        ('fire: {answer: no, by: ""}', "`by` is empty", "who answers"),
        ("fire: no", "nobody's name", "`fire: {answer: yes, by: NAME}`"),
        ("fire: {answer: perhaps, by: lin}", "neither yes nor no", "`fire: {answer: yes, by: NAME}`"),
        ("arm: yes", "nobody's name", "`arm: {answer: yes, by: NAME}`"),
        ("stroke: {answer: yes, by: lin}", "stroke", "carry, arm, start, retract, take_over"),
    ],
)
def test_a_slip_names_file_line_and_fix(tmp_path: Path, line: str, error: str, fix: str) -> None:
    ((where, said, how),) = faults(tmp_path, "# the next line has a slip", line)
    assert where == "answers.yaml:4"
    assert error in said
    assert fix in how


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("- a list\n", 1),
        ("schema: [\n", 1),
        ("schema: cellbench/answers/2\n", 1),
        ("schema: cellbench/answers/1\nanswers: 3\n", 1),
        ("answer: 1\nanswers: {humidity: 45, wind: 1 m/s}\n", 4),
        ("schema: cellbench/answers/1\nanswers: {remark: a, remark: b}\n", 1),
        ('schema = "cellbench/answers/1"\n', 1),
    ],
)
def test_a_file_that_is_no_answers_file_is_refused_with_everything(tmp_path: Path, text: str, count: int) -> None:
    path = tmp_path / "answers.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        answers_from_file(path, ASKED, simulated=True)
    assert len(caught.value.faults) == count
    assert all("answers.yaml" in fault.where for fault in caught.value.faults)


@pytest.mark.parametrize("said", ["no", "No", "false", '"no"'])
def test_a_judgement_is_given_by_question_or_criterion_and_no_is_a_word(tmp_path: Path, said: str) -> None:
    """YAML readers differ about a bare `no`; here it is an answer."""
    answers = read(tmp_path, f"no-fire: {{answer: {said}, by: wang, note: video 3}}")
    assert asyncio.run(answers.judge(FIRE, ())) == Judged(answer=False, by="wang", note="video 3")
    assert asyncio.run(answers.judge(LEAK, ())) is None


def test_a_question_that_is_answered_twice_differently_is_a_slip(tmp_path: Path) -> None:
    assert read(tmp_path, "fire: {answer: no, by: wang}", "no-fire: {answer: no, by: wang}").judged["fire"].by == "wang"
    ((where, error, _),) = faults(tmp_path, "fire: {answer: yes, by: wang}", "no-fire: {answer: no, by: wang}")
    assert where == "answers.yaml:4"
    assert "no-fire answers fire otherwise" in error


def test_leave_is_by_name_and_two_people_arm_and_start(tmp_path: Path) -> None:
    both = ("arm: {answer: yes, by: lin}", "start: {answer: yes, by: wang}", "retract: {answer: no, by: lin}")
    answers = read(tmp_path, *both)
    assert asyncio.run(answers.permit(leave("arm"))) == "lin"
    assert asyncio.run(answers.permit(leave("start", "lin"))) == "wang"
    assert asyncio.run(answers.permit(leave("start", "Wang "))) is None
    assert asyncio.run(answers.permit(leave("retract"))) is None
    assert asyncio.run(answers.permit(leave("take_over"))) is None
    ((where, error, fix),) = faults(tmp_path, "arm: {answer: yes, by: Lin Wei}", "start: {answer: yes, by: lin  wei}")
    assert where == "answers.yaml:4"
    assert "both arms and starts" in error
    assert "second person" in fix


def test_on_real_devices_a_file_enters_and_judges_and_gives_no_leave(tmp_path: Path) -> None:
    lines = ("humidity: 45 %", "fire: {answer: no, by: wang}", "arm: {answer: yes, by: lin}", "sample: S-9")
    answers = read(tmp_path, *lines, simulated=False)
    assert asyncio.run(answers.ask(Confirm(text=SAID, entries=(HUMIDITY,)))) == {"humidity": 0.45}
    assert asyncio.run(answers.ask(Confirm(text=SAID, hazardous=True))) is None
    assert asyncio.run(answers.judge(FIRE, ())) is not None
    assert asyncio.run(answers.permit(leave("arm"))) is None


SCAN = Confirm(text=SAID, entries=(Entry(name="sample", prompt=SAID, text=True),))


def test_the_sample_is_scanned_from_the_file_or_by_simulated_hands_never_for_a_real_one(tmp_path: Path) -> None:
    assert asyncio.run(read(tmp_path, "remark: none").ask(SCAN)) == {"sample": "S-1"}
    assert asyncio.run(read(tmp_path, "sample: S-9").ask(SCAN)) == {"sample": "S-9"}
    assert asyncio.run(read(tmp_path, "remark: none", simulated=False).ask(SCAN)) == {}


def test_simulated_people_are_two_and_the_observer_says_what_the_cell_did() -> None:
    people = simulated_operator({"humidity": "45 %"})
    assert asyncio.run(people.judge(FIRE, ())) is None
    happened = {"fire": False}
    people = people.at_bench(sample="S-1", seen=lambda: happened)
    first = asyncio.run(people.permit(leave("arm")))
    second = asyncio.run(people.permit(leave("start", first or "")))
    assert None not in (first, second)
    assert first != second
    judged = asyncio.run(people.judge(FIRE, ()))
    assert judged is not None
    assert (judged.answer, judged.by) == (False, "simulated observer")
    happened["fire"] = True
    assert asyncio.run(people.judge(FIRE, ())) == Judged(answer=True, by="simulated observer", note=judged.note)
    assert asyncio.run(people.judge(LEAK, ())) is None
    assert asyncio.run(people.ask(SCAN)) == {"sample": "S-1"}
    assert asyncio.run(people.ask(Confirm(text=SAID, entries=ENTRIES))) == {"humidity": 0.45}


class Person:
    """Answers the first entry only and no confirmation without one; judges yes, gives leave."""

    by = "lin"

    async def ask(self, step: Confirm) -> Mapping[str, Answer] | None:
        return {step.entries[0].name: 0.5} if step.entries else None

    async def permit(self, permission: Permission) -> str | None:
        return "lin" if permission.open_to("lin") else None

    async def judge(self, question: Question, shown: Sequence[str], /) -> Judged | None:
        return Judged(True, "lin", " ".join(shown))


def test_what_was_answered_is_heard_with_its_name_and_nothing_else() -> None:
    heard = HeardAnswers(Person())
    assert asyncio.run(heard.ask(Confirm(text=SAID))) is None
    assert heard.heard == {}
    assert asyncio.run(heard.ask(Confirm(text=SAID, entries=ENTRIES))) == {"humidity": 0.5}
    assert (heard.by, heard.heard) == ("lin", {"humidity": "lin"})
    assert asyncio.run(heard.permit(leave("start", "Lin"))) is None
    assert asyncio.run(heard.judge(FIRE, ("seen",))) == Judged(True, "lin", "seen")


def test_a_person_is_asked_for_what_the_file_leaves_open(tmp_path: Path) -> None:
    lines = ("humidity: {answer: 45 %, by: wang}", "fire: {answer: no, by: wang}", "arm: {answer: yes, by: wang}")
    answers = AnswersInTurn(read(tmp_path, *lines, simulated=False), Person())
    heard = HeardAnswers(answers)
    assert asyncio.run(heard.ask(Confirm(text=SAID, entries=(HUMIDITY,)))) == {"humidity": 0.45}
    assert (heard.by, heard.heard) == ("answers.yaml", {"humidity": "wang (answers.yaml)"})
    assert asyncio.run(heard.ask(Confirm(text=SAID, entries=(HUMIDITY,), hazardous=True))) == {"humidity": 0.5}
    assert (heard.by, heard.heard) == ("lin", {"humidity": "lin"})
    assert asyncio.run(heard.ask(Confirm(text=SAID, entries=(HUMIDITY, PRESSURE)))) == {
        "humidity": 0.45,
        "air_pressure": 0.5,
    }
    assert heard.heard == {"humidity": "wang (answers.yaml)", "air_pressure": "lin"}
    assert asyncio.run(heard.permit(leave("arm"))) == "lin"
    judged = [asyncio.run(heard.judge(question, ())) for question in (FIRE, LEAK)]
    assert [(one.answer, one.by) for one in judged if one is not None] == [(False, "wang"), (True, "lin")]


def order(answers: Path) -> Order:
    return Order(
        sequence="gbt31486-2024/room-capacity",
        bench=examples() / "benches" / "demo.toml",
        cell=examples() / "cells" / "nmc-21700.toml",
        simulate=True,
        answers=answers,
    )


def test_an_order_takes_its_answers_before_any_device_and_warns_of_missing_ones(tmp_path: Path) -> None:
    prepared: Prepared = prepare(order(written(tmp_path, "humidity: 45 %", "air_pressure: 101 kPa")), {})
    assert prepared.answers is not None
    assert [warning for warning in prepared.plan.warnings if "answers.yaml has no answer for air_speed" in warning]
    with pytest.raises(ConfigError, match="no unit"):
        prepare(order(written(tmp_path, "humidity: 45")), {})
    with pytest.raises(ConfigError, match="does not exist"):
        prepare(order(tmp_path / "none.yaml"), {})


def test_the_operators_page_shows_a_file_that_can_be_loaded(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "operator.md").read_text("utf-8")
    (example,) = re.findall(r"```yaml\n(# answers\.yaml\n.*?)```", page, re.DOTALL)
    path = tmp_path / "answers.yaml"
    path.write_text(example, "utf-8")
    prepared = prepare(order(path), {})
    assert prepared.answers is not None
    assert prepared.answers.without(prepared.plan.entries) == ()
