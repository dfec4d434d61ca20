"""The systemd unit of a bench, as text; ``cellbench service install`` writes it.

Its numbers are computed, not chosen: ``TimeoutStopSec`` lies above the longest that a safe state can take, first in the
run and then, should that hang, once more in the guardian.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from importlib.resources import files
from string import Template
from typing import Literal

from bench.guardian.channel import SILENCE_S
from bench.guardian.process import GONE_S
from bench.guardian.takeover import ISOLATE_S, OPEN_S
from bench.safe_plan import longest_s, steps_for
from drivers.capabilities import DeviceKind

MADE_BY = "Made by `cellbench service install`"
#: The options whose folders a command writes to.
WRITTEN = ("--data", "--out")
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


def unit(
    command: Sequence[str],
    *,
    folder: str,
    state: str,
    user: str = "cellbench",
    title: str = "test bench",
    restart: Literal["no", "on-failure"] = "no",
    made_by: str = MADE_BY,
) -> str:
    """The unit's text. ``command`` begins with an absolute path and works in ``folder``; ``state`` is where the
    register of benches lies. These, and what ``--data`` and ``--out`` of the command name, can be written, and nothing
    else. ``restart``: on failure only for a command that comes up safe and holds. Raises ValueError for what no unit
    can say."""
    if not command or not command[0].startswith("/"):
        raise ValueError("the command of a unit begins with an absolute path")
    for path in (folder, state):
        if not path.startswith("/"):
            raise ValueError(f"the folders of a unit are absolute paths, not {path!r}")
    for text in (*command, folder, state, user, title, made_by):
        if not text.isprintable():
            raise ValueError(f"{text!r} cannot stand in a unit")
    page = Template(files("bench.guardian").joinpath("cellbench.service.in").read_text(encoding="utf-8"))
    return page.substitute(
        title=_escaped(title),
        command=" ".join(_quoted(_escaped(word).replace("$", "$$")) for word in command),
        folder=_escaped(folder),
        state=_quoted(_escaped(f"CELLBENCH_STATE={state}")),
        writable=" ".join(_quoted(_escaped(path)) for path in writable(command, folder=folder, state=state)),
        user=user,
        restart=restart,
        made_by=made_by,
        watchdog_s=WATCHDOG_S,
        longest_s=f"{safe_s():g}",
        own_s=f"{own_s():g}",
        stop_s=stop_s(),
    )


def writable(command: Sequence[str], *, folder: str, state: str) -> tuple[str, ...]:
    """The folders that this command writes to, absolute, none within another: all else is read-only for it."""
    paths = {os.path.normpath(folder), os.path.normpath(state)}
    for word, behind in zip(command, (*command[1:], ""), strict=True):
        option, equals, value = word.partition("=")
        named = value if equals else behind
        if option in WRITTEN and named:
            paths.add(os.path.normpath(os.path.join(folder, named)))  # noqa: PTH118 - text, no file of this machine
    return tuple(sorted(path for path in paths if not any(_below(path, other) for other in paths)))


def _below(path: str, other: str) -> bool:
    return path.startswith(f"{other.rstrip('/')}/") and path != other


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """One word of a line as systemd takes it apart; specifiers and variables stand in it as they are meant."""
    if word and not any(letter in word for letter in " '\"\\;"):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
