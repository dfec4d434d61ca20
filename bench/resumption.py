"""What the record of a run that died proves: how far it had come, what it had found, and where it may go on.

Only the record speaks here; no device is touched. What stands in no record - the seconds between the last stored row
and the moment at which the output went off - is bounded and told, never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from bench.record import Event, Record
from drivers.errors import ConfigError, Fault
from sequences.check_resume import GOES_ON
from sequences.language import (
    Charge,
    Discharge,
    Phase,
    Repeat,
    RepeatUntilStable,
    Resume,
    SequenceClass,
    Step,
)
from sequences.language import Sequence as Language

Place = tuple[int, ...]
How = Literal["resume", "redo", "next"]

#: Rows wait for so long at most before they are on disk, and every output is off so long after its host is gone.
UNSEEN_S = 1.0 + 5.0
#: A run whose record holds one of these has had its stimulus, or the sample is not where it was.
_BEYOND = {"contact": "the stimulus has reached the sample", "transferred": "the sample was carried to another place"}
_CLOSE = 'close the run with `cellbench close RUN --by "your name"`; it is then ABORTED, with what it has found'


@dataclass(frozen=True, slots=True)
class Resumption:
    """Where and how a run goes on.

    ``path`` is the step to begin with, as the walk counts (step, turn, step, ...); empty where no step had begun.
    ``index`` is the number of the step that goes on, or of the last one begun. ``how``: "resume" within the step,
    "redo" it, "next" where it stands between two. ``policy`` is what the sequence says, None where it is silent.
    Times are the record's: ``last_s``, ``last_utc_s`` of its last word; ``row_s`` of the last stored row.
    ``shift_s`` is what the record's clock is ahead of the loop's.
    ``unseen_ah`` bounds the charge that may have flowed after it. ``results`` are (name, value, in a repeat) in the
    order in which they were taken.
    """

    run_id: str
    path: Place
    index: int
    step: Step | None
    ids: frozenset[str]
    how: How
    policy: Resume | None
    last_s: float
    last_utc_s: float
    row_s: float
    unseen_ah: float
    results: tuple[tuple[str, float | None, bool], ...]
    entries: Mapping[str, float]
    heard: Mapping[str, str]
    watched: Mapping[str, Mapping[str, float | None]]
    longest_log_interval_s: float
    chamber_c: float | None
    instants: Mapping[str, float]
    onset_v: float | None
    recorded_s: float
    identities: Mapping[str, Mapping[str, str]]
    gap_s: float = 0.0
    shift_s: float = 0.0
    who: str = ""
    gaps_before: int = 0
    rows: Mapping[str, Sequence[float | None]] = field(default_factory=dict, repr=False)
    carried_before: Mapping[str, Any] | None = None
    output_on_s: float | None = None
    ended: str | None = None

    @property
    def where(self) -> str:
        return "/".join(map(str, self.path)) or "the beginning"


def read_back(kept: Record, sequence: Language) -> Resumption:
    """Where this run may go on. Raises ConfigError with every reason why it may not."""
    _refuse(kept, sequence)
    begun = list(kept.of("step_started", "step_resumed"))
    at, how, policy = _onward(kept, sequence, begun)
    step = dict(_tree(sequence.steps, at)).get(_plain(at)) if at else None
    newest = begun[-1] if begun else None
    goes_on = how == "resume" and newest is not None
    index = int(newest.data["step"]) if newest is not None else 0
    row = len(kept.rows) - 1
    instants = {name: value for name in _LIVE if (value := _last(kept, name, row)) is not None}
    steps = {int(event.data["step"]): event.data.get("step_kind") in _FLOWS for event in begun}
    return Resumption(
        run_id=str(kept.header.get("run_id")),
        path=at,
        index=index,
        step=step,
        ids=frozenset(each.id for _, each in _tree(sequence.steps, at) if each.id is not None) if at else frozenset(),
        how=how,
        policy=policy,
        last_s=max(kept.events[-1].mono_s, kept.rows.mono_s[row] if row >= 0 else 0.0),
        last_utc_s=max(kept.events[-1].utc_s, _utc_s(kept, row)),
        row_s=kept.rows.mono_s[row] if row >= 0 else kept.events[-1].mono_s,
        unseen_ah=_unseen_ah(kept, step, instants) if goes_on else 0.0,
        results=tuple(_results(kept, sequence, at, done=how == "next")),
        entries=_entered(kept),
        heard={
            str(name): str(event.data.get("by", ""))
            for event in kept.of("answered")
            for name in event.data.get("values") or {}
        },
        watched=_watched(kept),
        longest_log_interval_s=_longest_interval_s(kept, steps, without=None if goes_on else index),
        chamber_c=_chamber_c(kept),
        instants=instants,
        onset_v=_onset_v(kept),
        recorded_s=max(0.0, kept.events[-1].mono_s - kept.start_s),
        identities=next((event.data["devices"] for event in kept.of("devices")), {}),
        gaps_before=sum(1 for _ in kept.of("resumed")),
        **(_within(kept, begun, index) if goes_on else {}),
    )


def _refuse(kept: Record, sequence: Language) -> None:
    where, faults = str(kept.folder), []
    if kept.header.get("virtual_time"):
        fix = "run it again; only a run on hardware or on a standing simulated bench can be resumed"
        faults.append(Fault("the run was in virtual time: its simulated plant is gone with it", where, fix))
    if sequence.class_ is SequenceClass.ABUSE:
        faults.append(Fault("an abuse test is never resumed", where, _CLOSE))
    faults += [Fault(text, where, _CLOSE) for kind, text in _BEYOND.items() if next(kept.of(kind), None) is not None]
    phases = {str(event.data.get("phase")) for event in kept.of("step_started")}
    if Phase.STIMULUS.value in phases:
        faults.append(Fault("its stimulus had begun", where, _CLOSE))
    ending = next(kept.of("ending", "trip", "stop"), None)
    if ending is not None:
        cause = " ".join(str(ending.data[key]) for key in ("cause", "rule") if ending.data.get(key))
        faults.append(Fault(f"the run had ended ({cause}) before its program died", where, _CLOSE))
    if faults:
        raise ConfigError(faults)


def _onward(kept: Record, sequence: Language, begun: Sequence[Event]) -> tuple[Place, How, Resume | None]:
    """Where to go on, how, and by whose word. Raises ConfigError where the policy says never."""
    if not begun:
        return (), "redo", None
    newest = begun[-1]
    at = _place(newest.data["path"])
    done = any(event.n > newest.n and event.data.get("step") == newest.data["step"] for event in kept.of("step_ended"))
    above = dict(_tree(sequence.steps, at))
    step = above[_plain(at)]
    if done:
        return at, "next", _policy(above, at)
    own, policy = step.resume, _policy(above, at)
    if policy is Resume.NEVER:
        fault = Fault(f"step {newest.data['path']} ({step.kind}) says resume: never", str(kept.folder), _CLOSE)
        raise ConfigError([fault])
    if own is None and policy is Resume.REDO:
        for end in range(len(at) - 2, 0, -2):
            if above[_plain(at[:end])].resume is Resume.REDO:
                return (*at[: end + 1], 1), "redo", policy
    if step.phase is not Phase.CONDITIONING:
        return at, "redo", own  # an observation's clock begins anew
    if own is Resume.RESUME or (own is None and isinstance(step, Charge | Discharge)):
        return at, "resume" if isinstance(step, GOES_ON) else "redo", policy
    return at, "redo", policy


def _policy(above: Mapping[Place, Step], at: Place) -> Resume | None:
    """The step's own word, else that of the nearest repeat around it."""
    for end in range(len(at), 0, -2):
        said = above[_plain(at[:end])].resume
        if said is not None:
            return said
    return None


def _within(kept: Record, begun: Sequence[Event], index: int) -> dict[str, Any]:
    """What the step had counted: from where it was last taken up, and the rows since its output was on."""
    mine = [event for event in begun if event.data["step"] == index]
    latest = mine[-1]
    on = next((event for event in kept.of("output_on") if event.n > latest.n), None)
    off = next((event for event in kept.of("output_off") if on is not None and event.n > on.n), None)
    started = latest.mono_s if latest.data.get("step_kind") == "rest" else None
    why = None if off is None else str(off.data.get("why"))
    return {
        "rows": kept.rows.columns,
        "carried_before": latest.data.get("carried"),
        "output_on_s": started if on is None else on.mono_s,
        "ended": why if why != "timeout" else None,
    }


def _results(
    kept: Record, sequence: Language, before: Place, *, done: bool
) -> Iterator[tuple[str, float | None, bool]]:
    """The results of every step that ended before a place (and there, if it is ``done``), in the order of the walk."""
    ended: dict[Place, Event] = {}
    turned: dict[str, Event] = {}
    for event in kept.of("step_ended", "turn_ended"):
        if event.kind == "turn_ended":
            turned[event.data["path"]] = event
        else:
            ended[_place(event.data["path"])] = event
    for place in sorted(ended):
        if place > before or (place == before and not done):
            continue
        step = dict(_tree(sequence.steps, place))[_plain(place)]
        for name in step.results:
            yield name, ended[place].data["results"].get(name), len(place) > 1
    for path, event in turned.items():
        place = _place(path)
        if before[: len(place)] != place and place < before:
            yield f"{event.data['id']}_stable", 1.0 if event.data["stable"] else 0.0, False
            yield f"{event.data['id']}_turns", float(event.data["turn"]), False


def _tree(steps: Sequence[Step], at: Place) -> Iterator[tuple[Place, Step]]:
    """The steps on the way to a place, each by its own numbers without the turns."""
    step = steps[at[0] - 1]
    yield at[:1], step
    if at[2:] and isinstance(step, Repeat | RepeatUntilStable):
        for inner, found in _tree(step.steps, at[2:]):
            yield (at[0], *inner), found


def _plain(at: Place) -> Place:
    """A place without its turns."""
    return at[::2]


def _place(path: str) -> Place:
    return tuple(int(part) for part in path.split("/"))


def _longest_interval_s(kept: Record, flows: Mapping[int, bool], without: int | None) -> float:
    """The longest time between two stored rows of one charge or discharge."""
    times, steps = kept.rows.mono_s, kept.rows.steps
    spans = (
        times[at] - times[at - 1]
        for at in range(1, len(times))
        if steps[at] == steps[at - 1] and flows.get(steps[at], False) and steps[at] != without
    )
    return max(spans, default=0.0)


def _chamber_c(kept: Record) -> float | None:
    """The setpoint that the chamber was last given, None once it was sent to ambient."""
    found: float | None = None
    for event in kept.of("setpoint"):
        if "temperature_c" in event.data:
            found = float(event.data["temperature_c"])
    return found


def _onset_v(kept: Record) -> float | None:
    """How far the terminal moved when the last current came on: what it will move back by at once, in V."""
    on = next((event for event in reversed(list(kept.of("output_on")))), None)
    if on is None:
        return None
    times, volts = kept.rows.mono_s, kept.rows.role("cell_voltage")
    before = [value for t_s, value in zip(times, volts, strict=True) if t_s <= on.mono_s and value is not None]
    after = [value for t_s, value in zip(times, volts, strict=True) if t_s > on.mono_s + 1.0 and value is not None]
    return abs(after[0] - before[-1]) if before and after else None


def _utc_s(kept: Record, row: int) -> float:
    return kept.rows.columns["utc_s"][row] or 0.0 if row >= 0 else 0.0


_LIVE = ("voltage", "current", "cell_voltage", "ambient", "temperature")


def _last(kept: Record, name: str, row: int) -> float | None:
    """The newest stored value of a live name."""
    if row < 0:
        return None
    roles = [name] if name != "temperature" else sorted(role for role in kept.rows.roles if role.startswith("surface_"))
    values = [value for role in roles if (value := kept.rows.role(role)[row]) is not None]
    return max(values) if values else None


def _unseen_ah(kept: Record, step: Step | None, last: Mapping[str, float]) -> float:
    """What may have flowed since the last stored row: its current, for a logging interval and what an output stays on
    after its host."""
    if not isinstance(step, Charge | Discharge):
        return 0.0
    rule = next((event.data["rule"] for event in reversed(list(kept.of("log_rule")))), None) or {}
    return abs(last.get("current", 0.0)) * (float(rule.get("every_s", 0.0)) + UNSEEN_S) / 3600.0


def gathered(kept: Record, sequence: Language) -> dict[str, float | tuple[float, ...]]:
    """Every value that the record holds of a run that will not go on, by the names that expressions use."""
    begun = list(kept.of("step_started", "step_resumed"))
    found: dict[str, float | tuple[float, ...]] = {}
    at = _place(begun[-1].data["path"]) if begun else ()
    for name, value, repeated in _results(kept, sequence, at, done=True):
        worth = math.nan if value is None else value
        before = found.get(f"result.{name}", ())
        turns = (*(before if isinstance(before, tuple) else (before,)), worth)
        found[f"result.{name}"] = turns if repeated else worth
    found |= _entered(kept)
    for name, state in _watched(kept).items():
        value = state.get("value")
        found[name] = float(state.get("held") or 0.0) if value is None else value
    flows = {int(event.data["step"]): event.data.get("step_kind") in _FLOWS for event in begun}
    found["run.longest_log_interval"] = _longest_interval_s(kept, flows, without=None)
    return found


def _entered(kept: Record) -> dict[str, float]:
    return {
        f"entry.{name}": value
        for event in kept.of("answered")
        for name, value in (event.data.get("values") or {}).items()
        if isinstance(value, float)
    }


def _watched(kept: Record) -> Mapping[str, Mapping[str, float | None]]:
    return next((event.data["watched"] for event in reversed(kept.events) if "watched" in event.data), {})


_FLOWS = ("charge", "discharge")


def with_gap(found: Resumption, *, now_utc_s: float, who: str) -> Resumption:
    """The same, with how long the run was dead by the wall clock, and by whose word it goes on."""
    return replace(found, gap_s=now_utc_s - found.last_utc_s, who=who)
