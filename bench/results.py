"""What commands say under ``--json``: one strict model each, and the JSON Schemas made from them.

``python -m bench.results DIR`` writes the schemas to DIR (docs/schemas in this project). Every object carries
``schema`` and ``exit_code``; enumerations are lower case; a number's unit stands beside it or in its name.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bench.daemon.views import AlarmView, BenchView, RunView
from bench.samples import Sample
from drivers.errors import BenchError, Fault
from drivers.units import unit_of

if TYPE_CHECKING:
    from bench.outcome import Outcome
    from sequences.verdict import CriterionResult

ModeWord = Literal["simulated", "live"]
VerdictWord = Literal["pass", "fail", "error", "aborted", "inconclusive"]
EndWord = Literal[
    "completed", "sample_event", "bench_limit", "staleness", "interlock", "person", "device", "host"
]  # fmt: skip

#: The exit code that each verdict ends a run with.
EXIT_CODES: dict[VerdictWord, int] = {"pass": 0, "fail": 1, "aborted": 3, "error": 4, "inconclusive": 5}


class Shape(BaseModel):
    """Strict both ways: nothing is coerced, nothing unknown gets in, no NaN gets out."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
        json_schema_serialization_defaults_required=True,
    )


class Result(Shape):
    """Every object that ends stdout."""

    exit_code: int = Field(ge=0, le=5)


class FaultRow(Shape):
    """One thing that is wrong: what, where it stands, what to do about it."""

    error: str
    where: str
    fix: str

    @classmethod
    def of(cls, fault: Fault) -> FaultRow:
        return cls(error=fault.error, where=fault.where, fix=fault.fix)


class ErrorResult(Result):
    """A command that could not do what it was asked."""

    schema_: Literal["cellbench/error/1"] = Field(default="cellbench/error/1", alias="schema")
    faults: list[FaultRow] = Field(min_length=1)


class Value(Shape):
    """A number and its unit ("" for a plain number). ``at_least``: a sensor was lost near it, it may be more."""

    value: float
    unit: str
    at_least: bool = False


class Limit(Shape):
    """What a value must lie between; null: no limit on that side."""

    at_least: float | None = None
    at_most: float | None = None


class CriterionRow(Shape):
    """One line of the clause table. ``grade`` is A, B, U (unverified) or ours; ``by`` names who entered or judged."""

    id: str
    kind: Literal["requirement", "condition"]
    title: str
    title_zh: str
    source: str
    clause: str | None
    verdict: VerdictWord
    value: float | None
    unit: str
    limit: Limit
    grade: Literal["A", "B", "U", "ours"]
    note: str | None = None
    by: str | None = None


class EndedByRow(Shape):
    """What ended the run: ``completed`` is the sequence's own end."""

    phase: Literal["conditioning", "stimulus", "observation"] | None
    kind: EndWord
    rule: str | None = None
    device: str | None = None
    value: float | None = None
    limit: float | None = None


class SampleUsed(Shape):
    """The sample of a run, and the mass that its results divide by. ``mass_is_nominal``: its type's, not weighed."""

    id: str
    mass_kg: float
    mass_is_nominal: bool


class RunResult(Result):
    """What ``run`` ends with, and ``result.json`` of the bundle (where ``bundle`` is ".")."""

    schema_: Literal["cellbench/run/1"] = Field(default="cellbench/run/1", alias="schema")
    run_id: str
    bundle: str
    mode: ModeWord
    sample: SampleUsed | None = None
    verdict: VerdictWord
    ended_by: EndedByRow
    criteria: list[CriterionRow]
    results: dict[str, Value]
    plant_truth: dict[str, Value] | None
    awaiting: list[str] = Field(default_factory=list, description="criteria that await a person's judgement")
    test_s: float
    wall_s: float
    faults: list[FaultRow] = Field(default_factory=list)


class DemoResult(Result):
    """What ``demo`` ends with: its runs, in order. ``exit_code`` is 0 if each came to a verdict, pass or fail."""

    schema_: Literal["cellbench/demo/1"] = Field(default="cellbench/demo/1", alias="schema")
    runs: list[RunResult] = Field(min_length=1)


class CheckResult(Result):
    """What ``check`` found on the files alone; ``estimate_s`` is how long the run would take, ``takes_away`` what takes
    the energy of each stimulus step away and by when."""

    schema_: Literal["cellbench/check/1"] = Field(default="cellbench/check/1", alias="schema")
    sequence: str
    bench: str
    cell: str
    warnings: list[str]
    parameters: dict[str, str]
    estimate_s: float | None = None
    takes_away: list[str] = Field(default_factory=list)


class VerifyStatus(StrEnum):
    INTACT = "intact"
    ALTERED = "altered"
    NOT_A_BUNDLE = "not_a_bundle"
    NOT_CLOSED = "not_closed"
    #: Whole in itself, but whose it is cannot be told: the key is not among those that are trusted, or nobody signed.
    UNKNOWN_KEY = "unknown_key"
    UNSIGNED = "unsigned"
    #: A newer program closed it; this one cannot judge it.
    NEWER = "newer"


class Problem(Shape):
    """What does not fit, in which file, and at which record or line of it where that can be told (from 0)."""

    file: str
    record: int | None
    error: str

    def __str__(self) -> str:
        place = self.file if self.record is None else f"{self.file}, record {self.record}"
        return f"{place}: {self.error}"


class SignatureRow(Shape):
    """Who signed a file: the public key (null: nobody), and the name it is known by (null: it is not)."""

    file: str
    key: str | None
    name: str | None


class VerifyResult(Result):
    """What ``verify`` found. ``owned``: a live process still writes it. ``intact`` is said only where everything is
    whole and signed by keys that are known."""

    schema_: Literal["cellbench/verify/1"] = Field(default="cellbench/verify/1", alias="schema")
    bundle: str
    status: VerifyStatus
    problems: list[Problem]
    owned: bool = False
    durable: bool | None = None
    amendments: int = Field(default=0, description="how many additions since the seal hold; note it, with the digest")
    signatures: list[SignatureRow] = Field(default=[], description="of the manifest, then of each amendment")


class JudgementResult(Result):
    """What ``judge`` ends with: the answer that was added, and what the run now comes to.

    ``supersedes`` names what said otherwise before, an amendment or a record of events.jsonl; both stay. With
    ``contradicted_by`` a detector said that it happened: the answer then decides nothing.
    """

    schema_: Literal["cellbench/judgement/1"] = Field(default="cellbench/judgement/1", alias="schema")
    bundle: str
    amendment: str
    question: str
    answer: bool
    by: str
    supersedes: str | None
    contradicted_by: list[str]
    verdict_before: VerdictWord
    verdict: VerdictWord
    criteria: list[CriterionRow]
    results: dict[str, Value]
    awaiting: list[str]
    sample_state: str | None = Field(default=None, description="what the sample's record now says, if it was changed")


class AttachmentResult(Result):
    """What ``attach`` ends with. ``clock_offset_s`` is the file's clock less the bench's."""

    schema_: Literal["cellbench/attachment/1"] = Field(default="cellbench/attachment/1", alias="schema")
    bundle: str
    amendment: str
    file: str
    what: Literal["video", "photo", "balance", "other"]
    size: int
    sha256: str
    clock_offset_s: float | None


class FileResult(Result):
    """What ``report`` and ``export`` wrote."""

    schema_: Literal["cellbench/file/1"] = Field(default="cellbench/file/1", alias="schema")
    bundle: str
    files: list[str]


class HandoverResult(Result):
    """What ``handover`` put on its page: benches, runs, samples and points by name. ``overdue`` is null where no bench
    file was given."""

    schema_: Literal["cellbench/handover/1"] = Field(default="cellbench/handover/1", alias="schema")
    data: str
    file: str
    language: Literal["en", "zh"]
    since: str
    trips: list[str]
    interrupted: list[str]
    awaiting: list[str]
    runs: list[str]
    samples: list[str]
    overdue: list[str] | None
    unreadable: list[str]


class SampleRow(Shape):
    """One sample record in short. ``mass_kg`` is null until it was weighed."""

    id: str
    type: str
    serial: str | None
    batch: str | None
    mass_kg: float | None
    state: str
    runs: list[str]


class SampleList(Result):
    """What ``sample list`` ends with, and ``sample add`` for the one that it added."""

    schema_: Literal["cellbench/samples/1"] = Field(default="cellbench/samples/1", alias="schema")
    samples: list[SampleRow]


class SampleResult(Sample):
    """What ``sample show`` and ``sample weigh`` end with: the whole record, as it is kept, and ``exit_code``."""

    exit_code: int = Field(ge=0, le=5)

    @classmethod
    def of(cls, sample: Sample) -> SampleResult:
        return cls.model_validate({**sample.model_dump(by_alias=True), "exit_code": 0})


class AckResult(Result):
    """What ``ack`` ends with: the latch that was taken away, by whom, and what the hardware said then. Where a daemon
    took it away, ``cause`` names the run and ``seen`` stands in the daemon's record."""

    schema_: Literal["cellbench/ack/1"] = Field(default="cellbench/ack/1", alias="schema")
    bench: str
    run_id: str
    by: str
    note: str
    cause: str
    seen: dict[str, float | None]


class StatusResult(Result):
    """What ``status`` ends with: the wall of the daemon at ``url``, and its open alarms."""

    schema_: Literal["cellbench/status/1"] = Field(default="cellbench/status/1", alias="schema")
    url: str
    bench: BenchView
    alarms: tuple[AlarmView, ...]


class StopResult(Result):
    """What ``stop`` and ``abort`` end with: the runs that were stopped, as they were when the daemon answered."""

    schema_: Literal["cellbench/stop/1"] = Field(default="cellbench/stop/1", alias="schema")
    runs: tuple[RunView, ...]


class UserRow(Shape):
    """A user of the interface. ``role`` holds all that the roles before it hold."""

    name: str
    role: str
    disabled: bool


class UserList(Result):
    """What ``user`` ends with: the user that was changed, or all of them."""

    schema_: Literal["cellbench/users/1"] = Field(default="cellbench/users/1", alias="schema")
    users: list[UserRow]


class SequenceRow(Shape):
    """One sequence of the library; ``status`` is where the standard's edition stands."""

    id: str
    title: str
    summary: str
    standard: str | None
    status: str | None
    class_: str = Field(alias="class")


class SequenceList(Result):
    """What ``sequences`` ends with."""

    schema_: Literal["cellbench/sequences/1"] = Field(default="cellbench/sequences/1", alias="schema")
    sequences: list[SequenceRow]


class FaultKindRow(Shape):
    """One fault that a script may name; ``where`` is what it is aimed at, ``parameters`` their defaults."""

    name: str
    numbers: list[str]
    where: Literal["device", "point", "place", "channel", ""]
    models: list[str]
    lasting: bool
    parameters: dict[str, str]
    en: str
    zh: str


class FaultKindList(Result):
    """What ``faults`` ends with."""

    schema_: Literal["cellbench/fault-table/1"] = Field(default="cellbench/fault-table/1", alias="schema")
    faults: list[FaultKindRow]


class DeviceRow(Shape):
    """One device model; ``evidence`` says how far its driver's claim goes."""

    model: str
    title: str
    kind: str
    schemes: list[str]
    points: dict[str, str]
    on_comm_loss: str
    evidence: str


class DeviceList(Result):
    """What ``devices`` ends with."""

    schema_: Literal["cellbench/devices/1"] = Field(default="cellbench/devices/1", alias="schema")
    devices: list[DeviceRow]


def error_result(error: BenchError, exit_code: int) -> ErrorResult:
    """Every fault of an error, ready to print."""
    return ErrorResult(exit_code=exit_code, faults=[FaultRow.of(fault) for fault in error.faults])


def run_result(
    outcome: Outcome,
    *,
    run_id: str,
    bundle: str,
    mode: ModeWord,
    wall_s: float,
    sample: SampleUsed | None = None,
    entered: Mapping[str, str] | None = None,
) -> RunResult:
    """What ``run`` says. ``entered``: by criterion id, who entered the value that it judges."""
    ended = outcome.ended_by
    verdict: VerdictWord = outcome.verdict.value
    return RunResult(
        exit_code=EXIT_CODES[verdict],
        run_id=run_id,
        bundle=bundle,
        mode=mode,
        sample=sample,
        verdict=verdict,
        ended_by=EndedByRow.model_validate(
            {
                "phase": ended.phase,
                "kind": ended.kind.value,
                "rule": ended.rule,
                "device": ended.device,
                "value": ended.value,
                "limit": ended.limit,
            }
        ),
        criteria=[criterion_row(row, (entered or {}).get(row.criterion.id)) for row in outcome.criteria],
        results=values_of(outcome.results, outcome.at_least),
        plant_truth=None if outcome.plant_truth is None else values_of(outcome.plant_truth),
        awaiting=list(outcome.awaiting),
        test_s=round(outcome.test_s, 6),
        wall_s=round(wall_s, 3),
        faults=[FaultRow.of(fault) for fault in outcome.faults],
    )


def criterion_row(row: CriterionResult, by: str | None) -> CriterionRow:
    """One line of the clause table; ``by`` is who entered or judged what it rests on."""
    criterion, source = row.criterion, row.criterion.source
    return CriterionRow(
        id=criterion.id,
        kind=criterion.kind.value,
        title=criterion.title.en,
        title_zh=criterion.title.zh,
        source="-".join(filter(None, (source.standard, source.edition))),
        clause=source.clause,
        verdict=row.verdict.value,
        value=row.value,
        unit=row.unit,
        limit=Limit(at_least=row.low, at_most=row.high),
        grade=source.grade.value,
        note=source.note,
        by=by,
    )


def values_of(numbers: Mapping[str, float], at_least: frozenset[str] = frozenset()) -> dict[str, Value]:
    """Results with their units; ``at_least`` are those that may be more."""
    return {name: Value(value=value, unit=unit_of(name), at_least=name in at_least) for name, value in numbers.items()}


RESULTS: tuple[type[Result | SampleResult], ...] = (
    RunResult, DemoResult, CheckResult, VerifyResult, JudgementResult, AttachmentResult, AckResult, ErrorResult,
    FileResult, HandoverResult, SampleList, SampleResult, SequenceList, FaultKindList, DeviceList,
    StatusResult, StopResult, UserList,
)  # fmt: skip


def schemas() -> dict[str, str]:
    """File name to text of every JSON Schema, as it must stand in docs/schemas."""
    texts: dict[str, str] = {}
    for model in RESULTS:
        schema: dict[str, Any] = model.model_json_schema(by_alias=True, mode="serialization")
        kind = str(model.model_fields["schema_"].default).split("/")[1]
        texts[f"{kind}.json"] = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return texts


def main(arguments: Sequence[str]) -> int:
    """Write every schema to the folder named, and remove what is none of them."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m bench.results DIR\n")
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    texts = schemas()
    for old in folder.glob("*.json"):
        if old.name not in texts:
            old.unlink()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
