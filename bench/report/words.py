"""Verdicts, ends and grades as a person reads them, in English with Chinese beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.report.phrases import pick

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

GRADES_ZH: dict[str, str] = {"A": "A", "B": "B", "U": "U — 未经核实", "ours": "自定"}

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

PHASES: dict[str, str] = {"conditioning": "调理", "stimulus": "激励", "observation": "观察"}

#: What belongs to an end, by its name in the result.
FIELDS: dict[str, str] = {"phase": "阶段", "rule": "规则", "device": "设备", "value": "数值", "limit": "限值"}

#: What a safe state proves of each part.
SAFE_PARTS: dict[str, str] = {
    "currents 0, output off": "电流为 0，输出关闭",
    "all outputs on their safe side": "所有输出处于安全侧",
    "nothing moves but a stroke in contact": "除接触中的行程外无运动",
    "setpoint to ambient, or off after fire": "设定值回到环境温度，起火后关闭",
    "nothing to switch": "无可切换的输出",
    "contactor open by feedback": "反馈表明接触器已断开",
}

#: Results by the name without its unit, as the library calls them.
RESULTS: dict[str, str] = {
    "capacity": "容量",
    "energy": "能量",
    "energy density": "能量密度",
    "mass": "质量",
    "ocv": "开路电压",
    "peak temperature": "最高温度",
    "observation": "观察时间",
    "penetration speed": "针刺速度",
    "penetration depth": "刺入深度",
    "peak force": "最大力",
    "hazard level": "危害等级",
    "fire": "起火",
    "explosion": "爆炸",
    "leak": "泄漏",
    "rupture": "破裂",
    "vent": "泄放",
    "voltage drop": "电压降",
    "humidity": "相对湿度",
}

#: A person's answer, and a watched condition: 1 and 0 in words.
ANSWERS: dict[float, tuple[str, str]] = {1.0: ("yes 是", "是"), 0.0: ("no 否", "否")}

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
    title = pick("title", "title_zh")
    named = [(row, str(row.get(title) or row["title"])) for row in clauses]
    failed = _listed(name for row, name in named if row["verdict"] == "fail")
    open_ = [name for row, name in named if row["verdict"] not in ("pass", "fail")]
    waiting = set(result.get("awaiting") or ())
    awaiting = [name for row, name in named if row["id"] in waiting]
    end = pick(*ended(result.get("ended_by") or {}))
    match word:
        case "pass":
            return pick(
                "Every requirement was met on good measurement, and every condition of the test was within tolerance.",
                "测量有效，所有要求均已满足，所有试验条件均在允差之内。",
            )
        case "fail":
            return pick(f"Not met on good measurement: {failed}.", f"测量有效，未满足：{failed}。")
        case "error":
            return pick(
                f"The bench failed, not the sample: the run was ended by {end}. Nothing is known against the sample.",
                f"故障在台架而不在样品：运行结束原因为{end}。对样品没有不利结论。",
            )
        case "aborted":
            return pick(f"The run was stopped before its end, by {end}.", f"运行在完成之前停止，原因：{end}。")
        case "inconclusive" if awaiting and set(awaiting) == set(open_):
            listed = _listed(awaiting)
            return pick(
                f"Awaits a person's judgement: {listed}. Everything else is settled.",
                f"等待人员判定：{listed}。其余均已确定。",
            )
        case "inconclusive":
            listed = _listed(open_) or end
            return pick(
                f"Unmeasured, unanswered or out of tolerance: {listed}.", f"未测得、未判定或超出允差：{listed}。"
            )
        case _:
            return pick(
                "The run was interrupted: its logs are good to the last whole record, there is no result.",
                "运行中断：日志完整到最后一条记录，没有结果。",
            )


def _listed(names: Iterable[str]) -> str:
    return pick("; ", "；").join(names)


def ended(by: Mapping[str, Any]) -> tuple[str, str]:
    """What ended the run, in both languages; rule, device and numbers stand beside it."""
    return ENDS.get(str(by.get("kind", "")), ("unknown", "不明"))
