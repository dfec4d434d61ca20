"""What a report of an abuse test says beside the clause table: judgements, stroke, aftermath, hand-over, additions.

Like the rest of a report it is made from the bundle alone, and from what was added to it since.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from bench.amendments import Chain
from bench.printed import duration, number
from bench.record import Event, Record
from bench.report.phrases import pick
from bench.report.words import ANSWERS, HAZARDS
from bench.stroke_table import StrokeTable

#: A criterion or result that is a person's answer and nothing else.
ANSWER = re.compile(r"\s*judgement\.(\w+)\s*")
_WATCH = re.compile(r"\s*watch\.(\w+)\s*")


def with_judgements(result: Mapping[str, Any], added: Chain) -> dict[str, Any]:
    """The run's result as the latest judgement left it."""
    later = added.of("judgement")
    if not later:
        return dict(result)
    data = later[-1].data
    return {**result, **{key: data[key] for key in ("verdict", "criteria", "results", "awaiting")}}


def answers_of(sequence: Mapping[str, Any]) -> frozenset[str]:
    """Criteria (by id) and results (by name) that are yes or no and no quantity."""
    when = {str(it.get("name")) for it in sequence.get("watch") or () if isinstance(it, dict) and it.get("when")}
    written = {str(it.get("id")): it.get("value") for it in sequence.get("criteria") or () if isinstance(it, dict)}
    written |= sequence.get("results") or {}
    found: set[str] = set()
    for name, text in written.items():
        watched = _WATCH.fullmatch(str(text))
        if ANSWER.fullmatch(str(text)) or (watched is not None and watched[1] in when):
            found.add(name)
    return frozenset(found)


def yes_or_no(value: float | None) -> str | None:
    """1 and 0 in words; None for anything else."""
    found = None if value is None else ANSWERS.get(float(value))
    return None if found is None else pick(*found)


def questions_of(part: Any) -> Iterator[Mapping[str, Any]]:
    """Every question of a sequence file, as it was written."""
    if isinstance(part, Mapping):
        if isinstance(part.get("judge"), Mapping):
            yield from part["judge"].get("questions") or ()
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from questions_of(each)


def judgements(kept: Record, sequence: Mapping[str, Any], added: Chain) -> list[dict[str, Any]]:
    """One line an answer, in the order of the questions: those of the run first, then those that came later.

    ``counts`` says that no later answer takes its place. A question without any answer is a line of its own.
    """
    asked = {str(it.get("name")): it for it in questions_of(sequence.get("steps") or [])}
    names = [str(event.data["question"]) for event in kept.of("asked_judgement")]
    names += [str(amendment.data["question"]) for amendment in added.of("judgement")]
    if next(kept.of("contact"), None) is not None:
        names = [*asked, *names]
    rows: list[dict[str, Any]] = []
    for name in dict.fromkeys(names):
        said = [
            _line(event.data, kept.start_utc_s, event.utc_s)
            for event in kept.of("judged")
            if event.data["question"] == name
        ]
        said += [
            {**_line(it.data, 0.0, 0.0), "when": _moment(it.data["made_utc"]), "where": it.path}
            for it in added.of("judgement")
            if it.data["question"] == name
        ]
        question = asked.get(name, {})
        text = {"question": name, "text": question.get("text") or {}, "definition": question.get("definition") or {}}
        text["source"] = _source(question.get("source") or {})
        rows += [{**text, **line, "counts": line is said[-1]} for line in said]
        if not said:
            rows.append({**text, "answer": None, "by": "", "note": "", "contradicted": "", "when": "", "counts": True})
    return rows


def _line(data: Mapping[str, Any], start_utc_s: float, utc_s: float) -> dict[str, Any]:
    return {
        "answer": pick("yes", "是") if data["answer"] else pick("no", "否"),
        "by": str(data["by"]),
        "note": str(data.get("note") or ""),
        "contradicted": ", ".join(map(str, data.get("contradicted_by") or ())),
        "when": f"{pick('in the run,', '运行中')} {duration(utc_s - start_utc_s)}",
        "where": "",
    }


def _source(source: Mapping[str, Any]) -> str:
    said = " ".join(str(source[key]) for key in ("standard", "edition", "clause") if source.get(key))
    return f"{said}, {pick('grade', '等级')} {source['grade']}" if said and source.get("grade") else said


def attachments(added: Chain) -> list[dict[str, Any]]:
    """What was attached since, in order."""
    rows: list[dict[str, Any]] = []
    for amendment in added.of("attachment"):
        data = amendment.data
        offset_s = data.get("clock_offset_s")
        rows.append(
            {
                **{key: data.get(key) for key in ("what", "name", "path", "by", "note", "sha256")},
                "size": f"{number(data['size'] / 1e6, 3)} MB",
                "offset": pick("not stated", "未说明") if offset_s is None else f"{number(offset_s)} s",
                "when": _moment(data["made_utc"]),
            }
        )
    return rows


def hazard(result: Mapping[str, Any]) -> tuple[int, str, str] | None:
    """The EUCAR level that the run came to, in words of both languages; None where there is none."""
    value = ((result.get("results") or {}).get("hazard_level") or {}).get("value")
    if value is None or int(value) not in HAZARDS:
        return None
    return int(value), *HAZARDS[int(value)]


def handover(kept: Record) -> dict[str, Any] | None:
    """How the sample was handed over, and to whom; None if it was not."""
    event = next(reversed(list(kept.of("handover"))), None)
    if event is None:
        return None
    data = event.data
    return {
        "at": duration(event.mono_s - kept.start_s),
        "voltage": _with_unit(data.get("voltage_v"), "V", 4),
        "temperature": _with_unit(data.get("temperature_c"), "°C", 4),
        "energy": _with_unit(data.get("energy_wh"), "Wh", 4),
        "nail_in": bool(data.get("nail_in")),
        "by": data.get("by"),
    }


def strokes(kept: Record, tables: list[StrokeTable]) -> list[dict[str, Any]]:
    """What was asked of the rig and what it did, stroke by stroke."""
    by_number = {table.number: table for table in tables}
    ended = {event.data["stroke"]: event.data for event in kept.of("stroke_ended")}
    wanted: Mapping[str, Any] = {}
    armed = ""
    rows: list[dict[str, Any]] = []
    for event in kept.of("rig_prepared", "rig_arming", "stroke_started"):
        if event.kind == "rig_prepared":
            wanted = event.data
        elif event.kind == "rig_arming":
            armed = str(event.data.get("by") or "")
        else:
            stroke = int(event.data["stroke"])
            facts = _stroke(wanted, ended.get(stroke), by_number.get(stroke))
            facts.insert(0, ("armed, started by", "预备、启动", f"{armed or '—'}, {event.data.get('by') or '—'}"))
            rows.append({"number": stroke, "facts": facts})
    return rows


def _stroke(
    wanted: Mapping[str, Any], end: Mapping[str, Any] | None, table: StrokeTable | None
) -> list[tuple[str, str, str]]:
    """Name in both languages, and what is to be said."""
    facts = [
        ("tool", "工具", str(wanted.get("tool") or "—")),
        ("speed asked for", "设定速度", _with_unit(wanted.get("speed_mm_s"), "mm/s")),
    ]
    if end is None:
        return [
            *facts,
            (
                "end",
                "结束",
                pick("the rig's own account of this stroke could not be read", "设备对该行程的记录未能读出"),
            ),
        ]
    reason = str(end.get("reason") or "").replace("_", " ")
    link = (
        pick(", its link to the program was lost meanwhile", "，其间与程序的通信中断") if end.get("link_lost") else ""
    )
    facts += [
        (
            "mean speed from contact on, from the rig's buffer",
            "接触后平均速度",
            _with_unit(end.get("speed_mm_s"), "mm/s"),
        ),
        ("contact at", "接触位置", _with_unit(end.get("contact_mm"), "mm")),
        ("depth from contact", "刺入深度", _with_unit(end.get("depth_mm"), "mm")),
        ("peak force", "最大力", _with_unit(end.get("peak_force_n"), "N")),
        ("end", "结束", f"{reason}, {pick('the rig reports', '设备报告')} {end.get('state')}{link}"),
    ]
    if table is not None:
        ms = number(1000.0 * table.offset_within_s, 2)
        within = pick(f"clock within ± {ms} ms of the run's", f"时钟与运行相差在 ± {ms} ms 以内")
        lost = "" if table.whole else pick("; PARTS ARE MISSING", "；部分数据缺失")
        files = f"stroke-{table.number}.csv {pick('and', '和')} .parquet"
        rows = f"{len(table)} {pick('rows', '行')}"
        facts.append(("the rig's own rows", "设备缓存数据", f"{rows}, {within}{lost}; {files}"))
    return facts


def aftermath(kept: Record) -> list[tuple[str, str, str]] | None:
    """From contact to the end of the observation; None if there was no stimulus."""
    contact = next(kept.of("contact"), None)
    if contact is None:
        return None
    begun_s = contact_s(kept) or contact.mono_s
    at = duration(begun_s - kept.start_s)
    when = pick(f"at {at} of test time", f"试验时间 {at}")
    facts = [("stimulus", "激励", f"{contact.data.get('what')}, {when}")]
    peak = _last(kept, "peak")
    if peak is not None:
        least = pick("at least ", "至少 ") if peak.data.get("at_least") else ""
        after = duration(float(peak.data["peak_mono_s"]) - begun_s)
        on = f"{peak.data['sensor']}, {pick(after + ' after it', '激励后 ' + after)}"
        facts.append(
            (
                "peak",
                "最高温度",
                f"{least}{number(peak.data['temperature_c'], 4)} °C {pick('on', '于')} {on}",
            )
        )
    went_on = _last(kept, "observing_on")
    if went_on is not None:
        said = ", ".join(str(went_on.data[key]) for key in ("cause", "rule", "device") if went_on.data.get(key))
        facts.append(
            (
                "cut short by",
                "中止原因",
                said.replace("_", " ") + pick("; energy was taken away, the observation went on", "；已断能，观察继续"),
            )
        )
    end = _last(kept, "observation_ended")
    if end is None:
        facts.append(("observation", "观察", pick("NOT COMPLETED 未完成", "未完成")))
    else:
        facts.append(("observation", "观察", f"{duration(float(end.data['observed_s']))}; {end.data['why']}"))
    return facts


def contact_s(kept: Record) -> float | None:
    """Loop time of the contact: by the rig's own buffer, where its first row in the sample tells."""
    contact = next(kept.of("contact"), None)
    return None if contact is None else float(contact.data.get("at_s") or contact.mono_s)


def _last(kept: Record, kind: str) -> Event | None:
    return next(reversed(list(kept.of(kind))), None)


def _with_unit(value: Any, unit: str, digits: int = 5) -> str:
    return f"{number(value, digits)} {unit}" if isinstance(value, int | float) else pick("unknown", "未知")


def _moment(text: Any) -> str:
    return datetime.fromisoformat(str(text)).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
