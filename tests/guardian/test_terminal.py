"""At a terminal the run's prompts and Ctrl-C are the child's, though the guardian is what the shell has started."""

from __future__ import annotations

import os
import pty
import select
import time
from pathlib import Path

import pytest

from tests.guardian.standing import BENCH, CELL, COMMAND

pytestmark = pytest.mark.scenario

SEQUENCE = "gbt31486-2024/room-capacity"


def at_a_terminal(folder: Path) -> tuple[int, int]:
    """A live run that must ask for its sample, in a session with a controlling terminal: (process, terminal)."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        arguments = ("cellbench", "run", SEQUENCE, "--bench", str(BENCH), "--cell", str(CELL), "--live")
        os.execv(COMMAND, arguments)
    return pid, terminal


def heard_until(terminal: int, wanted: str, seconds: float = 20.0) -> str:
    """Read the terminal until a text has come."""
    heard, end_s = b"", time.monotonic() + seconds  # noqa: TID251 - the test itself lives in real time
    while wanted.encode() not in heard:
        left_s = end_s - time.monotonic()  # noqa: TID251
        assert left_s > 0, heard.decode("utf-8", "replace")
        if select.select([terminal], [], [], left_s)[0]:
            try:
                heard += os.read(terminal, 4096)
            except OSError:  # the far end is gone: what it said is all there is
                break
    return heard.decode("utf-8", "replace")


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_ctrl_c_at_a_prompt_is_the_runs_own(tmp_path: Path) -> None:
    pid, terminal = at_a_terminal(tmp_path)
    heard_until(terminal, "scan or type the sample id")
    front = os.tcgetpgrp(terminal)
    assert front != os.getpgid(pid)
    assert int(Path(f"/proc/{front}/stat").read_text().rpartition(")")[2].split()[1]) == pid  # its parent
    os.write(terminal, b"\x03")
    said = heard_until(terminal, "stopped by a person")
    assert "GUARDIAN" not in said
    assert ended(pid) == 3
    os.close(terminal)


def test_what_is_typed_reaches_the_run(tmp_path: Path) -> None:
    pid, terminal = at_a_terminal(tmp_path)
    heard_until(terminal, "scan or type the sample id")
    os.write(terminal, b"L-2026-0117\n")
    heard_until(terminal, "no sample 'L-2026-0117'")
    assert ended(pid) == 2
    os.close(terminal)
