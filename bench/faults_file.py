"""A fault script: what is to go wrong in a simulated run, when, where and for how long, in a YAML file.

::

    schema: cellbench/faults/1
    faults:
      - {fault: no_reply, where: psb, when: {at: 90 s}, for: 5 s, count: 0}
      - {fault: sensor_stuck, where: th1.ai0, when: {step: charge, after: 10 s}}
      - {fault: person_stops, when: {exchange: 200}}

The names are those of the fault table (``cellbench faults`` lists them); docs/simulation.md explains the rest.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from bench.simulated import FAULTS, FaultKind, SceneSpec, Strike, strike_slip
from drivers.errors import ConfigError, Fault
from drivers.toml_text import read_text
from drivers.units import Dimension, UnitError, parse_as, parse_quantity
from sequences.document import Data, Document, read_document
from sequences.language import Repeat, RepeatUntilStable, Step
from sequences.tree import numbered

SCHEMA = "cellbench/faults/1"
_FIXED = ("fault", "where", "when", "for")
_WHEN = "write when: {at: 90 s}, {step: charge, after: 10 s} or {exchange: 200}"
#: The dimension of a parameter's unit, for messages and for temperature differences, which are written in kelvin.
_DIMENSIONS = {"s": Dimension.TIME, "V": Dimension.VOLTAGE, "A": Dimension.CURRENT}


class StepNames:
    """What the steps of an expanded sequence can be called by in a script: kind, id or title, or path."""

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self._steps = steps
        leaves = [step for _, step in numbered(steps) if not isinstance(step, Repeat | RepeatUntilStable)]
        titles = (step.id or (step.title.en if step.title else step.kind) for step in leaves)
        self.known = tuple(dict.fromkeys((*(step.kind for step in leaves), *titles)))

    def __contains__(self, name: str) -> bool:
        return name in self.known or self._is_path(name)

    def _is_path(self, name: str) -> bool:
        """Step, turn, step, and so on, down to a step that is no repeat."""
        steps, turns = self._steps, 0
        for index, part in enumerate(name.split("/")):
            number = int(part) if part.isascii() and part.isdigit() else 0
            if not 1 <= number <= (turns if index % 2 else len(steps)):
                return False
            if index % 2 == 0:
                step = steps[number - 1]
                turns = _turns(step)
                steps = step.steps if isinstance(step, Repeat | RepeatUntilStable) else ()
        return not turns


def _turns(step: Step) -> int:
    """How often its own steps run at most; 0 for a step that has none."""
    match step:
        case Repeat():
            return step.count
        case RepeatUntilStable():
            return step.at_most
        case _:
            return 0


def load_faults(path: Path, scene: SceneSpec, steps: StepNames | None = None) -> tuple[Strike, ...]:
    """Read a script for a bench of these devices, and for these steps where they are known. Raises ConfigError with
    every slip."""
    return read_faults(read_text(path, "fault script"), str(path), scene, steps)


def read_faults(text: str, where: str, scene: SceneSpec, steps: StepNames | None = None) -> tuple[Strike, ...]:
    """As :func:`load_faults`, from text."""
    script = _Script(where, read_document(text, plain=True), scene, steps)
    strikes = script.read()
    if script.faults:
        raise ConfigError(script.faults)
    return strikes


class _Script:
    """One walk over a script, gathering its strikes and every fault."""

    def __init__(self, where: str, document: Document, scene: SceneSpec, steps: StepNames | None) -> None:
        self._where, self._document, self._scene, self._steps = where, document, scene, steps
        self.faults = [Fault(slip.error, f"{where}:{slip.mark.line}", slip.fix) for slip in document.slips]

    def read(self) -> tuple[Strike, ...]:
        data = self._document.data
        if data is None or not self._document.whole:
            if not self.faults:
                self.faults.append(Fault("is no fault script", self._where, f"begin it with schema: {SCHEMA}"))
            return ()
        if data.get("schema") != SCHEMA:
            self._fault(
                f"schema {data.get('schema')!s} cannot be read here", f"begin it with schema: {SCHEMA}", "schema"
            )
        for key in data:
            if key not in ("schema", "faults"):
                self._fault(f"unknown key `{key}`", "a fault script holds schema and faults", key)
        entries = data.get("faults")
        if not isinstance(entries, list):
            self._fault("`faults` is no list", "write below it one `- {fault: NAME, ...}` a line", "faults")
            return ()
        found = [self._strike(index, entry) for index, entry in enumerate(entries)]
        return tuple(strike for strike in found if strike is not None)

    def _strike(self, index: int, entry: Data) -> Strike | None:
        path: tuple[str | int, ...] = ("faults", index)
        name = entry.get("fault") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(name, str):
            self._fault("no fault is named", "write - {fault: NAME, where: ..., when: ...}", *path)
            return None
        kind = FAULTS.get(name)
        if kind is None:
            close = difflib.get_close_matches(name, FAULTS, n=1)
            hint = f"did you mean `{close[0]}`? " if close else ""
            self._fault(f"unknown fault `{name}`", f"{hint}known here: {', '.join(FAULTS)}", *path, "fault")
            return None
        before = len(self.faults)
        for key in entry:
            if key not in _FIXED and key not in kind.params:
                known = ", ".join((*_FIXED, *kind.params))
                self._fault(f"{name} has no `{key}`", f"it takes: {known}", *path, key)
        params = {
            key: value
            for key in kind.params
            if key in entry and (value := self._number(kind, key, entry[key], path)) is not None
        }
        at_s, step, after_s, exchange = self._when(entry.get("when"), path)
        strike = Strike(
            fault=name,
            where=self._text(entry.get("where", ""), "where", path),
            at_s=at_s,
            step=step,
            after_s=after_s,
            exchange=exchange,
            for_s=self._time(entry["for"], "for", path) if "for" in entry else None,
            params=params,
        )
        if "for" in entry and not kind.lasting:
            self._fault(f"{name} happens once", "leave `for` out", *path, "for")
        slip = strike_slip(strike, self._scene)
        if slip is not None:
            self._fault(slip, "correct `where`", *path, "where")
        return strike if len(self.faults) == before else None

    def _when(
        self, entry: Data | None, path: tuple[str | int, ...]
    ) -> tuple[float | None, str | None, float, int | None]:
        keys = frozenset(entry) if isinstance(entry, dict) else frozenset()
        here = (*path, "when")
        if isinstance(entry, dict) and keys == {"at"}:
            return self._time(entry["at"], "at", here), None, 0.0, None
        if isinstance(entry, dict) and keys in ({"step"}, {"step", "after"}):
            after_s = self._time(entry["after"], "after", here) if "after" in entry else 0.0
            return None, self._step(entry["step"], here), after_s or 0.0, None
        if isinstance(entry, dict) and keys == {"exchange"}:
            text = entry["exchange"]
            if isinstance(text, str) and text.isdigit() and int(text) > 0:
                return None, None, 0.0, int(text)
        self._fault("it is not said when", _WHEN, *here)
        return None, None, 0.0, None

    def _step(self, value: Data, path: tuple[str | int, ...]) -> str:
        name = self._text(value, "step", path)
        if name and self._steps is not None and name not in self._steps:
            known = ", ".join(self._steps.known)
            self._fault(f"the sequence has no step `{name}`", f"a kind, a name or a path: {known}", *path, "step")
        return name

    def _number(self, kind: FaultKind, key: str, value: Data, path: tuple[str | int, ...]) -> float | None:
        parameter = kind.params[key]
        example = f"write for example {key}: {parameter.default:g} {parameter.unit}".rstrip()
        try:
            if not isinstance(value, str):
                raise UnitError(f"`{key}` is no number")
            if parameter.unit:
                return parse_as(value, _DIMENSIONS[parameter.unit])
            try:
                return float(value)
            except ValueError:
                return parse_quantity(value).value
        except UnitError as error:
            self._fault(f"{kind.name}: {error}", example, *path, key)
            return None

    def _time(self, value: Data, key: str, path: tuple[str | int, ...]) -> float | None:
        try:
            seconds = parse_as(value if isinstance(value, str) else "", Dimension.TIME)
        except UnitError as error:
            self._fault(f"`{key}`: {error}", f"write for example {key}: 10 s", *path, key)
            return None
        if seconds < 0.0:
            self._fault(f"`{key}` lies before the beginning", f"write for example {key}: 10 s", *path, key)
        return seconds

    def _text(self, value: Data, key: str, path: tuple[str | int, ...]) -> str:
        if isinstance(value, str):
            return value
        self._fault(f"`{key}` is no name", f"write {key}: NAME", *path, key)
        return ""

    def _fault(self, error: str, fix: str, *path: str | int) -> None:
        line = self._document.mark(path).line
        self.faults.append(Fault(error, f"{self._where}:{line}", fix))


def written(strikes: tuple[Strike, ...], heading: str = "") -> str:
    """A script as it stands in a file, each parameter in its base unit."""
    lines = [*(f"# {line}" for line in heading.splitlines()), f"schema: {SCHEMA}", "faults:"]
    for strike in strikes:
        where = [f"where: {strike.where}"] if strike.where else []
        parts = [f"fault: {strike.fault}", *where, f"when: {{{when(strike)}}}"]
        if strike.for_s is not None:
            parts.append(f"for: {strike.for_s:g} s")
        units = {name: parameter.unit for name, parameter in strike.kind.params.items()}
        parts += [f"{name}: {value:g} {units[name]}".rstrip() for name, value in strike.params.items()]
        lines.append(f"  - {{{', '.join(parts)}}}")
    return "\n".join(lines) + "\n"


def when(strike: Strike) -> str:
    """When it is to strike, as it stands in a file."""
    if strike.at_s is not None:
        return f"at: {strike.at_s:g} s"
    if strike.step is not None:
        return f"step: {strike.step}, after: {strike.after_s:g} s"
    return f"exchange: {strike.exchange}"
