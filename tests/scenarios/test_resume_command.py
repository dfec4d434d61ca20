"""A live run and its guardian are killed on a standing bench; the commands say what may happen then."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.scenarios.test_command_line import COMMAND, call, last_object, live, quick, sample, standing, until

pytestmark = pytest.mark.scenario


@pytest.mark.fault("F64", "H4", "H13")
def test_a_killed_run_holds_its_bench_until_it_is_resumed_or_closed(tmp_path: Path) -> None:
    sample(tmp_path)
    sequence = quick(tmp_path, 8)
    with standing(tmp_path) as bench:
        bundle = killed(tmp_path, sequence, bench)

        refused = call(*live(tmp_path, sequence, bench), folder=tmp_path)
        assert refused.returncode == 4, refused.stderr
        fault = last_object(refused)["faults"][0]
        assert "was interrupted; the bench was made safe and holds" in fault["error"]
        assert "cellbench resume" in fault["fix"]

        shutil.copytree(bundle, tmp_path / "copy")
        done = call("resume", bundle, "--by", "Wang", "--scan", "S-1", "--json", folder=tmp_path)
        found = last_object(done)
        assert (done.returncode, found["verdict"]) == (0, "pass"), done.stderr
        assert "ok  contactor io1.di0.on: open" in done.stderr
        # 0.5 I1 of a 5 Ah cell for 8 s in all; readings come once a second
        assert found["results"]["capacity_ah"]["value"] == pytest.approx(2.5 * 8 / 3600, rel=0.3)
        assert call("verify", bundle, folder=tmp_path).returncode == 0

        closed = call("close", tmp_path / "copy", "--by", "Wang", "--json", folder=tmp_path)
        found = last_object(closed)
        assert (closed.returncode, found["verdict"], found["ended_by"]["kind"]) == (3, "aborted", "person")
        assert not [fault for fault in found["faults"] if "not made safe" in fault["error"]], "the bench was seen safe"
        assert call("verify", tmp_path / "copy", folder=tmp_path).returncode == 0
        assert call("resume", bundle, "--by", "Wang", "--json", folder=tmp_path).returncode == 2


def killed(folder: Path, sequence: Path, bench: Path) -> Path:
    """A live run whose every process is killed three seconds into its discharge; gives its bundle."""
    runs = folder / "cellbench-data" / "runs"
    before = set(runs.glob("*"))
    run = subprocess.Popen(
        [COMMAND, *map(str, live(folder, sequence, bench))],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    seen: list[Path] = []

    def flows() -> bool:
        seen[:] = [path for path in runs.glob("*/events.jsonl") if path.parent not in before]
        return any('"output_on"' in path.read_text() for path in seen)

    until(flows, 60.0)
    with pytest.raises(subprocess.TimeoutExpired):
        run.wait(timeout=3.0)
    for process in session_of(run.pid):  # the run and its guardian: the computer is gone
        os.kill(process, signal.SIGKILL)
    run.wait(timeout=10.0)
    return seen[0].parent


def session_of(leader: int) -> list[int]:
    """Every process of a session, its leader first, so that none can act on another's end."""
    others = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != leader:
            with suppress(ProcessLookupError, PermissionError):
                if os.getsid(int(entry.name)) == leader:
                    others.append(int(entry.name))
    return [leader, *others]
