"""Every fault that can be struck on a simulated bench, by name: what it strikes, its parameters, what it means.

This is the one table: fault scripts, tests and the simulation harness read it, and ``simulators/strikes.py`` carries it
out. ``numbers`` are those of docs/reliability.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

#: What ``where`` of a strike names: a device, a point of a device (``th1.ai0``), a place, a channel, or nothing.
Target = Literal["device", "point", "place", "channel", ""]
Strikes = Literal["wire", "device", "plant", "operator", "host"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number of a fault. ``unit`` is its base unit; "" is a count or a ratio."""

    unit: str
    default: float
    text: str


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One row. ``models`` are the only device models that can have it (empty: any); ``lasting`` faults have a ``for``,
    the others happen once. ``lies`` marks a reading that is wrong and looks right."""

    name: str
    numbers: tuple[str, ...]
    strikes: Strikes
    target: Target
    en: str
    zh: str
    params: Mapping[str, Parameter] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    lasting: bool = True
    lies: bool = False


_COUNT = {"count": Parameter("", 1.0, "so many replies; 0 is all of them while it lasts")}
_PSB = ("ea-psb10000",)
_ANALOG = ("icpdas-m-7018", "icpdas-m-7017")
_BITS = ("icpdas-m-7002", "modbus-points")
_RIG = ("penetration-rig",)

_ROWS = (
    # Between a device and its wire
    FaultKind("no_reply", ("F1", "F2"), "wire", "device", "The request is obeyed, its reply is lost.",
              "请求已执行，应答丢失。", _COUNT),
    FaultKind("request_lost", ("F2", "F24"), "wire", "device", "The request never arrives, a stop included.",
              "请求（包括停止）未到达。", _COUNT),
    FaultKind("late_reply", ("F3", "T1", "T4", "T5"), "wire", "device", "The reply comes late, often too late.",
              "应答迟到。", {"by": Parameter("s", 0.7, "later than usual by this"), **_COUNT}),
    FaultKind("duplicate_reply", ("F4", "T13"), "wire", "device", "The reply is sent twice.", "应答重复发送。", _COUNT),
    FaultKind("burst", ("F5", "T3"), "wire", "device", "Replies are held back and flushed together at the end.",
              "应答被扣留，结束时一次送出。"),
    FaultKind("foreign_reply", ("F6",), "wire", "device", "A Modbus TCP reply carries another transaction's number.",
              "Modbus TCP 应答带有其他事务号。", _COUNT),
    FaultKind("wrong_unit", ("F7", "T8"), "wire", "device", "A Modbus reply comes in another unit's name.",
              "Modbus 应答的站号错误。", _COUNT),
    FaultKind("wrong_function", ("F8", "T8"), "wire", "device", "A Modbus reply answers another function.",
              "Modbus 应答的功能码错误。", _COUNT),
    FaultKind("short_reply", ("F9", "F11"), "wire", "device", "The end of the reply is missing.", "应答缺尾。", _COUNT),
    FaultKind("garbled", ("F10",), "wire", "device", "Bits of the reply are flipped.", "应答位翻转。", _COUNT),
    FaultKind("split_reply", ("F11",), "wire", "device", "The reply comes byte by byte.", "应答逐字节到达。",
              {"pause": Parameter("s", 0.01, "between two bytes"), **_COUNT}),
    FaultKind("noise_byte", ("F12", "T9"), "wire", "device", "A byte that nobody sent precedes the reply.",
              "应答前有杂散字节。", _COUNT),
    FaultKind("garbage", ("F13", "T7"), "wire", "device", "Bytes pour in that nobody asked for.", "大量无请求数据。",
              {"bytes": Parameter("", 65536.0, "how many")}, lasting=False),
    FaultKind("half_open", ("F14", "T19"), "wire", "device", "The far end is gone and says nothing of it.",
              "对端消失且无任何提示。"),
    FaultKind("reset", ("F15",), "wire", "device", "The next request is obeyed, and the link breaks before the reply.",
              "请求已执行，应答前链路断开。", lasting=False),
    FaultKind("wire_cut", ("F2", "F19", "T16", "T21"), "wire", "device", "The wire is pulled, and plugged in later.",
              "线缆拔出后再插回。"),
    FaultKind("flapping", ("F16",), "wire", "device", "The link comes and goes.", "链路时断时续。",
              {"period": Parameter("s", 1.0, "off for so long, then on for so long")}),
    FaultKind("busy", ("F22",), "wire", "device", "A Modbus gateway answers that it is busy.", "Modbus 网关返回忙。",
              {"code": Parameter("", 6.0, "the exception's code: 6, or 11"), **_COUNT}),
    # Devices
    FaultKind("setpoint_drifts", ("F23", "I7"), "device", "device", "The voltage in force rises above the one set.",
              "实际电压高于设定值。", {"by": Parameter("V", 0.3, "added to what was set")}, _PSB),
    FaultKind("current_drifts", ("F3", "F23", "F29"), "device", "device", "The current in force is a multiple of the "
              "one set.", "实际电流为设定值的倍数。", {"factor": Parameter("", 1.5, "of what was set")}, _PSB),
    FaultKind("deaf_to_settings", ("F23",), "device", "device", "Settings are acknowledged and not obeyed.",
              "设置有应答但未执行。", models=_PSB),
    FaultKind("output_stays_on", ("F23", "F24"), "device", "device", "Nothing switches the output off but its wires.",
              "输出无法关断。", models=_PSB),
    FaultKind("gain_error", ("F29", "F35"), "device", "device", "Voltage is measured, and regulated, wrong.",
              "电压测量与调节均有误差。", {"factor": Parameter("", 0.95, "shown for 1 V")}, _PSB, lies=True),
    FaultKind("stuck_meter", ("F32",), "device", "device", "The instrument repeats its last readings.",
              "仪器重复最后读数。", models=(*_PSB, "espec-p300"), lies=True),
    FaultKind("restarts", ("F38",), "device", "device", "The device restarts and comes back with its defaults.",
              "设备重启并恢复默认值。", {"down": Parameter("s", 1.0, "until it answers again")},
              (*_PSB, "icpdas-m-7002"), lasting=False),
    FaultKind("taken_over", ("F39",), "device", "device", "A person at the panel takes remote control away.",
              "面板操作收回远程控制。", models=_PSB),
    FaultKind("other_device", ("F40",), "device", "device", "Another unit of the same model answers.",
              "同型号的另一台设备应答。", models=_PSB),
    FaultKind("own_protection", ("F41",), "device", "device", "The device trips by itself.", "设备自身保护动作。",
              models=(*_PSB, "espec-p300"), lasting=False),
    FaultKind("found_on", ("F42",), "device", "device", "Somebody left the output on.", "输出被遗留在开启状态。",
              {"current": Parameter("A", 1.0, "that flows")}, _PSB, lasting=False),
    FaultKind("scale_changes", ("F30",), "device", "device", "The data format of the inputs changes by itself.",
              "输入的数据格式自行改变。", models=_ANALOG, lies=True),
    FaultKind("tool_jams", ("F48", "H11"), "device", "device", "The rig's tool does not get any further.",
              "刀具卡住。", models=_RIG),
    FaultKind("overtravel", ("F48", "H11"), "device", "device", "The rig's far limit switch opens where the tool is.",
              "行程极限开关动作。", models=_RIG, lasting=False),
    FaultKind("power_lost", ("F38",), "device", "device", "The rig loses power and comes back not homed.",
              "设备断电，恢复后未回零。", models=_RIG),
    # Sensors
    FaultKind("sensor_open", ("F26", "F31"), "device", "point", "The sensor breaks.", "传感器断线。", models=_ANALOG),
    FaultKind("sensor_wild", ("F27",), "device", "point", "An impossible value shows.", "输入显示不可能的值。",
              {"value": Parameter("", 850.0, "shown, in the input's unit")}, _ANALOG),
    FaultKind("sensor_stuck", ("F32",), "device", "point", "The input repeats its last value.", "输入保持不变。",
              models=_ANALOG, lies=True),
    FaultKind("sensor_noisy", ("F33", "H17"), "device", "point", "The input is noisy.", "输入噪声大。",
              {"sigma": Parameter("", 0.5, "standard deviation, in the input's unit")}, _ANALOG, lies=True),
    FaultKind("sensor_off", ("F34",), "device", "point", "The sensor has come off and shows the air of the room.",
              "传感器脱落，显示室温。", {"shows": Parameter("", 23.0, "in the input's unit")}, _ANALOG, lies=True),
    FaultKind("input_lies_on", ("F54",), "device", "point", "An input reads ON whatever is true.", "输入恒为 ON。",
              models=_BITS, lies=True),
    FaultKind("input_lies_off", ("F66",), "device", "point", "An input reads OFF whatever is true.", "输入恒为 OFF。",
              models=_BITS, lies=True),
    # The plant
    FaultKind("contactor_welded", ("F24",), "plant", "channel", "The sample's contactor does not open.",
              "样品接触器熔焊。"),
    FaultKind("contactor_jammed", ("F50",), "plant", "channel", "The sample's contactor opens and stays open.",
              "样品接触器断开不合。"),
    FaultKind("cell_heats", ("F45", "H6"), "plant", "place", "The cell is heated from outside.", "电池被外部加热。"),
    FaultKind("chamber_welded", ("F46", "H9"), "plant", "place", "The chamber's heater cannot be switched off.",
              "试验箱加热器无法关断。"),
    FaultKind("chamber_stalls", ("F47",), "plant", "place", "The chamber's air goes nowhere.", "试验箱温度不变。"),
    FaultKind("door_opens", ("F54", "H10"), "plant", "place", "Somebody opens the door.", "有人开门。"),
    FaultKind("lock_opens", ("F54", "H10"), "plant", "place", "The door's lock opens.", "门锁打开。"),
    FaultKind("short_welded", ("F24",), "plant", "channel", "The contactor that shorts the sample does not open.",
              "短路接触器熔焊。"),
    FaultKind("estop", ("F55",), "plant", "place", "Somebody presses the emergency stop.", "有人按下急停。"),
    FaultKind("smoke", ("F44", "F66", "H7"), "plant", "place", "The smoke detector speaks.", "烟雾探测器报警。"),
    FaultKind("flame", ("F45", "H8"), "plant", "place", "The flame detector speaks.", "火焰探测器报警。"),
    FaultKind("gas", ("F44", "H7"), "plant", "place", "The gas detector speaks.", "气体探测器报警。"),
    FaultKind("exhaust_fails", ("H7",), "plant", "place", "The exhaust stops blowing.", "排风失效。"),
    # People and the computer
    FaultKind("person_stops", ("F56",), "operator", "", "A person presses stop.", "人员按停止。",
              {"times": Parameter("", 1.0, "how often")}, lasting=False),
    FaultKind("cancelled", ("F56", "F64"), "host", "", "The program is told to end.", "程序被取消。", lasting=False),
    FaultKind("frozen", ("F72", "F71"), "host", "", "The program stands still while the bench goes on.",
              "程序停顿而台架继续运行。"),
    FaultKind("killed", ("F64", "H4"), "host", "", "The program dies and does nothing any more.", "程序被杀死。",
              lasting=False),
    FaultKind("clock_steps", ("F62", "F69", "F70"), "host", "", "The wall clock is set.", "系统时钟跳变。",
              {"by": Parameter("s", 3600.0, "forward by this")}, lasting=False),
    FaultKind("disk_full", ("F67", "H15"), "host", "", "No byte of the record can be written any more.", "磁盘已满。",
              lasting=False),
    FaultKind("disk_fails", ("F68",), "host", "", "The record can be written but not made lasting.", "磁盘同步失败。",
              lasting=False),
)  # fmt: skip

TABLE: Mapping[str, FaultKind] = {row.name: row for row in _ROWS}
