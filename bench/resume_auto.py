"""When a bench may resume by itself: the step, the bench file and a person in charge of safety must all say yes.

The person's word is one file of the data folder, ``resume/BENCH.permit.json``, with who gave it and until when. What
the bench started by itself stands in ``resume/BENCH.history.jsonl`` and in the run's own record.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from bench.plan import Plan
from bench.resumption import Resumption
from drivers import ConfigError, Fault, RecordError
from sequences.language import SequenceClass

FOLDER = "resume"
PERMIT_SCHEMA = "cellbench/resume-permit/1"
DAY_S = 86400.0
#: What may be resumed without a person: nothing that anybody has to stand by for.
CLASSES = frozenset({SequenceClass.PERFORMANCE, SequenceClass.CYCLING})


@dataclass(frozen=True, slots=True)
class Authorised:
    """Three words of leave, and which start of the day this is."""

    step: str
    bench: str
    permit: str
    today: int
    at_most: int

    def data(self) -> dict[str, Any]:
        return {"step": self.step, "bench": self.bench, "permit": self.permit, "today": self.today, "of": self.at_most}


def authorise(plan: Plan, found: Resumption, data: Path, *, utc_s: float) -> Authorised:
    """The leave for one start, noted before it is given. Raises ConfigError with every word that is missing."""
    faults: list[Fault] = []
    rule, name = plan.bench.resume, plan.bench.name
    if plan.sequence.class_ not in CLASSES:
        faults.append(Fault(f"class {plan.sequence.class_} is never resumed by itself", plan.sequence.id, _BY_HAND))
    if found.policy is None:
        where = f"step {found.where} of {plan.sequence.id}"
        faults.append(
            Fault("the step does not say how it is resumed", where, "write resume: resume or redo; " + _BY_HAND)
        )
    if not rule.auto:
        where = plan.bench.where("resume")
        faults.append(Fault("the bench file does not allow it", where, "[resume] auto = true; " + _BY_HAND))
    permit, refusal = _permit(data / FOLDER / f"{name}.permit.json", name, utc_s)
    if refusal is not None:
        faults.append(refusal)
    history = data / FOLDER / f"{name}.history.jsonl"
    today = _started(history, since_utc_s=utc_s - DAY_S) + 1
    if today > rule.at_most:
        what = f"it has resumed by itself {today - 1} times within a day, at most {rule.at_most}"
        faults.append(Fault(what, str(history), "find out why it goes on dying; " + _BY_HAND))
    if faults:
        raise ConfigError(faults)
    leave = Authorised(str(found.policy), f"auto = true in {plan.bench.origin.path}", permit, today, rule.at_most)
    _note(history, {"utc_s": utc_s, "run_id": found.run_id, "step": found.where, **leave.data()})
    return leave


_BY_HAND = "or resume it by hand: `cellbench resume RUN`"


def _permit(path: Path, bench: str, utc_s: float) -> tuple[str, Fault | None]:
    """Who gave leave, and until when; or why nobody has."""

    def no(what: str, fix: str) -> tuple[str, Fault]:
        return "", Fault(what, str(path), f"{fix}; {_BY_HAND}")

    shape = f'{{"schema": "{PERMIT_SCHEMA}", "bench": "{bench}", "by": NAME, "until": "YYYY-MM-DD"}}'
    try:
        mode = path.stat().st_mode
        found = json.loads(path.read_bytes())
        by, until = str(found["by"]).strip(), date.fromisoformat(found["until"])
    except FileNotFoundError:
        return no("nobody in charge of safety has given leave", f"that person writes {shape}")
    except (OSError, ValueError, LookupError, TypeError) as error:
        return no(f"the leave cannot be read: {error}", f"that person writes {shape}")
    if found.get("schema") != PERMIT_SCHEMA or found.get("bench") != bench or not by:
        return no("the leave is not for this bench, or names nobody", f"that person writes {shape}")
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        return no("others than its owner may write the leave", "chmod go-w, and look who wrote it")
    if datetime.fromtimestamp(utc_s, UTC).date() > until:
        return no(f"the leave of {by} ended on {until}", "ask for a new one")
    return f"{by}, until {until}", None


def _started(history: Path, *, since_utc_s: float) -> int:
    """How often within a day. A history that cannot be read counts as full: raises ConfigError."""
    try:
        lines = history.read_text().splitlines()
        return sum(1 for line in lines if json.loads(line)["utc_s"] > since_utc_s)
    except FileNotFoundError:
        return 0
    except (OSError, ValueError, LookupError, TypeError) as error:
        fault = Fault(f"it cannot be told how often it has resumed: {error}", str(history), _BY_HAND)
        raise ConfigError([fault]) from None


def _note(history: Path, entry: dict[str, Any]) -> None:
    """On disk when it returns: a start that is not noted is not made. Raises RecordError."""
    try:
        history.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(history, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(handle, (json.dumps(entry, ensure_ascii=False) + "\n").encode())
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise RecordError(f"the start cannot be noted: {error.strerror}", str(history), "mend the disk") from None
