"""One bench, two working folders: what one of them has on it is known in the other. Other processes, real time."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from bench.latch import Latch, Latches
from tests.scenarios.test_command_line import COMMAND, call, last_object, live, quick, sample, standing, until
from tests.scenarios.test_resume_command import killed

pytestmark = pytest.mark.scenario


@pytest.mark.fault("F78")
def test_a_copied_bench_file_and_another_folder_never_disturb_a_run(tmp_path: Path) -> None:
    """It used to connect, find the output on, and make the other run's bench safe."""
    here, there = folders(tmp_path)
    with standing(tmp_path) as bench:
        copy = Path(shutil.copy(bench, there / "copy.toml"))
        first = subprocess.Popen(
            [COMMAND, *map(str, live(here, quick(here, 300), bench))],
            cwd=here,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        runs = here / "cellbench-data" / "runs"
        until(lambda: any('"output_on"' in path.read_text() for path in runs.glob("*/events.jsonl")), 60.0)

        Latches(there / "cellbench-data").put(
            Latch(bench="demo", run_id="0001-x", bundle="x", utc_s=1.7e9, kind="interlock", safe=True, devices=("io1",))
        )
        held = call("ack", "--bench", copy, "--by", "lin", "--json", folder=there)
        assert held.returncode == 4, held.stderr
        assert "held by" in last_object(held)["faults"][0]["error"]
        Latches(there / "cellbench-data").path("demo").unlink()

        second = call(*live(there, quick(there, 4), copy), folder=there)
        assert second.returncode == 4, second.stderr
        said = last_object(second)["faults"][0]["error"]
        assert "held by another run" in said
        assert f"process {first.pid} (" in said
        assert not list((there / "cellbench-data").glob("runs/*"))

        assert first.poll() is None
        first.send_signal(signal.SIGINT)
        out, err = first.communicate(timeout=30)
        ended = json.loads(out.strip().splitlines()[-1])
        assert (first.returncode, ended["ended_by"]["kind"]) == (3, "person"), err


@pytest.mark.fault("F64", "F78", "H13")
def test_what_a_run_has_left_is_known_in_every_folder(tmp_path: Path) -> None:
    here, there = folders(tmp_path)
    with standing(tmp_path) as bench:
        bundle = killed(here, quick(here, 300), bench)
        data = here / "cellbench-data"

        refused = call(*live(there, quick(there, 4), bench), folder=there)
        assert refused.returncode == 4, refused.stderr
        (fault,) = last_object(refused)["faults"]
        assert "was interrupted" in fault["error"]
        assert f"cellbench close {bundle} --data {data}" in fault["fix"]

        closed = call("close", bundle, "--data", data, "--by", "Wang", "--json", folder=there)
        assert closed.returncode == 3, closed.stderr
        Latches(data).put(
            Latch(bench="demo", run_id="0001-x", bundle="x", utc_s=1.7e9, kind="interlock", safe=True, devices=("io1",))
        )
        refused = call(*live(there, quick(there, 4), bench), folder=there)
        assert refused.returncode == 4, refused.stderr
        assert f"cellbench ack --bench {bench} --data {data}" in last_object(refused)["faults"][0]["fix"]
        told = call("ack", "--bench", bench, "--by", "Wang", "--json", folder=there)
        assert told.returncode == 2, told.stderr
        assert f"--data {data}" in last_object(told)["faults"][0]["fix"]
        assert call("ack", "--bench", bench, "--by", "Wang", "--data", data, folder=there).returncode == 0

        data.rename(here / "not mounted")
        done = call(*live(there, quick(there, 4), bench), folder=there)
        assert done.returncode == 0, done.stderr
        assert "is not there: a latch or an interrupted run" in " ".join(done.stderr.split())
        assert [fault["where"] for fault in last_object(done)["faults"]] == [str(data)]
        events = (Path(last_object(done)["bundle"]) / "events.jsonl").read_text()
        assert '"step_started"' in events
        assert "port_shared" not in events, "the run's own guardian is no foreign program"


def folders(tmp_path: Path) -> tuple[Path, Path]:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        sample(folder)
    return here, there
