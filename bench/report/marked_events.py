"""The events worth a mark in the plots and a line in the list of a report, each in one line of words."""

from __future__ import annotations

from typing import Any

from bench.printed import number
from bench.record import Event
from bench.report.phrases import pick
from bench.report.words import ENDS

#: Events worth a mark in the plots and a line in the list: sign, words, whether it is bad news.
MARKED: dict[str, tuple[str, str, bool]] = {
    "preflight_passed": ("P", "preflight passed", False),
    "trip": ("✕", "guard trip", True),
    "reading_lost": ("!", "readings lost", True),
    "reading_recovered": ("r", "readings back", False),
    "quality": ("q", "quality of a reading changed", True),
    "safe_state_begun": ("S", "safe state begun", False),
    "safe_state_failed": ("✕", "safe state not confirmed", True),
    "safe_state": ("S", "safe state", False),
    "answered": ("A", "answered", False),
    "unanswered": ("!", "not answered", True),
    "turn_started": ("↻", "turn", False),
    "ending": ("E", "end", False),
    "reopened": ("!", "record reopened", True),
    "resumed": ("R", "resumed", True),
    "resume_refused": ("!", "not resumed", True),
    "authorised_start": ("R", "authorised start", True),
    "closed": ("E", "given up", True),
    "permitted": ("A", "leave", False),
    "not_permitted": ("!", "no leave", True),
    "transferred": ("T", "carried", False),
    "stroke_started": ("▸", "stroke started", False),
    "contact": ("C", "contact", False),
    "stroke_ended": ("▪", "stroke ended", False),
    "stroke_unread": ("!", "stroke not read", True),
    "retracted": ("◂", "tool pulled out", False),
    "short_close": ("▸", "short circuit closed", False),
    "short_open": ("▪", "short circuit opened", False),
    "heater": ("▸", "heater", False),
    "sample_event": ("*", "the sample", True),
    "bench_event": ("!", "the bench", True),
    "observing_on": ("O", "energy away, the observation goes on", True),
    "observation_begun": ("O", "observation begun", False),
    "observation_ended": ("O", "observation ended", False),
    "observation_broken_off": ("!", "observation broken off", True),
    "stop_asked": ("!", "a person asked to stop", True),
    "judged": ("J", "judged", False),
    "judgement_missing": ("!", "not judged", True),
    "handover": ("H", "handed over", False),
    "forced_jumps": ("!", "forced jumps of the virtual clock", True),
}


#: The same words in Chinese.
CHINESE: dict[str, str] = {
    "preflight_passed": "预检通过",
    "trip": "保护跳闸",
    "reading_lost": "读数丢失",
    "reading_recovered": "读数恢复",
    "quality": "读数质量变化",
    "safe_state_begun": "开始进入安全状态",
    "safe_state_failed": "安全状态未确认",
    "safe_state": "安全状态",
    "answered": "已答复",
    "unanswered": "未答复",
    "turn_started": "循环",
    "ending": "结束",
    "reopened": "记录重新打开",
    "resumed": "继续运行",
    "resume_refused": "未继续运行",
    "authorised_start": "授权启动",
    "closed": "已放弃",
    "permitted": "许可",
    "not_permitted": "未许可",
    "transferred": "已搬运",
    "stroke_started": "行程开始",
    "contact": "接触",
    "stroke_ended": "行程结束",
    "stroke_unread": "行程数据未读出",
    "retracted": "工具已退出",
    "short_close": "短路接通",
    "short_open": "短路断开",
    "heater": "加热器",
    "sample_event": "样品",
    "bench_event": "台架",
    "observing_on": "已断能，观察继续",
    "observation_begun": "观察开始",
    "observation_ended": "观察结束",
    "observation_broken_off": "观察中断",
    "stop_asked": "人员要求停止",
    "judged": "已判定",
    "judgement_missing": "未判定",
    "handover": "已移交",
    "forced_jumps": "虚拟时钟强制跳变",
}


def words_of(kind: str) -> str:
    """What a kind of event is called."""
    return pick(MARKED[kind][1], CHINESE[kind])


def said(event: Event) -> str:
    """One event in one line."""
    words = words_of(event.kind)
    data = {key: value for key, value in event.data.items() if value not in (None, "", [], {}) and key != "readings"}
    by = data.get("by")
    match event.kind:
        case "safe_state":
            confirmed = pick("confirmed", "已确认") if data.get("confirmed") else pick("NOT CONFIRMED", "未确认")
            return f"{words}: {confirmed}"
        case "turn_started":
            return pick(
                f"turn {data.get('turn')} of {data.get('id')}", f"{data.get('id')} 第 {data.get('turn')} 次循环"
            )
        case "answered":
            values = ", ".join(f"{name} = {_said(value)}" for name, value in (data.get("values") or {}).items())
            return pick(f"answered by {by}", f"{by} 已答复") + (f": {values}" if values else "")
        case "preflight_passed":
            return f"{words}, OCV {number(data.get('ocv_v'), 4)} V"
        case "permitted" | "not_permitted":
            who = pick(f" by {by}", f"，{by}") if by is not None else ""
            return f"{words}{who}: {str(data.get('what')).replace('_', ' ')}"
        case "transferred":
            before, after = number(data.get("ocv_before_v"), 5), number(data.get("ocv_after_v"), 5)
            way = data.get("from"), data.get("to")
            return pick(
                f"{words} by {by} from {way[0]} to {way[1]}, OCV {before} V before, {after} V after",
                f"{by} 将样品从 {way[0]} 搬运到 {way[1]}，OCV 之前 {before} V，之后 {after} V",
            )
        case "contact":
            volts = number(data["voltage_v"], 4) if "voltage_v" in data else None
            cell = "" if volts is None else pick(f", cell at {volts} V", f"，电芯 {volts} V")
            return f"{words}: {data.get('what')}{cell}"
        case "judged":
            answer = pick("yes", "是") if data.get("answer") else pick("no", "否")
            against = ", ".join(data.get("contradicted_by") or ())
            contradicted = pick(f", CONTRADICTED by {against}", f"，与探测器矛盾：{against}") if against else ""
            return pick(f"{words} by {by}", f"{by} {words}") + f": {data.get('question')} {answer}{contradicted}"
        case "handover":
            return pick(f"{words} to {by or 'NOBODY'}", f"{words}：{by or '无人接管'}")
        case "stroke_ended":
            deep = number(data["depth_mm"]) if "depth_mm" in data else None
            depth = "" if deep is None else pick(f", {deep} mm deep", f"，深 {deep} mm")
            return f"{words}: {str(data.get('reason')).replace('_', ' ')}{depth}"
        case "trip" | "ending" | "sample_event" | "bench_event" | "observing_on":
            cause = str(data.get("cause", ""))
            cause = pick(cause, ENDS.get(cause, (cause, cause))[1])
            parts = [cause, str(data.get("rule", "")), str(data.get("device", ""))]
            numbers = [f"{key} {_said(data[key])}" for key in ("value", "limit") if key in data]
            return f"{words}: " + ", ".join([part for part in parts if part] + numbers).replace("_", " ")
        case _:
            return f"{words}: " + ", ".join(f"{key} {_said(value)}" for key, value in data.items())


def _said(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)
