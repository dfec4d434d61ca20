"""What each kind of alarm means to an operator: how urgent it is, what it is about, what comes of it, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bench.cause import EndKind, is_fire
from bench.daemon.views import Words

Priority = Literal["high", "medium", "low"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """``safety`` alarms are never shelved."""

    priority: Priority
    safety: bool
    cause: Words
    consequence: Words
    action: Words


def _meaning(priority: Priority, *, safety: bool, cause: Words, consequence: Words, action: Words) -> Meaning:
    return Meaning(priority, safety, cause, consequence, action)


def _w(en: str, zh: str) -> Words:
    return Words(en=en, zh=zh)


_ISOLATED = _w("The run has ended: currents off, contactor open.", "运行已结束：电流切断，接触器断开。")

FIRE = _meaning(
    "high",
    safety=True,
    cause=_w(
        "A detector of smoke, flame or gas has spoken, or a cell runs away.",
        "烟雾、火焰或可燃气体探测器动作，或电池热失控。",
    ),
    consequence=_w(
        "Energy and heat of the zone are off; fire and toxic gas are possible.",
        "该区域能量与加热已切断；可能起火或有毒气体。",
    ),
    action=_w(
        "Keep away, follow the site's fire procedure, ventilate; do not open the door.",
        "远离，按现场火灾预案处置并通风；不要开门。",
    ),
)
UNSAFE = _meaning(
    "high",
    safety=True,
    cause=_w("A device did not confirm its safe state.", "有设备未确认进入安全状态。"),
    consequence=_w("The sample may still be connected or energised.", "样品可能仍被连接或带电。"),
    action=_w("Isolate the sample by hand before anyone approaches.", "任何人靠近前须手动隔离样品。"),
)
LATCHED = _meaning(
    "high",
    safety=True,
    cause=_w("A run of this bench tripped.", "该台架的运行已跳闸。"),
    consequence=_w("No run starts until a person has acknowledged the trip.", "人员确认跳闸之前，任何运行都不能启动。"),
    action=_w("Find and mend the cause, then acknowledge the trip.", "查明并消除原因，然后确认跳闸。"),
)
HELD = _meaning(
    "medium",
    safety=True,
    cause=_w("A run was interrupted: the program or the PC ended under it.", "运行被中断：程序或电脑在其运行中退出。"),
    consequence=_w("Its channel holds, de-energised.", "其通道保持在断电状态。"),
    action=_w("Look at the sample, then resume the run or close it.", "检查样品，然后恢复或关闭该运行。"),
)
LOST = _meaning(
    "medium",
    safety=False,
    cause=_w("A device does not answer.", "设备无应答。"),
    consequence=_w(
        "Runs that use it end; none starts on its channels.", "使用该设备的运行将结束；其通道不能启动运行。"
    ),
    action=_w("Check its power, cable and address.", "检查其电源、电缆和地址。"),
)
LINE = _meaning(
    "low",
    safety=False,
    cause=_w("A line loses or garbles exchanges.", "通信线路丢失或损坏数据。"),
    consequence=_w("It may fail altogether and end the runs on it.", "可能完全中断并使其上的运行结束。"),
    action=_w("Check connectors, shield, termination and unit numbers.", "检查接头、屏蔽、终端电阻和站号。"),
)
DISK = _meaning(
    "high",
    safety=False,
    cause=_w("The disk is nearly full or does not confirm writes.", "磁盘将满，或写入未被确认。"),
    consequence=_w("The run ends safely while everything can still be kept.", "在仍可保存全部数据时运行将安全结束。"),
    action=_w("Free or replace the disk before the next run.", "下次运行前清理或更换磁盘。"),
)
WARNING = _meaning(
    "low",
    safety=False,
    cause=_w("A value is near a limit.", "数值接近限值。"),
    consequence=_w("The run goes on; beyond the next limit it trips.", "运行继续；超过下一限值将跳闸。"),
    action=_w("Watch the channel.", "注意观察该通道。"),
)
PROGRAM = _meaning(
    "low",
    safety=False,
    cause=_w("A part beside the bench failed.", "台架旁路部分发生故障。"),
    consequence=_w("Tests go on; what it did is missing.", "试验继续；该部分功能缺失。"),
    action=_w("Tell whoever maintains the program.", "通知程序维护人员。"),
)
UNSEEN = _meaning(
    "medium",
    safety=False,
    cause=_w("A data folder that this bench was used with is not there.", "本台架用过的数据目录不存在。"),
    consequence=_w("A latch or an interrupted run that lies in it is not seen.", "其中的锁定或中断的运行无法看到。"),
    action=_w(
        "Mount its disk and start the program again, or delete the note that the alarm names.",
        "挂载其磁盘并重新启动程序，或删除报警中给出的登记文件。",
    ),
)
#: Of a trip, by the kind of its cause.
TRIPS: Mapping[str, Meaning] = {
    EndKind.INTERLOCK.value: _meaning(
        "high",
        safety=True,
        cause=_w("An interlock is open: door, E-stop, curtain or exhaust.", "联锁断开：门、急停、光幕或排风。"),
        consequence=_ISOLATED,
        action=_w(
            "Make the place safe, close the interlock, acknowledge the trip.", "确保现场安全，恢复联锁，确认跳闸。"
        ),
    ),
    EndKind.BENCH_LIMIT.value: _meaning(
        "high",
        safety=True,
        cause=_w("A limit of the bench was passed.", "超出台架限值。"),
        consequence=_ISOLATED,
        action=_w("Find what drove it there before the next run.", "下次运行前查明原因。"),
    ),
    EndKind.SAMPLE_EVENT.value: _meaning(
        "high",
        safety=True,
        cause=_w("The sample passed one of its limits.", "样品超出其限值。"),
        consequence=_w("Energy is off; recording and observation go on as owed.", "能量已切断；记录与观察按要求继续。"),
        action=_w("Treat the sample as damaged until it was looked at.", "查看之前按已损坏样品处理。"),
    ),
    EndKind.STALENESS.value: _meaning(
        "high",
        safety=True,
        cause=_w("A reading that the run is watched by no longer came.", "监护所依据的读数中断。"),
        consequence=_ISOLATED,
        action=_w("Check the sensor and its device.", "检查传感器及其设备。"),
    ),
    EndKind.DEVICE.value: _meaning(
        "high",
        safety=True,
        cause=_w("A device failed or is not as it was set.", "设备故障或与设定不符。"),
        consequence=_ISOLATED,
        action=_w("Check the device that is named before the next run.", "下次运行前检查所述设备。"),
    ),
    EndKind.HOST.value: _meaning(
        "high",
        safety=True,
        cause=_w("The PC or the program was not watching for a while.", "电脑或程序曾一度未在监护。"),
        consequence=_ISOLATED,
        action=_w("Keep the bundle and report it.", "保留数据包并上报。"),
    ),
}


def of_trip(kind: str, rule: str | None) -> Meaning:
    """What a trip of this kind means."""
    return FIRE if is_fire(rule) else TRIPS.get(kind, TRIPS[EndKind.HOST.value])
