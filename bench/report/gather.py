"""What a report says, gathered from a bundle and nothing else.

Inputs that a bundle does not hold (an interrupted run has no result) leave their part of the report empty; nothing is
made up. Files are read as they were written, not through today's models: an old bundle keeps its report.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from bench import amendments
from bench.amendments import Chain
from bench.binding.evidence import SIMULATED_CERTIFICATE
from bench.printed import between, number
from bench.record import Record
from bench.report.abuse import ANSWER, answers_of, with_judgements, yes_or_no
from bench.report.phrases import pick
from bench.report.words import RESULTS
from drivers.units import BASE, UnitError, parse_quantity

_ENTRY = re.compile(r"\bentry\.(\w+)")


@dataclass(frozen=True, slots=True)
class Files:
    """The inputs of the run as the bundle holds them, parsed but not interpreted."""

    sequence: Mapping[str, Any]
    bench: Mapping[str, Any]
    cell: Mapping[str, Any]
    sample: Mapping[str, Any]
    plan: Mapping[str, Any]
    result: Mapping[str, Any]
    environment: Mapping[str, Any]
    added: Chain = field(default_factory=lambda: Chain((), ""))

    @property
    def now(self) -> Mapping[str, Any]:
        """The result as the judgements that came later left it."""
        return with_judgements(self.result, self.added)


def read_files(kept: Record) -> Files:
    """Every input. Raises OSError, or ValueError for one that is not what its name says."""
    return Files(
        sequence=_yaml(kept.folder / "sequence.yaml"),
        bench=_toml(kept.folder / "bench.toml"),
        cell=_toml(kept.folder / "cell.toml"),
        sample=kept.json("sample.json"),
        plan=kept.json("plan.json"),
        result=kept.json("result.json"),
        environment=kept.json("environment.json"),
        added=amendments.read(kept.folder),
    )


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"{path.name}: {error}") from error
    return value if isinstance(value, dict) else {}


def entered_by(kept: Record) -> dict[str, str]:
    """Who entered each value that no device measures, by the entry's name."""
    return {
        str(name): str(event.data.get("by", ""))
        for event in kept.of("answered")
        for name in (event.data.get("values") or {})
    }


def entries(kept: Record, files: Files) -> list[dict[str, str]]:
    """Every value that a person entered, in base units (a speed in the unit it was asked for in), and who that was."""
    units = dict(_entry_units(files.sequence))
    return [
        {
            "name": str(name).replace("_", " "),
            "value": _in_unit(value, *units.get(name, ("", 1.0))) if isinstance(value, float) else str(value),
            "by": str(event.data.get("by", "")),
        }
        for event in kept.of("answered")
        for name, value in (event.data.get("values") or {}).items()
    ]


def _in_unit(value: float, unit: str, scale: float) -> str:
    return f"{number(value * scale)} {unit}".strip()


def _entry_units(part: Any) -> Iterator[tuple[str, tuple[str, float]]]:
    """The unit, and its factor from the base unit, of each entry that a confirm step asks for, from its example."""
    if isinstance(part, Mapping):
        if "name" in part and "example" in part:
            try:
                yield str(part["name"]), _printed_unit(str(part["example"]))
            except UnitError:
                return
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from _entry_units(each)


def _printed_unit(example: str) -> tuple[str, float]:
    base = BASE[parse_quantity(example).dimension]
    return ("m/s", 1e-3) if base == "mm/s" and example.split()[-1] == "m/s" else (base, 1.0)


def clause_rows(kept: Record, files: Files) -> list[dict[str, Any]]:
    """The clause table: requirements first, then conditions, each in the order of the sequence."""
    entries = entered_by(kept)
    written = {str(it.get("id")): it for it in files.sequence.get("criteria") or () if isinstance(it, dict)}
    closed = answers_of(files.sequence)
    rows: list[dict[str, Any]] = []
    for row in files.now.get("criteria") or ():
        text = str(written.get(row["id"], {}).get("value", ""))
        by = row.get("by") or next((entries[name] for name in _ENTRY.findall(text) if name in entries), None)
        limit = row.get("limit") or {}
        limits = between(limit.get("at_least"), limit.get("at_most"))
        value = _value(row)
        judged = ANSWER.fullmatch(text) is not None
        if row["id"] in closed:
            limits = _closed_limit(limit) or limits
            value = yes_or_no(row.get("value")) or (pick("not answered", "未判定") if judged else value)
        said = {"by": by, "judged": judged, "closed": row["id"] in closed, "limit_text": limits, "value_text": value}
        rows.append({**row, **said})
    return sorted(rows, key=lambda row: row["kind"] != "requirement")


def _closed_limit(limit: Mapping[str, Any]) -> str | None:
    """What a yes or no must be; None where either will do."""
    if limit.get("at_most") is not None and limit["at_most"] < 1.0:
        return yes_or_no(0.0)
    return yes_or_no(1.0) if (limit.get("at_least") or 0.0) > 0.0 else None


def _value(row: Mapping[str, Any]) -> str:
    value = row.get("value")
    if value is None:
        return pick("not measured", "未测得")
    days = f" ({number(value / 86400.0, 3)} d)" if row.get("unit") == "s" and abs(value) >= 86400.0 else ""
    return number(value) + days


def result_rows(files: Files) -> list[dict[str, Any]]:
    """Each result beside the plant's truth, and the energy density beside what is claimed."""
    truth = files.result.get("plant_truth") or {}
    claimed = str(files.cell.get("claimed_energy_density") or "")
    rated = str(files.cell.get("rated_capacity") or "")
    beside = {"energy_density_wh_kg": claimed, "capacity_ah": rated}
    rows: list[dict[str, Any]] = []
    closed = answers_of(files.sequence)
    for name, result in (files.now.get("results") or {}).items():
        if name.startswith("claimed_"):
            continue  # a claim stands beside its result, not among them
        true = truth.get(name, {}).get("value")
        value = result.get("value")
        rows.append(
            {
                "name": name,
                "title": _title(name.removesuffix("_" + _suffix(result.get("unit", ""))).replace("_", " ")),
                "value": _said(value, closed=name in closed),
                "at_least": bool(result.get("at_least")),
                "unit": _printed(result.get("unit", "")),
                "truth": None if true is None else _said(true, closed=name in closed),
                "off": None if name in closed else _off(value, true, result.get("unit", "")),
                "claimed": beside.get(name) or None,
                "share": _share(value, beside.get(name)),
            }
        )
    return rows


def _title(name: str) -> str:
    return pick(name, RESULTS.get(name, name))


def _said(value: float | None, *, closed: bool) -> str:
    return (yes_or_no(value) if closed else None) or number(value)


def _off(value: float | None, true: float | None, unit: str) -> str | None:
    """How far measured lies from true: of a temperature in kelvin, of everything else in per cent."""
    if value is None or not true:
        return None
    off, sign = (round(value - true, 2), "K") if unit == "degC" else (round(100.0 * (value / true - 1.0), 3), "%")
    return f"{off + 0.0:+.{2 if sign == 'K' else 3}f} {sign}".replace("-", "−") if off else f"0 {sign}"


def _suffix(unit: str) -> str:
    return {"degC": "c", "Wh/kg": "wh_kg"}.get(unit, unit.lower().replace("/", "_"))


def _printed(unit: str) -> str:
    return unit.replace("degC", "°C")


def _share(value: float | None, stated: str | None) -> str | None:
    """Measured in per cent of what is claimed or rated ("300 Wh/kg")."""
    match = re.match(r"\s*([0-9.]+)", stated or "")
    if value is None or match is None or not float(match[1]):
        return None
    return f"{100.0 * value / float(match[1]):.1f} %"


def mass(files: Files) -> dict[str, Any]:
    """The mass that the energy density stands on, and whether it was weighed."""
    weighed = files.sample.get("mass_kg")
    known = files.plan.get("sample_mass_kg", weighed)
    return {
        "text": f"{number(known)} kg" if known is not None else str(files.cell.get("mass") or "—"),
        "nominal": bool(files.plan.get("sample_mass_nominal", weighed is None)),
        "balance": files.sample.get("balance"),
    }


def devices(kept: Record, files: Files) -> list[dict[str, Any]]:
    """Every device of the bench file, and what answered in its place."""
    answered: dict[str, Any] = {}
    for event in kept.of("devices"):
        answered |= event.data.get("devices") or {}
    rows: list[dict[str, Any]] = []
    for name, entry in (files.bench.get("devices") or {}).items():
        identity = answered.get(name) or {}
        rows.append(
            {
                "name": name,
                "model": entry.get("model", ""),
                "url": entry.get("url", ""),
                "used": name in answered,
                **{key: identity.get(key) or "—" for key in ("maker", "serial", "firmware")},
                "says": identity.get("model") or "—",
            }
        )
    return rows


def calibrations(files: Files, start_utc_s: float) -> list[dict[str, Any]]:
    """Certificates of the points that the run's results stand on (of the whole bench, where no plan says which).

    A simulated point has a simulated certificate, dated from the run's start.
    """
    start = datetime.fromtimestamp(start_utc_s, UTC).date()
    stated: Mapping[str, Any] = files.bench.get("calibration") or {}
    used = files.plan.get("calibration") or [{"point": point} for point in stated]
    simulated = bool(files.plan.get("simulated"))
    rows: list[dict[str, Any]] = []
    for it in used:
        entry = stated.get(it["point"], {})
        accuracy = ", ".join(f"{name} ± {value}" for name, value in (entry.get("accuracy") or {}).items())
        certificate = str(it.get("certificate") or entry.get("certificate") or "none")
        rows.append(
            {
                "point": it["point"],
                "certificate": _in_place_of(certificate) if simulated else certificate,
                "date": pick(f"{start}, the run's start", f"{start}（运行开始日）")
                if simulated
                else str(entry.get("date") or "—"),
                "due": str(start + SIMULATED_CERTIFICATE if simulated else it.get("due") or entry.get("due") or "—"),
                "accuracy": accuracy or "—",
                "simulated": simulated,
            }
        )
    return rows


def _in_place_of(certificate: str) -> str:
    return "" if certificate == "none" else pick(f"in place of {certificate}", f"代替 {certificate}")


def parameters(files: Files) -> list[Mapping[str, Any]]:
    """The sequence's parameters as bound: ``name``, ``text``, and ``overridden`` for a changed one."""
    return list(files.plan.get("parameters") or ())


def utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def safe_state(kept: Record) -> Mapping[str, Any] | None:
    """What the last safe state event says; None if there was none."""
    return next((event.data for event in reversed(list(kept.of("safe_state")))), None)
