"""Verdicts, ends and grades as a person reads them, in English with Chinese beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

VERDICTS: dict[str, tuple[str, str]] = {
    "pass": ("PASS", "合格"),
    "fail": ("FAIL", "不合格"),
    "error": ("ERROR", "设备故障"),
    "aborted": ("ABORTED", "中止"),
    "inconclusive": ("INCONCLUSIVE", "无法判定"),
    "none": ("NOT CLOSED", "未完成"),
}

ENDS: dict[str, tuple[str, str]] = {
    "completed": ("the sequence came to its end", "程序正常结束"),
    "sample_event": ("an event of the sample", "样品事件"),
    "bench_limit": ("a bench limit", "台架限值"),
    "staleness": ("readings that stayed away", "数据中断"),
    "interlock": ("an interlock", "联锁动作"),
    "person": ("a person", "人员停止"),
    "device": ("a device or its wire", "设备或通信故障"),
    "host": ("the program or its computer", "程序或主机故障"),
}

GRADES: dict[str, str] = {
    "A": "A",
    "B": "B",
    "U": "U — UNVERIFIED",
    "ours": "ours",
}

GRADE_MEANINGS: tuple[tuple[str, str], ...] = (
    ("A", "text of the standard, with its clause · 标准原文"),
    ("B", "laboratory, vendor or news page · 实验室或厂商资料"),
    ("U — UNVERIFIED", "nobody could check the number against the standard · 未经核实"),
    ("ours", "our own choice, no clause behind it · 本程序自定"),
)

KINDS: dict[str, str] = {"requirement": "要求", "condition": "试验条件"}

STEP_KINDS: dict[str, str] = {
    "charge": "充电",
    "discharge": "放电",
    "rest": "搁置",
    "chamber": "设定温箱",
    "soak": "恒温",
    "confirm": "确认",
    "measure": "测量",
    "transfer": "转移",
    "penetrate": "针刺",
    "crush": "挤压",
    "short": "外部短路",
    "heat": "加热",
    "hold": "保持",
    "retract": "退出",
    "observe": "观察",
    "judge": "判定",
    "quarantine": "移交看护",
}

#: A person's answer, and a watched condition: 1 and 0 in words.
ANSWERS: dict[float, str] = {1.0: "yes 是", 0.0: "no 否"}

#: EUCAR hazard levels (as batterydesign.net gives them, grade B), in short.
HAZARDS: dict[int, tuple[str, str]] = {
    0: ("no effect", "无影响"),
    1: ("passive protection activated", "被动保护动作"),
    2: ("defect or damage: no leakage, venting, fire or explosion", "缺陷或损伤：无泄漏、泄放、起火、爆炸"),
    3: ("leakage: less than half of the electrolyte lost", "泄漏：电解液损失少于一半"),
    4: ("venting: half of the electrolyte or more lost, no fire", "泄放：电解液损失不少于一半，未起火"),
    5: ("fire or flame, no rupture, no explosion", "起火，未破裂、未爆炸"),
    6: ("rupture: active mass thrown out, no explosion", "破裂：活性物质抛出，未爆炸"),
    7: ("explosion: the cell came apart", "爆炸：电池解体"),
}


def verdict(word: str, clauses: Sequence[Mapping[str, Any]], result: Mapping[str, Any]) -> str:
    """One sentence that says what the verdict rests on."""
    failed = [row["title"] for row in clauses if row["verdict"] == "fail"]
    open_ = [row["title"] for row in clauses if row["verdict"] not in ("pass", "fail")]
    waiting = set(result.get("awaiting") or ())
    awaiting = [row["title"] for row in clauses if row["id"] in waiting]
    end = ended(result.get("ended_by") or {})[0]
    match word:
        case "pass":
            return (
                "Every requirement was met on good measurement, and every condition of the test was within tolerance."
            )
        case "fail":
            return f"Not met on good measurement: {'; '.join(failed)}."
        case "error":
            return f"The bench failed, not the sample: the run was ended by {end}. Nothing is known against the sample."
        case "aborted":
            return f"The run was stopped before its end, by {end}."
        case "inconclusive" if awaiting and set(awaiting) == set(open_):
            return f"Awaits a person's judgement: {'; '.join(awaiting)}. Everything else is settled."
        case "inconclusive":
            return f"Unmeasured, unanswered or out of tolerance: {'; '.join(open_) or end}."
        case _:
            return "The run was interrupted: its logs are good to the last whole record, there is no result."


def ended(by: Mapping[str, Any]) -> tuple[str, str]:
    """What ended the run, in both languages; rule, device and numbers stand beside it."""
    return ENDS.get(str(by.get("kind", "")), ("unknown", "不明"))
