"""The step language: frozen models that a sequence file becomes. Nothing after the loader looks at text or dicts.

In the file a step is a mapping with one key, its kind (``- charge: {mode: cccv, ...}``). Every physical value is an
expression: a quantity ("25 degC", "1 I3"), a name (``cell.charge_voltage``, ``result.capacity``) or arithmetic on
them; the loader checks its unit. Numbers without a unit are counts and ratios only.

The file's scalars arrive as text: what a text means is decided by its field, never by how it looks.
docs/sequence-language.md is the reader's side of this module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from sequences.expressions import AnyOf, Condition, Expression, SlipError, When, as_condition, as_expression
from sequences.names import nearest

SCHEMA = "cellbench/sequence/1"


def _as_count(value: object) -> object:
    if isinstance(value, int):
        return value
    if isinstance(value, str) and re.fullmatch(r"[1-9][0-9]{0,8}|0", value):
        return int(value)
    raise SlipError(f"{value!r} is not a count", "write a whole number without a unit, such as 5")


def _as_flag(value: object) -> object:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise SlipError(f"{value!r} is neither true nor false", "write true or false")


def _written(condition: Condition) -> object:
    """A condition as it stands in a file."""
    if isinstance(condition, When):
        return condition.text
    return {"any" if isinstance(condition, AnyOf) else "all": [_written(part) for part in condition.parts]}


Expr = Annotated[Expression, BeforeValidator(as_expression), PlainSerializer(str, return_type=str)]
Cond = Annotated[Condition, BeforeValidator(as_condition), PlainSerializer(_written)]
Count = Annotated[int, BeforeValidator(_as_count)]
Flag = Annotated[bool, BeforeValidator(_as_flag)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
StepId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=60)]


class Strict(BaseModel):
    """No key but the known ones, nothing changed afterwards, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, arbitrary_types_allowed=True)


class Phase(StrEnum):
    """What a trip means depends on it, see docs/sequence-language.md."""

    CONDITIONING = "conditioning"
    STIMULUS = "stimulus"
    OBSERVATION = "observation"


class SequenceClass(StrEnum):
    PERFORMANCE = "performance"
    CYCLING = "cycling"
    ABUSE = "abuse"


class Grade(StrEnum):
    """How well a number is known. U is printed UNVERIFIED all the way to the report."""

    A = "A"  # text of the standard, with its clause
    B = "B"  # laboratory, vendor or news page
    U = "U"  # unverified
    OURS = "ours"  # our own choice, no clause behind it


class Source(Strict):
    """Where a number comes from."""

    standard: str
    edition: str
    clause: str | None = None
    grade: Grade
    note: str | None = None


class Text(Strict):
    """What a person reads, in English and Chinese."""

    en: str
    zh: str


class LogRule(Strict):
    """When a reading is stored: after ``every`` at the latest, or when a quantity moved by its step."""

    every: Expr  # time
    voltage: Expr | None = None
    current: Expr | None = None
    temperature: Expr | None = None


class Resume(StrEnum):
    """What becomes of a step that was under way when the run's program died; written at a repeat, of its turn.

    A person may resume a step that says nothing: charge and discharge go on, everything else is redone. A bench may do
    so by itself only where the step says it.
    """

    RESUME = "resume"
    REDO = "redo"
    NEVER = "never"


class StepBase(Strict):
    """``results`` maps a name to what is taken when the step ends (``charge``, ``energy``, ``duration``,
    ``voltage``, ``temperature``, ...). In a repeat a result holds one value a turn; repeats and calls take none of
    their own. The results of one step do not see each other.
    """

    id: StepId | None = None
    title: Text | None = None
    phase: Phase = Phase.CONDITIONING
    log: LogRule | None = None
    results: dict[Name, Expr] = Field(default_factory=dict)
    source: Source | None = None
    resume: Resume | None = None


class Charge(StepBase):
    """cc: ends at the voltage limit; cccv: holds it until ``end``; cv: straight to the voltage; cp: constant power.

    ``voltage`` is the limit that the instrument itself regulates to. cc and cp end there without an ``end``; cccv and
    cv need one, which is looked at once the instrument has settled: the set current or the voltage was reached, or
    three readings have gone by. ``current`` and ``power`` are set without sign. ``timeout`` ends the run: the step
    did not do what it should.
    """

    kind: Literal["charge"] = "charge"
    mode: Literal["cc", "cccv", "cv", "cp"]
    voltage: Expr
    current: Expr | None = None
    power: Expr | None = None
    end: Cond | None = None
    timeout: Expr


class Discharge(StepBase):
    """As charge; ``voltage`` is the cut-off, never 0: the instrument holds it."""

    kind: Literal["discharge"] = "discharge"
    mode: Literal["cc", "cccv", "cv", "cp"]
    voltage: Expr
    current: Expr | None = None
    power: Expr | None = None
    end: Cond | None = None
    timeout: Expr


class Rest(StepBase):
    """Output off, readings go on. Ends after ``duration`` or earlier by ``end``."""

    kind: Literal["rest"] = "rest"
    duration: Expr
    end: Cond | None = None


class ChamberSet(StepBase):
    """Set the chamber of the sample's place and go on at once."""

    kind: Literal["chamber"] = "chamber"
    temperature: Expr


class Soak(StepBase):
    """Wait until ``of`` has stayed within ``temperature`` +- ``tolerance`` for ``duration``; ``timeout`` aborts."""

    kind: Literal["soak"] = "soak"
    of: Literal["ambient", "surface"] = "ambient"
    temperature: Expr
    tolerance: Expr
    duration: Expr
    timeout: Expr


class Entry(Strict):
    """One value that an operator enters because no device of the bench measures it.

    ``dimension`` is taken from ``example`` ("45 %", "5 mm"); a text entry has none. ``at_least`` and ``at_most`` are
    fixed quantities, what the value can be at all: a slip of the finger is refused at once, while what a test demands
    of the value is a criterion, which judges what was truly read.
    """

    name: Name
    prompt: Text
    example: Expr | None = None
    text: Flag = False
    at_least: Expr | None = None
    at_most: Expr | None = None


class Confirm(StepBase):
    """Ask a person; ``entries`` become values of that name. ``hazardous`` is never answered by ``--yes`` live."""

    kind: Literal["confirm"] = "confirm"
    text: Text
    entries: tuple[Entry, ...] = ()
    hazardous: Flag = False


class Measure(StepBase):
    """Take ``results`` from readings averaged over ``duration``, with nothing energised that was not before."""

    kind: Literal["measure"] = "measure"
    duration: Expr


class Stable(Strict):
    """``result``'s last ``last`` values differ by less than ``within`` (largest minus smallest)."""

    result: Name
    last: Annotated[Count, Field(ge=2, le=20)]
    within: Expr


class Repeat(StepBase):
    """Run ``steps`` ``count`` times."""

    kind: Literal["repeat"] = "repeat"
    count: Annotated[Count, Field(ge=1, le=100_000)]
    steps: tuple[Step, ...] = Field(min_length=1)


class RepeatUntilStable(StepBase):
    """Run ``steps`` until ``stable`` holds, at most ``at_most`` times.

    Not getting there is no error: ``<id>_stable`` is 1 or 0 and ``<id>_turns`` the number of turns, for a condition
    to judge.
    """

    kind: Literal["repeat_until_stable"] = "repeat_until_stable"
    id: Name
    stable: Stable
    at_most: Annotated[Count, Field(ge=2, le=1000)]
    steps: tuple[Step, ...] = Field(min_length=1)


class Call(StepBase):
    """Run the steps of another sequence of the library with ``parameters`` set; its results come along.

    With an ``id`` every name of it is prefixed: ``result.capacity`` becomes ``result.<id>_capacity``. Its criteria
    and watches stay behind. :func:`sequences.expand` replaces the call by a repeat of one turn.
    """

    kind: Literal["call"] = "call"
    id: Name | None = None
    sequence: str
    parameters: dict[Name, Expr] = Field(default_factory=dict)


class Transfer(StepBase):
    """A person carries the sample to another place. ``to`` is the kind of that place; the channel must reach one.

    The contactor of the place that is left is open, by its feedback, before anybody is asked. At the new place the
    sample is scanned again, and its leads, polarity and OCV are checked: the OCV may have moved by ``ocv_within``
    since it was left. ``charge_age`` is the longest time since the end of the last charge. Either one missed ends the
    run as a refusal would; nothing is energised. Results: ``voltage`` (the OCV there), ``duration``,
    ``transfer.charge_age``.
    """

    kind: Literal["transfer"] = "transfer"
    to: Literal["chamber", "rig", "position"]
    ocv_within: Expr
    charge_age: Expr


class Penetrate(StepBase):
    """Drive the nail. ``depth`` counts from contact, ``speed`` is held while in contact.

    The sample's contactor is open, by its feedback. Arming and starting are two decisions by two people. The rig
    stops by itself at ``depth`` or at ``force``; ``end`` stops it earlier. Afterwards the nail stays where it is.
    Names for results, from the rig's own buffer: ``stroke.speed`` (mean from contact to stop), ``stroke.depth``,
    ``stroke.peak_force``.
    """

    kind: Literal["penetrate"] = "penetrate"
    speed: Expr
    depth: Expr
    force: Expr
    end: Cond | None = None
    timeout: Expr


class Crush(StepBase):
    """Press until the first of: ``deformation`` (part of the sample's thickness), ``force``, a cell voltage at or
    below ``voltage``. Otherwise as :class:`Penetrate`; ``stroke.deformation`` is a part of the thickness.
    """

    kind: Literal["crush"] = "crush"
    speed: Expr
    deformation: Expr
    force: Expr
    voltage: Expr
    end: Cond | None = None
    timeout: Expr


class Hold(StepBase):
    """The tool stays where it is for ``duration``; nothing moves."""

    kind: Literal["hold"] = "hold"
    duration: Expr


class Retract(StepBase):
    """Pull the tool out. Always asks a person, who may say no: the step then ends with the tool left in."""

    kind: Literal["retract"] = "retract"
    timeout: Expr


class Short(StepBase):
    """Close the short contactor for ``duration``, or until ``end``. The sample's contactor is open, by feedback."""

    kind: Literal["short"] = "short"
    duration: Expr
    end: Cond | None = None


class Heat(StepBase):
    """Warm the place to ``temperature``: by its chamber, whose setpoint is moved at ``ramp``, or by a heater that is
    switched on. Ends when the place's air is within ``tolerance`` of ``temperature``, or by ``end``.
    """

    kind: Literal["heat"] = "heat"
    by: Literal["chamber", "heater"] = "chamber"
    temperature: Expr
    ramp: Expr | None = None
    tolerance: Expr
    end: Cond | None = None
    timeout: Expr


class Observe(StepBase):
    """Watch with nothing energised. Lasts ``duration``, counted from the end of the stimulus (or the trip that broke it
    off), and on until the hottest surface point is at or below ``until`` and has moved by less than ``rate`` a minute;
    at most ``at_most``. No trip skips it and nobody shortens it.
    """

    kind: Literal["observe"] = "observe"
    duration: Expr
    until: Expr
    rate: Expr
    at_most: Expr


class Question(Strict):
    """What a person answers yes or no after looking. ``definition`` is the standard's. ``detectors`` are those whose
    alarm contradicts a no ("flame"): the answer then stays undecided.

    The answer is ``judgement.<name>`` in expressions: 1 is yes, 0 is no.
    """

    name: Name
    text: Text
    definition: Text
    source: Source
    detectors: tuple[Literal["smoke", "flame", "gas"], ...] = ()


class Judge(StepBase):
    """A person's closed answers, with what was recorded shown beside each question. Unanswered ones await judgement."""

    kind: Literal["judge"] = "judge"
    questions: tuple[Question, ...] = Field(min_length=1)


class Quarantine(StepBase):
    """Supervised until a person takes over. ``energy`` is what may still be inside, at most."""

    kind: Literal["quarantine"] = "quarantine"
    energy: Expr | None = None


#: The kinds of steps, by the key that a file writes.
STEP_KINDS: dict[str, type[StepBase]] = {
    "charge": Charge,
    "discharge": Discharge,
    "rest": Rest,
    "chamber": ChamberSet,
    "soak": Soak,
    "confirm": Confirm,
    "measure": Measure,
    "repeat": Repeat,
    "repeat_until_stable": RepeatUntilStable,
    "call": Call,
    "transfer": Transfer,
    "penetrate": Penetrate,
    "crush": Crush,
    "hold": Hold,
    "retract": Retract,
    "short": Short,
    "heat": Heat,
    "observe": Observe,
    "judge": Judge,
    "quarantine": Quarantine,
}


def _as_step(value: object) -> object:
    """``{charge: {...}}`` as the discriminated union wants it."""
    if isinstance(value, StepBase):
        return value
    if not isinstance(value, Mapping):
        raise SlipError("a step is a mapping with one key, its kind", "write for example '- rest: {duration: 1 h}'")
    if len(value) != 1:
        found = ", ".join(map(str, value)) or "none"
        one = next((key for key in value if key in STEP_KINDS), None)
        fix = f"indent its settings below '- {one}:'" if one else "write '- charge: {...}', its settings inside"
        raise SlipError(f"a step has one key, its kind; found {found}", fix)
    ((kind, body),) = value.items()
    if kind not in STEP_KINDS:
        near = nearest(str(kind), STEP_KINDS)
        fix = f"did you mean {near}?" if near else f"known kinds: {', '.join(STEP_KINDS)}"
        raise SlipError(f"unknown kind of step {kind!r}", fix)
    if not isinstance(body, Mapping):
        example = next(name for name, field in STEP_KINDS[kind].model_fields.items() if field.is_required())
        raise SlipError(f"{kind} wants a mapping of its settings", f"write '- {kind}: {{{example}: ...}}'")
    if "kind" in body:
        raise SlipError(f"unknown key 'kind' in {kind}", "remove it: the step's own key is its kind")
    settings: dict[str, Any] = {"kind": kind, **body}
    return settings


Step = Annotated[
    Annotated[
        Charge
        | Discharge
        | Rest
        | ChamberSet
        | Soak
        | Confirm
        | Measure
        | Repeat
        | RepeatUntilStable
        | Call
        | Transfer
        | Penetrate
        | Crush
        | Hold
        | Retract
        | Short
        | Heat
        | Observe
        | Judge
        | Quarantine,
        Field(discriminator="kind"),
    ],
    BeforeValidator(_as_step),
]


class Watch(Strict):
    """A value followed over the steps named in ``during`` (a repeat's id covers its steps; none means all).

    ``of`` is a live quantity (``ambient``, ``temperature``, ``voltage``, ...) and ``take`` what is kept of it. Instead,
    ``when`` is a condition: the watch is 1 if it ever held, else 0.
    """

    name: Name
    of: Literal["ambient", "temperature", "voltage", "current", "cell_voltage"] | None = None
    take: Literal["min", "max", "mean"] | None = None
    when: Cond | None = None
    during: tuple[StepId, ...] = ()


class CriterionKind(StrEnum):
    """A requirement judges the sample; a condition says whether the test was valid."""

    REQUIREMENT = "requirement"
    CONDITION = "condition"


class Criterion(Strict):
    """``value`` must lie within the limits given. A value that never came is never a pass."""

    id: StepId
    kind: CriterionKind
    title: Text
    value: Expr
    at_least: Expr | None = None
    at_most: Expr | None = None
    source: Source


class Parameter(Strict):
    """A number that ``--set NAME=VALUE`` may change; the changed value is printed in the report."""

    default: Expr
    at_least: Expr | None = None
    at_most: Expr | None = None
    title: Text | None = None
    source: Source | None = None


class Standard(Strict):
    """What the sequence mimics, and where that edition stands."""

    source: str
    edition: str
    clause: str
    status: Text


class Sequence(Strict):
    """A whole sequence. ``id`` is ``family/name``; ``results`` are what the run reports, in order.

    A final result is named with its unit (``capacity_ah``, ``energy_density_wh_kg``). Criteria may use it as
    ``result.capacity_ah``; the loader writes it out there.
    """

    schema_: Literal["cellbench/sequence/1"] = Field(alias="schema")
    id: Annotated[str, Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")]
    title: Text
    summary: Text
    class_: SequenceClass = Field(default=SequenceClass.PERFORMANCE, alias="class")
    standard: Standard | None = None
    parameters: dict[Name, Parameter] = Field(default_factory=dict)
    log: LogRule
    steps: tuple[Step, ...] = Field(min_length=1)
    watch: tuple[Watch, ...] = ()
    results: dict[Name, Expr] = Field(default_factory=dict)
    criteria: tuple[Criterion, ...] = ()


Repeat.model_rebuild()
RepeatUntilStable.model_rebuild()
