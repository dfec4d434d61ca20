"""What the daemon shows: frozen shapes that leave the bench's thread as they are, and become JSON as they are.

Times are UTC seconds, durations seconds; ``None`` is what nobody knows. A number that is not finite is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=120)]


class View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Words(View):
    """The same in both languages of a lab."""

    en: str
    zh: str


class ValueView(View):
    """One quantity of a channel as it was last read. ``quantity`` is as ``voltage_v``, its unit in its name."""

    quantity: str
    value: float | None
    quality: str
    age_s: float | None
    stale: bool
    #: Outside these the guard ends the run.
    low: float | None = None
    high: float | None = None


class StepView(View):
    """The step under way: ``ends`` says what will end it; ``remaining_s`` is an estimate."""

    index: int
    path: str
    kind: str
    name: str
    phase: Literal["conditioning", "stimulus", "observation"]
    ends: str
    step_s: float
    test_s: float
    remaining_s: float | None
    #: What next can hurt, and in about how many seconds.
    next_hazard: str | None = None
    next_hazard_s: float | None = None


ChannelState = Literal[
    "idle", "waiting", "preflight", "running", "paused", "asking", "observing", "ending", "held", "latched",
    "maintenance", "lost",
]  # fmt: skip


class ChannelView(View):
    """``why`` says what a waiting, held, latched, lost or asking channel waits for; ``needs_me`` that a person must."""

    name: str
    place: str
    zone: str
    state: ChannelState
    needs_me: bool
    why: Words | None = None
    run_id: str | None = None
    sequence: str | None = None
    sample: str | None = None
    operator: str | None = None
    step: StepView | None = None
    values: tuple[ValueView, ...] = ()
    alarms: int = 0


class DeviceView(View):
    name: str
    model: str
    serial: str | None
    connected: bool
    error: str | None = None
    leased_by: str | None = None
    queue: tuple[str, ...] = ()


class BenchView(View):
    """Everything on the wall, at one instant. ``seq`` is that of the newest event that it contains."""

    name: str
    title: str
    mode: Literal["simulated", "live"]
    utc_s: float
    seq: int
    latched: bool
    held: tuple[str, ...] = ()
    channels: tuple[ChannelView, ...]
    devices: tuple[DeviceView, ...]
    prompts: int
    alarms: int


class StartRequest(View):
    """What a person asks for. ``cell`` is the name of a cell file that the daemon knows, never a path."""

    sequence: Name
    channel: Name
    cell: Name
    sample: Name | None = None
    overrides: Mapping[str, str] = Field(default_factory=dict, max_length=64)
    seed: int = Field(default=1, ge=0, le=2**31 - 1)


class FaultView(View):
    error: str
    where: str
    fix: str


class CheckView(View):
    """What would be run. ``plan_hash`` is the SHA-256 of the plan's document: a start names it, so that what is run is
    what was approved. With ``faults`` there is no plan and no hash."""

    request: StartRequest
    plan_hash: str | None
    title: Words | None = None
    summary: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    hazards: tuple[str, ...] = ()
    two_persons: bool = False
    estimated_s: float | None = None
    warnings: tuple[str, ...] = ()
    faults: tuple[FaultView, ...] = ()


RunState = Literal["waiting", "running", "paused", "observing", "ending", "closed", "interrupted"]


class RunView(View):
    """``queue_why`` says what a waiting run waits for. ``exit_code`` as the command line's."""

    run_id: str
    sequence: str
    channel: str
    cell: str
    sample: str | None
    operator: str | None
    mode: Literal["simulated", "live"]
    state: RunState
    begun_utc_s: float | None
    ended_utc_s: float | None = None
    verdict: str | None = None
    exit_code: int | None = None
    ended_by: str | None = None
    awaiting: tuple[str, ...] = ()
    queue_why: Words | None = None
    faults: tuple[FaultView, ...] = ()


class EntryView(View):
    """One value that a prompt asks for. ``low`` and ``high`` in base units of ``unit``."""

    name: str
    label: Words
    text: bool
    unit: str | None = None
    example: str | None = None
    low: float | None = None
    high: float | None = None


class PromptView(View):
    """A person is asked: ``confirm`` (with entries), ``permit`` (leave, by name) or ``judge`` (yes or no)."""

    prompt_id: str
    run_id: str
    channel: str
    kind: Literal["confirm", "permit", "judge"]
    what: str
    text: Words
    hazardous: bool
    entries: tuple[EntryView, ...] = ()
    definition: Words | None = None
    source: str | None = None
    shown: tuple[str, ...] = ()
    not_by: tuple[str, ...] = ()
    picture: str | None = None
    asked_utc_s: float
    signed: bool = False


class PromptAnswer(View):
    """``yes`` gives the confirmation, the leave or the judgement; for a judgement False is an answer too."""

    yes: bool
    entries: Mapping[str, str] = Field(default_factory=dict, max_length=64)
    note: str = Field(default="", max_length=2000)


AlarmState = Literal["unacknowledged", "acknowledged", "returned_unacknowledged", "shelved", "normal"]


class AlarmView(View):
    """By ISA-18.2: what is wrong, what will come of it, what to do. A ``safety`` alarm is never shelved."""

    alarm_id: str
    rule: str
    channel: str | None
    run_id: str | None
    priority: Literal["high", "medium", "low"]
    safety: bool
    state: AlarmState
    text: Words
    cause: Words
    consequence: Words
    action: Words
    begun_utc_s: float
    returned_utc_s: float | None = None
    acknowledged_by: str | None = None
    shelved_until_utc_s: float | None = None


class EventView(View):
    """One thing that happened. ``seq`` counts up by one and is the id of the server-sent event."""

    seq: int
    utc_s: float
    kind: str
    channel: str | None = None
    run_id: str | None = None
    data: Mapping[str, object] = Field(default_factory=dict)


class SeriesView(View):
    """Columns of readings. Where ``bucket_s`` is given each point is a bucket's least and greatest; a None is a gap."""

    channels: tuple[str, ...]
    bucket_s: float | None
    utc_s: tuple[float, ...]
    low: Mapping[str, tuple[float | None, ...]]
    high: Mapping[str, tuple[float | None, ...]]
    marks: tuple[EventView, ...] = ()


class SequenceView(View):
    """A sequence that the daemon can start. ``parameters`` are what may be overridden, each with its value."""

    id: str
    title: Words
    summary: Words
    abuse: bool
    standard: str | None = None
    status: str | None = None
    parameters: Mapping[str, str] = Field(default_factory=dict)


class CellView(View):
    """A cell file that the daemon knows, by its name."""

    name: str
    title: str
    chemistry: str | None = None


class SampleView(View):
    """A sample's record, as far as a start and a hand-over need it."""

    id: str
    type: str
    serial: str
    batch: str
    state: str
    mass_kg: float | None = None
    runs: tuple[str, ...] = ()


class JudgementView(View):
    """A later judgement of a closed run, as it was added: ``amendment`` is its file in the bundle."""

    run_id: str
    question: str
    answer: bool
    by: str
    amendment: str
    verdict_before: str
    verdict: str
    awaiting: tuple[str, ...] = ()


class NoteView(View):
    """What somebody wrote down for the next shift."""

    utc_s: float
    by: str
    text: str
