"""What people add to a run that is closed: a judgement from the video, and files such as the video itself.

Each is an amendment (bench/amendments.py); the sealed part stays as it is. A judgement is settled as the run itself
would have settled it: from the values that were sealed, by the criteria that were sealed.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import orjson

import sequences
from bench import amendments, judging, record
from bench.answers_file import Asked
from bench.bundle import RESULT, VALUES
from bench.cause import EndKind
from bench.judging import Settled, Values
from bench.record import Record
from bench.results import (
    EXIT_CODES,
    AttachmentResult,
    CriterionRow,
    JudgementResult,
    RunResult,
    VerdictWord,
    criterion_row,
    values_of,
)
from bench.seal_key import SealKey
from bench.verify import check_sound
from drivers.errors import ConfigError, Fault, RecordError
from sequences.language import Question, Sequence
from sequences.names import JUDGEMENT, nearest

What = Literal["video", "photo", "balance", "other"]

_CHUNK = 1 << 20
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")


def judge(
    folder: Path, name: str, *, answer: bool, by: str, note: str, utc_s: float, key: SealKey | None = None
) -> JudgementResult:
    """Answer a question of a closed run; ``name`` is the question's, or the id of the criterion that rests on it.

    A question that was answered before is answered anew: the amendment names what it supersedes, and both stay. A
    detector of the question that spoke contradicts a no, later as well as in the run. Raises ConfigError (no bundle, no
    such question, no name or note), RecordError (not closed, altered, or not to be written). ``key`` signs.
    """
    by, note = amendments.named(by, note, note_wanted=True)
    amendments.clear_broken_off(folder, key)
    check_sound(folder)
    with amendments.adding(folder, key) as adding:
        run = _Run.of(folder, adding.chain)
        question = run.question(name)
        value = judging.judgement(question, answer=answer, values=run.values)
        judged = f"{JUDGEMENT}{question.name}"
        values = {**run.values, judged: value}
        settled = judging.settle(run.sequence, values, ended=run.ended, phase=run.phase)
        judges = {**run.judges, judged: by}
        rows = run.rows(settled, judges)
        contradicted_by: list[str] = []
        if math.isnan(value):
            contradicted_by += [kind for kind in question.detectors if _spoke(values, kind)]
        verdict: VerdictWord = settled.verdict.value
        supersedes, before = run.answered.get(question.name), run.verdict
        results = values_of(settled.results, run.at_least)
        amendment = adding.append(
            "judgement",
            by=by,
            note=note,
            utc_s=utc_s,
            question=question.name,
            answer=answer,
            contradicted_by=contradicted_by,
            supersedes=supersedes,
            verdict_before=before,
            verdict=verdict,
            criteria=[row.model_dump(mode="json") for row in rows],
            results={name: result.model_dump(mode="json") for name, result in results.items()},
            awaiting=list(settled.awaiting),
        )
    return JudgementResult(
        exit_code=EXIT_CODES[verdict],
        bundle=str(folder),
        amendment=amendment.path,
        question=question.name,
        answer=answer,
        by=by,
        supersedes=supersedes,
        contradicted_by=contradicted_by,
        verdict_before=before,
        verdict=verdict,
        criteria=rows,
        results=results,
        awaiting=list(settled.awaiting),
    )


def attach(
    folder: Path,
    file: Path,
    *,
    what: What,
    by: str,
    note: str = "",
    clock_offset_s: float | None = None,
    utc_s: float,
    key: SealKey | None = None,
) -> AttachmentResult:
    """Copy a file into a closed run under its own sha256, and say in an amendment what it is.

    ``clock_offset_s``: what must be taken from the file's own clock to get the run's. Raises ConfigError (no bundle, no
    file, no name), RecordError (not closed, altered, or not to be written).
    """
    by, note = amendments.named(by, note)
    if not file.is_file():
        raise ConfigError([Fault("there is no such file", str(file), "give the path of a file to attach")])
    amendments.clear_broken_off(folder, key)
    check_sound(folder)
    with amendments.adding(folder, key) as adding:
        try:
            path, sha256, size = _copied(file, folder)
        except OSError as error:
            raise amendments.unwritable(folder, error) from error
        amendment = adding.append(
            "attachment",
            by=by,
            note=note,
            utc_s=utc_s,
            what=what,
            name=file.name,
            path=path,
            size=size,
            sha256=sha256,
            clock_offset_s=clock_offset_s,
        )
    return AttachmentResult(
        exit_code=0,
        bundle=str(folder),
        amendment=amendment.path,
        file=path,
        what=what,
        size=size,
        sha256=sha256,
        clock_offset_s=clock_offset_s,
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """A closed run with every judgement that was added so far. ``answered`` says where a question's last answer stands;
    ``judges`` who gave it, by the name that expressions use."""

    sealed: RunResult
    sequence: Sequence
    values: Values
    ended: str
    answered: Mapping[str, str]
    judges: Mapping[str, str]
    verdict: VerdictWord

    @classmethod
    def of(cls, folder: Path, chain: amendments.Chain) -> _Run:
        """Raises RecordError if the bundle does not hold what a judgement rests on."""
        kept = record.load(folder)
        try:
            sealed = RunResult.model_validate_json((folder / RESULT).read_bytes())
            values = _values(orjson.loads((folder / VALUES).read_bytes()))
            sequence = _sequence(folder)
        except (OSError, ValueError, ConfigError) as error:
            why = error.faults[0].error if isinstance(error, ConfigError) else error
            fix = "judge it with the version of this program that made it; environment.json says which"
            raise RecordError(f"what a judgement rests on cannot be read: {why}", str(folder), fix) from error
        answered = {str(it.data["question"]): f"events.jsonl, record {it.n}" for it in kept.of("judged")}
        judges = {f"{JUDGEMENT}{it.data['question']}": str(it.data["by"]) for it in kept.of("judged")}
        asked = {question.name: question for question in judging.questions(sequence)}
        verdict = sealed.verdict
        for amendment in chain.of("judgement"):
            data = amendment.data
            name, key = str(data["question"]), f"{JUDGEMENT}{data['question']}"
            values = {**values, key: judging.judgement(asked[name], answer=bool(data["answer"]), values=values)}
            answered[name], judges[key] = amendment.path, str(data["by"])
            verdict = cast("VerdictWord", data["verdict"])
        return cls(sealed, sequence, values, _ended(kept, sealed), answered, judges, verdict)

    @property
    def phase(self) -> str | None:
        return self.sealed.ended_by.phase

    @property
    def at_least(self) -> frozenset[str]:
        return frozenset(name for name, value in self.sealed.results.items() if value.at_least)

    def question(self, name: str) -> Question:
        """The question of that name, or that a criterion of that id rests on alone. Raises ConfigError."""
        asked = Asked.by(self.sequence, ()).questions
        if name in asked:
            return next(it for it in judging.questions(self.sequence) if it.name == asked[name])
        if not asked:
            fix = "only what a judge step asks is answered by a person"
            raise ConfigError([Fault("this run asked for no judgement", name, fix)])
        error = f"the run's sequence has no question {name!r}, and no criterion of that id that rests on one alone"
        close = nearest(name, asked)
        hint = f"did you mean {close}? " if close else ""
        raise ConfigError([Fault(error, self.sequence.id, f"{hint}it has: {', '.join(asked)}")])

    def rows(self, settled: Settled, judges: Mapping[str, str]) -> list[CriterionRow]:
        """The clause table, with who entered or judged what each line rests on."""
        entered = {row.id: row.by for row in self.sealed.criteria}

        def by(identity: str, names: frozenset[str]) -> str | None:
            people = dict.fromkeys(judges[name] for name in sorted(names) if name in judges)
            return ", ".join(people) or entered.get(identity)

        return [criterion_row(row, by(row.criterion.id, row.criterion.value.names)) for row in settled.criteria]


def _ended(kept: Record, sealed: RunResult) -> str:
    """How the run ended, for its verdict: a bench that did not become safe is a device's error, as in the run."""
    kind = sealed.ended_by.kind
    safe = next((event.data for event in reversed(list(kept.of("safe_state")))), None)
    confirmed = safe is None or bool(safe.get("confirmed", True))
    return kind if confirmed or kind == EndKind.HOST.value else EndKind.DEVICE.value


def _sequence(folder: Path) -> Sequence:
    """The run's own sequence, its calls opened. Raises OSError, ValueError, ConfigError."""
    bench = tomllib.loads((folder / "bench.toml").read_text(encoding="utf-8"))
    distributions = tuple(map(str, bench.get("distributions", ())))
    text = (folder / "sequence.yaml").read_text(encoding="utf-8")
    sequence = sequences.parse(text, "sequence.yaml", distributions=distributions)
    return sequences.expand(sequence, distributions=distributions)


def _values(sealed: Mapping[str, Any]) -> Values:
    """Values as they were: null is what came to no number."""

    def number(value: float | None) -> float:
        return math.nan if value is None else float(value)

    return {
        name: tuple(number(turn) for turn in value) if isinstance(value, list) else number(value)
        for name, value in sealed.items()
    }


def _spoke(values: Values, detector: str) -> bool:
    return values.get(f"{judging.DETECTOR}{detector}") == 1.0


def _copied(file: Path, folder: Path) -> tuple[str, str, int]:
    """Copy a file among the amendments, named by its sha256; gives path in the bundle, sha256 and size.

    The copy is on disk, whole, before it has its name. Raises OSError.
    """
    place = folder / amendments.FILES
    place.mkdir(parents=True, exist_ok=True)
    part = place / f".{os.getpid()}.part"
    hashed, size = hashlib.sha256(), 0
    try:
        with file.open("rb") as source, part.open("wb") as copy:
            while chunk := source.read(_CHUNK):
                hashed.update(chunk)
                size += len(chunk)
                copy.write(chunk)
            copy.flush()
            os.fsync(copy.fileno())
        suffix = file.suffix.lower()
        name = f"{hashed.hexdigest()}{suffix if _SUFFIX.fullmatch(suffix) else ''}"
        part.replace(place / name)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    return f"{amendments.FILES}/{name}", hashed.hexdigest(), size
