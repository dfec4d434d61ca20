"""Answers that were written down beforehand, in a YAML file: entries, judgements, and who gives leave.

::

    schema: cellbench/answers/1
    answers:
      humidity: 45 %                      # an entry of the sequence
      fire: {answer: no, by: wang}        # a question of it, or the id of the criterion that rests on it
      arm: {answer: yes, by: lin}         # leave; honoured only where the far end is simulated
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from bench.answers import SCANNED, GivenAnswers, Judged, Leave, same_name
from bench.entering import bounds_of
from bench.judging import questions
from drivers.errors import ConfigError, Fault
from drivers.toml_text import read_text
from drivers.units import UnitError, parse_quantity
from sequences.document import Data, Document, read_document
from sequences.language import Entry, Sequence, Transfer
from sequences.names import JUDGEMENT
from sequences.tree import walk_steps

SCHEMA = "cellbench/answers/1"
LEAVES: tuple[str, ...] = get_args(Leave)
_WORDS = {"yes": True, "true": True, "no": False, "false": False}
_NAMED = "{answer: yes, by: NAME}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a sequence asks of people. ``questions`` gives the name of each question by that name, and by the id of
    every criterion that rests on it alone."""

    entries: Mapping[str, Entry]
    questions: Mapping[str, str]
    scans: bool

    @classmethod
    def by(cls, sequence: Sequence, entries: Iterable[Entry]) -> Asked:
        names = {question.name: question.name for question in questions(sequence)}
        for criterion in sequence.criteria:
            used = [name for name in criterion.value.names if name.startswith(JUDGEMENT)]
            if len(used) == 1:
                names.setdefault(criterion.id, used[0].removeprefix(JUDGEMENT))
        scans = any(isinstance(step, Transfer) for _, step in walk_steps(sequence.steps))
        return cls({entry.name: entry for entry in entries}, names, scans)

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that an answers file may answer."""
        return tuple(dict.fromkeys((*self.entries, *self.questions, *([SCANNED] if self.scans else []), *LEAVES)))


def answers_from_file(path: Path, asked: Asked, *, simulated: bool, sample: str | None = None) -> GivenAnswers:
    """The answers of a file to what a sequence asks. Leave and hazardous confirmations are given only if ``simulated``;
    whoever has leave to carry there scans ``sample``, unless the file says another. Raises ConfigError with every slip.
    """
    text = read_text(path, "answers file")
    file = _File(str(path), read_document(text, plain=True), asked)
    file.read()
    if file.faults:
        raise ConfigError(file.faults)
    if simulated and sample is not None and asked.scans:
        file.values.setdefault(SCANNED, sample)
    return GivenAnswers(
        path.name,
        file.values,
        confirms_hazard=simulated,
        permits=file.permits,
        judged=file.judged,
        entered_by=file.entered_by,
    )


@dataclass(frozen=True, slots=True)
class _Said:
    """One answer as it was written."""

    answer: str
    by: str | None
    note: str


class _File:
    """One walk over a file's answers, gathering them and every fault."""

    def __init__(self, path: str, document: Document, asked: Asked) -> None:
        self._path = path
        self._document = document
        self._asked = asked
        self.values: dict[str, float | str] = {}
        self.entered_by: dict[str, str] = {}
        self.judged: dict[str, Judged] = {}
        self.permits: dict[str, str] = {}
        self.faults = [
            Fault(slip.error, f"{path}:{slip.mark.line}", slip.fix) for slip in document.slips
        ]  # what is no YAML, or more than plain values

    def read(self) -> None:
        data = self._document.data
        if data is None or not self._document.whole:
            if not self.faults:
                self.faults.append(Fault("is no answers file", self._path, f"begin it with schema: {SCHEMA}"))
            return
        schema = data.get("schema")
        if schema != SCHEMA:
            error = "says no schema" if schema is None else f"schema {schema} is not one that can be read here"
            self._fault(error, f"begin it with schema: {SCHEMA}", "schema")
        for key in data:
            if key not in ("schema", "answers"):
                self._fault(f"unknown key `{key}`", "an answers file holds schema and answers", key)
        answers = data.get("answers", {})
        if not isinstance(answers, dict):
            self._fault("`answers` is not a mapping", "write below it one `name: answer` a line", "answers")
            return
        spoiled = {path[1] for path in self._document.spoiled if path[:1] == ("answers",) and len(path) > 1}
        for name, value in answers.items():
            said = None if name in spoiled else self._said(name, value)
            if said is not None:
                self._take(name, said)
        armed, started = self.permits.get("arm"), self.permits.get("start")
        if armed is not None and started is not None and same_name(armed) == same_name(started):
            self._fault(
                f"{armed} both arms and starts", "a second person starts: write another name", "answers", "start"
            )

    def _said(self, name: str, value: Data) -> _Said | None:
        if isinstance(value, str):
            return _Said(value.strip(), None, "")
        shape = f"write `{name}: {_NAMED}`"
        if not isinstance(value, dict):
            self._fault(f"{name} is a list", shape, "answers", name)
            return None
        wrong = [key for key in value if key not in ("answer", "by", "note")]
        wrong += [key for key in value if key not in wrong and not isinstance(value[key], str)]
        for key in wrong:
            self._fault(f"{name}: `{key}` is not understood", shape, "answers", name, key)
        answer, by, note = value.get("answer"), value.get("by"), value.get("note", "")
        if wrong or not isinstance(answer, str) or not isinstance(note, str) or not (by is None or isinstance(by, str)):
            if not wrong:
                self._fault(f"{name} has no answer", shape, "answers", name)
            return None
        if by is not None and not by.strip():
            self._fault(f"{name}: `by` is empty", "write who answers", "answers", name, "by")
            return None
        return _Said(answer.strip(), None if by is None else by.strip(), note)

    def _take(self, name: str, said: _Said) -> None:
        asked = self._asked
        if name in asked.entries:
            self._entry(name, asked.entries[name], said)
        elif name == SCANNED and asked.scans:
            self.values[name] = said.answer
        elif name in asked.questions:
            answered = self._yes_or_no(name, said)
            if answered is not None:
                self._judge(name, asked.questions[name], answered)
        elif name in LEAVES:
            answered = self._yes_or_no(name, said)
            if answered is not None and answered.answer:
                self.permits[name] = answered.by
        else:
            close = difflib.get_close_matches(name, asked.names, n=1)
            hint = f"did you mean `{close[0]}`? " if close else "remove it; "
            self._fault(
                f"the sequence asks for no `{name}`", f"{hint}it asks for: {', '.join(asked.names)}", "answers", name
            )

    def _judge(self, name: str, question: str, judged: Judged) -> None:
        before = self.judged.setdefault(question, judged)
        if before.answer != judged.answer:
            self._fault(f"{name} answers {question} otherwise than before", "keep one of the two", "answers", name)

    def _entry(self, name: str, entry: Entry, said: _Said) -> None:
        slip = _slip(name, entry, said.answer)
        if slip is not None:
            self._fault(*slip, "answers", name)
            return
        self.values[name] = said.answer
        if said.by is not None:
            self.entered_by[name] = said.by

    def _yes_or_no(self, name: str, said: _Said) -> Judged | None:
        answer = _WORDS.get(said.answer.lower())
        if answer is None:
            self._fault(f"{name}: {said.answer!r} is neither yes nor no", f"write `{name}: {_NAMED}`", "answers", name)
        elif said.by is None:
            self._fault(f"{name}: nobody's name stands behind it", f"write `{name}: {_NAMED}`", "answers", name)
        else:
            return Judged(answer, said.by, said.note)
        return None

    def _fault(self, error: str, fix: str, *path: str) -> None:
        line = self._document.mark(path).line
        self.faults.append(Fault(error, f"{self._path}:{line}", fix))


def _slip(name: str, entry: Entry, answer: str) -> tuple[str, str] | None:
    """What is wrong with the answer to an entry, and what to do; None if it is fine."""
    if entry.text:
        return None if answer else (f"{name} is empty", "write the answer, or remove the line")
    example = "45 %" if entry.example is None else entry.example.text
    try:
        quantity = parse_quantity(answer)
    except UnitError as error:
        return f"{name}: {error}", f"write for example {name}: {example}"
    kind = entry.example.kind if entry.example is not None else None
    if kind in (None, quantity.dimension):
        why = bounds_of(entry).refuse(quantity.value)
        return (
            None if why is None else (f"{name}: {answer}: {why}", f"write what was read, for example {name}: {example}")
        )
    return f"{name}: {answer} is a {quantity.dimension.value}", f"write a {kind}, for example {name}: {example}"
