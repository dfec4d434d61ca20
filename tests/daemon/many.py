"""The text of a bench with as many channels as wanted: a cycler each, and modules that several share."""

from __future__ import annotations

HEAD = """schema = "cellbench/bench/1"
name = "many"
title = "Many channels"
mains = "50 Hz"

[polling]
energised = "{period}"
rest = "2 s"

[limits]
cell_voltage = {{ low = "-0.5 V", high = "5 V" }}
current = "170 A"
place_temperature = {{ low = "-45 degC", high = "120 degC" }}
surface_temperature = {{ high = "130 degC" }}
"""

CYCLER = """
[devices.psb{at}]
model = "ea-psb10000"
url = "tcp://10.0.{high}.{low}:5025"
rating = {{ voltage = "60 V", current = "170 A", power = "5 kW" }}
watchdog = "4 s"

[places.p{at}]
kind = "position"
zone = "z{zone}"
ambient = "th{pair}.ai{ambient}"
surface = ["th{pair}.ai{first}", "th{pair}.ai{second}"]
interlocks = {{ smoke_clear = "io{four}.di4" }}

[channels.{at}]
place = "p{at}"
cycler = "psb{at}.out"
cell_voltage = "v{eight}.ai{of_eight}"
contactor = "io{four}.do{of_four}"
contactor_feedback = "io{four}.di{of_four}"
"""

MODULE = """
[devices.{name}]
model = "{model}"
url = "modbus-tcp://10.1.{line}.1:502"
unit = {unit}
"""


def bench_of(count: int, *, period: str = "1 s") -> str:
    """``count`` channels: two to a thermocouple module, four to an I/O module, eight to a voltage module; a gateway for
    every four modules. The slow modules are read once a second at most."""
    parts = [HEAD.format(period=period)]
    modules: list[tuple[str, str, str]] = []
    for at in range(count):
        pair, four, eight = at // 2, at // 4, at // 8
        first = 4 * (at % 2)
        parts.append(
            CYCLER.format(
                at=at,
                high=at // 200,
                low=at % 200 + 1,
                zone=four,
                pair=pair,
                four=four,
                eight=eight,
                first=first,
                second=first + 1,
                ambient=first + 3,
                of_four=at % 4,
                of_eight=at % 8,
            )
        )
        slow = 'poll = { energised = "1 s", stimulus = "1 s" }\n'
        for name, model, more in (
            (f"th{pair}", "icpdas-m-7018", slow),
            (f"io{four}", "icpdas-m-7002", 'watchdog = "4 s"\npoll = { energised = "0.5 s" }\n'),
            (f"v{eight}", "icpdas-m-7017", slow),
        ):
            if (name, model, more) not in modules:
                modules.append((name, model, more))
    for index, (name, model, more) in enumerate(modules):
        parts.append(MODULE.format(name=name, model=model, line=index // 4, unit=index % 4 + 1) + more)
    return "".join(parts)
