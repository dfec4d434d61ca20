"""The systemd unit of a bench, as text: ``python -m bench.guardian.unit --folder /var/lib/cellbench COMMAND...``.

Its numbers are computed, not chosen: ``TimeoutStopSec`` lies above the longest that a safe state can take, first in the
run and then, should that hang, once more in the guardian.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from importlib.resources import files
from string import Template

from bench.guardian.channel import SILENCE_S
from bench.guardian.process import GONE_S
from bench.guardian.takeover import ISOLATE_S, OPEN_S
from bench.safe_plan import longest_s, steps_for
from drivers.capabilities import DeviceKind

#: systemd acts when the guardian has said nothing for so long.
WATCHDOG_S = 10
#: The most fire detectors' devices that a safe state looks at afresh.
DETECTORS = 4
#: What is left on top, for closing the record of a run.
MARGIN_S = 10.0


def safe_s() -> float:
    """The longest that a safe state with a device of every kind takes, in seconds."""
    return longest_s(steps_for({kind.value: kind for kind in DeviceKind}), detectors=DETECTORS)


def own_s() -> float:
    """The longest from the child's last beat to the end of the guardian's safe state, in seconds."""
    return SILENCE_S + OPEN_S + ISOLATE_S + GONE_S + OPEN_S + safe_s()


def stop_s() -> int:
    """``TimeoutStopSec``."""
    return math.ceil(safe_s() + own_s() + MARGIN_S)


def unit(command: Sequence[str], *, folder: str, user: str = "cellbench", title: str = "test bench") -> str:
    """The unit's text. ``command`` begins with an absolute path. Raises ValueError for what no unit can say."""
    if not command or not command[0].startswith("/"):
        raise ValueError("the command of a unit begins with an absolute path")
    if not folder.startswith("/"):
        raise ValueError("the folder of a unit is an absolute path")
    for text in (*command, folder, user, title):
        if not text.isprintable():
            raise ValueError(f"{text!r} cannot stand in a unit")
    page = Template(files("bench.guardian").joinpath("cellbench.service.in").read_text(encoding="utf-8"))
    return page.substitute(
        title=_escaped(title),
        command=" ".join(_quoted(word) for word in command),
        folder=_escaped(folder),
        user=user,
        watchdog_s=WATCHDOG_S,
        longest_s=f"{safe_s():g}",
        own_s=f"{own_s():g}",
        stop_s=stop_s(),
    )


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """One word of a command line as systemd takes it apart: specifiers and variables are meant as they stand."""
    plain = _escaped(word).replace("$", "$$")
    if plain and not any(letter in plain for letter in " '\"\\;"):
        return plain
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.guardian.unit", description="Print a systemd unit.")
    parser.add_argument("--folder", default="/var/lib/cellbench", help="where it works and keeps its data")
    parser.add_argument("--user", default="cellbench")
    parser.add_argument("--title", default="test bench")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="/path/to/cellbench run ... --live")
    given = parser.parse_args(arguments)
    command = given.command[1:] if given.command[:1] == ["--"] else given.command
    try:
        sys.stdout.write(unit(command, folder=given.folder, user=given.user, title=given.title))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
