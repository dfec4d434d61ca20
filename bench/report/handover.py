"""The page that one shift hands to the next: what a data folder holds open, and what ran since.

It is made from the data folder alone (and the bench file's certificates, where one is given); it asks no device and
changes nothing. What cannot be read is listed, never left out in silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, Template

from bench import amendments
from bench.latch import FOLDER as LATCHES
from bench.latch import Latch, Latches
from bench.log import EVENTS
from bench.open_runs import is_owned
from bench.report.abuse import with_judgements
from bench.report.wording import Language, Wording
from bench.samples import Sample, SampleState, SampleStore
from drivers.errors import BenchError, ConfigError, Fault

_SPAN = re.compile(r"(\d{1,4})\s*(h|d)")
_SPAN_S = {"h": 3600.0, "d": 86400.0}
#: A first line longer than this is no header.
_MOST_HEADER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run. ``verdict`` is the result's word with later judgements, ``running``, or ``none`` if interrupted."""

    run_id: str
    begun_utc_s: float
    sequence: str
    sample: str
    simulated: bool
    verdict: str
    awaiting: tuple[str, ...]
    folder: str


@dataclass(frozen=True, slots=True)
class OverduePoint:
    point: str
    certificate: str
    due: date


@dataclass(slots=True)
class Standing:
    """What there is to hand over. ``overdue`` is None where no bench file was given."""

    data: Path
    made_utc_s: float
    since_utc_s: float
    trips: list[Latch] = field(default_factory=list)
    interrupted: list[RunLine] = field(default_factory=list)
    awaiting: list[RunLine] = field(default_factory=list)
    since: list[RunLine] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    overdue: list[OverduePoint] | None = None
    bench: str = ""
    unreadable: list[str] = field(default_factory=list)

    @property
    def attention(self) -> int:
        """How many things somebody has to do something about."""
        lists = (self.trips, self.interrupted, self.awaiting, self.overdue or (), self.unreadable)
        return sum(map(len, lists))


def span_s(text: str) -> float:
    """Seconds of ``12h`` or ``3d``. Raises ConfigError."""
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise ConfigError([Fault(f"{text!r} is no span of time", "--since", "write for example 12h or 3d")])
    return int(match[1]) * _SPAN_S[match[2]]


def gathered(data: Path, now_utc_s: float, since_s: float) -> Standing:
    """What the folder holds. Raises nothing for a spoilt file: it stands among ``unreadable``."""
    found = Standing(data, now_utc_s, now_utc_s - since_s)
    _latches(data, found)
    _runs(data / "runs", found)
    _samples(data / "samples", found)
    return found


def overdue(certificates: Mapping[str, tuple[str, date]], now_utc_s: float) -> list[OverduePoint]:
    """The points whose certificate (its name, the last day it holds, UTC) has run out, the oldest first."""
    today = datetime.fromtimestamp(now_utc_s, UTC).date()
    late = [OverduePoint(point, name, due) for point, (name, due) in certificates.items() if due < today]
    return sorted(late, key=lambda it: (it.due, it.point))


def render(found: Standing, language: Language) -> str:
    """The page, whole in itself."""
    return _template().render(it=found, t=Wording(language), utc=utc, css=_package_text("handover.css"))


def utc(seconds: float) -> str:
    """ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _latches(data: Path, found: Standing) -> None:
    latches = Latches(data)
    for path in sorted((data / LATCHES).glob("*.json")):
        try:
            latch = latches.of(path.stem)
        except BenchError as error:
            found.unreadable.append(f"{path}: {error}")
            continue
        if latch is not None:
            found.trips.append(latch)


def _samples(folder: Path, found: Standing) -> None:
    store = SampleStore(folder)
    ended = (SampleState.QUARANTINED, SampleState.DESTROYED)
    for path in sorted(folder.glob("*.json")):
        try:
            sample = store.show(path.stem)
        except BenchError as error:
            found.unreadable.append(f"{path}: {error}")
            continue
        if sample.state in ended:
            found.samples.append(sample)


def _runs(folder: Path, found: Standing) -> None:
    for path in sorted(folder.glob("*/")):
        if not (path / EVENTS).is_file():
            continue
        try:
            run = _run(path)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, BenchError) as error:
            found.unreadable.append(f"{path}: {type(error).__name__}: {error}")
            continue
        if run.verdict == "none":
            found.interrupted.append(run)
        if run.awaiting:
            found.awaiting.append(run)
        if run.begun_utc_s >= found.since_utc_s:
            found.since.append(run)


def _run(folder: Path) -> RunLine:
    with (folder / EVENTS).open("rb") as file:
        first = json.loads(file.readline(_MOST_HEADER_BYTES))
    header: Mapping[str, Any] = first["data"]
    result: Mapping[str, Any] = {}
    if (folder / "manifest.json").is_file():
        sealed = json.loads((folder / "result.json").read_bytes())
        result = with_judgements(sealed, amendments.read(folder))
        verdict = str(result["verdict"])
    else:
        verdict = "running" if is_owned(folder) else "none"
    return RunLine(
        run_id=str(header.get("run_id") or folder.name),
        begun_utc_s=float(first["utc_s"]),
        sequence=str(header.get("sequence") or ""),
        sample=str(header.get("sample") or ""),
        simulated=header.get("mode") == "simulated",
        verdict=verdict,
        awaiting=tuple(map(str, result.get("awaiting") or ())),
        folder=str(folder),
    )


def _package_text(name: str) -> str:
    return package_files("bench.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    environment = Environment(
        loader=FunctionLoader(_package_text), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("handover.html.j2")
