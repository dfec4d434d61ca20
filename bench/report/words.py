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
}


def verdict(word: str, clauses: Sequence[Mapping[str, Any]], result: Mapping[str, Any]) -> str:
    """One sentence that says what the verdict rests on."""
    failed = [row["title"] for row in clauses if row["verdict"] == "fail"]
    open_ = [row["title"] for row in clauses if row["verdict"] not in ("pass", "fail")]
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
        case "inconclusive":
            return f"Unmeasured, unanswered or out of tolerance: {'; '.join(open_) or end}."
        case _:
            return "The run was interrupted: its logs are good to the last whole record, there is no result."


def ended(by: Mapping[str, Any]) -> tuple[str, str]:
    """What ended the run, in both languages; rule, device and numbers stand beside it."""
    return ENDS.get(str(by.get("kind", "")), ("unknown", "不明"))
