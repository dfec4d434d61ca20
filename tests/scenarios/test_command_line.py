"""The commands as a person or a CI job types them: other processes, real time, real signals."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.latch import Latch, LatchedLimit, Latches
from bench.shipped import examples
from drivers import Dimension, parse_as
from tests.scenarios.runs import SHORT

pytestmark = pytest.mark.scenario

COMMAND = Path(sys.executable).with_name("cellbench")
CELL = examples() / "cells" / "nmc-21700.toml"
BENCH = examples() / "benches" / "demo.toml"

#: A few seconds of real time on a standing bench.
QUICK = """\
schema: cellbench/sequence/1
id: test/quick
title: {en: Quick, zh: 快速}
summary: {en: A few seconds., zh: 几秒钟。}
log: {every: 1 s}
steps:
  - discharge:
      id: out
      mode: cc
      voltage: cell.v_min
      current: 0.5 I1
      end: duration >= SECONDS s
      timeout: 10 min
      results: {out_ah: charge}
results: {capacity_ah: result.out_ah}
criteria:
  - id: flowed
    kind: requirement
    title: {en: Charge flowed, zh: 有电荷流过}
    value: result.capacity_ah
    at_least: 1 mAh
    source: {standard: ours, edition: "1", grade: ours}
"""


def call(*args: str | Path, folder: Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, args)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        check=False,
        env={**os.environ, "COLUMNS": "120"},
    )


def last_object(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["exit_code"] == done.returncode
    return found


def until(what: Any, seconds: float = 20.0) -> None:
    """Wait for a condition, with a deadline."""
    end = time.monotonic() + seconds  # noqa: TID251 - the test itself lives in real time
    while not what():
        assert time.monotonic() < end, "it never came true"  # noqa: TID251
        os.sched_yield()


@contextmanager
def standing(folder: Path, cell: Path = CELL) -> Iterator[Path]:
    """A standing simulated bench in a process of its own."""
    bench = folder / "standing.toml"
    args = ("simulate", "--bench", BENCH, "--cell", cell, "--write-bench", bench)
    child = subprocess.Popen([COMMAND, *map(str, args)], stderr=subprocess.PIPE, text=True)
    try:
        until(bench.exists)
        yield bench
    finally:
        child.send_signal(signal.SIGTERM)
        _, said = child.communicate(timeout=20)
        assert child.returncode == 0, said


def quick(folder: Path, seconds: int) -> Path:
    path = folder / "quick.yaml"
    path.write_text(QUICK.replace("SECONDS", str(seconds)))
    return path


def sample(folder: Path, name: str = "S-1") -> None:
    done = call("sample", "add", name, "--cell", CELL, "--mass", "69.0 g", "--balance", "B-3", folder=folder)
    assert done.returncode == 0, done.stderr


def live(folder: Path, sequence: Path, bench: Path) -> tuple[str | Path, ...]:
    return ("run", sequence, "--bench", bench, "--cell", CELL, "--live", "--sample", "S-1", "--operator", "t", "--json")


@pytest.mark.fault("F51", "F59")
def test_a_run_on_a_standing_bench_is_live_and_stamped_simulated(tmp_path: Path) -> None:
    sample(tmp_path)
    with standing(tmp_path) as bench:
        assert 'far_end = "simulated"' in bench.read_text()
        done = call(*live(tmp_path, quick(tmp_path, 4), bench), folder=tmp_path)
        found = last_object(done)
        assert (done.returncode, found["verdict"], found["mode"]) == (0, "pass", "simulated"), done.stderr
        assert found["plant_truth"] is None
        # 0.5 I1 of a 5 Ah cell for 4 s is 2.8 mAh
        assert found["results"]["capacity_ah"]["value"] == pytest.approx(2.5 * 4 / 3600, rel=0.5)
        assert call("verify", found["bundle"], folder=tmp_path).returncode == 0

        held = subprocess.Popen(
            [COMMAND, *map(str, live(tmp_path, quick(tmp_path, 300), bench))],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        runs = tmp_path / "cellbench-data" / "runs"
        until(lambda: any('"output_on"' in path.read_text() for path in runs.glob("0002-*/events.jsonl")))
        second = call(*live(tmp_path, quick(tmp_path, 4), bench), folder=tmp_path)
        assert second.returncode == 4
        assert "held by" in last_object(second)["faults"][0]["error"]

        held.send_signal(signal.SIGINT)
        held.send_signal(signal.SIGINT)
        out, err = held.communicate(timeout=30)
        stopped = json.loads(out.strip().splitlines()[-1])
        assert held.returncode == 3, err
        assert (stopped["verdict"], stopped["ended_by"]["kind"]) == ("aborted", "person")
        assert call("verify", stopped["bundle"], folder=tmp_path).returncode == 0


@pytest.mark.fault("F40")
def test_devices_that_are_not_what_the_bench_file_says_are_refused(tmp_path: Path) -> None:
    sample(tmp_path)
    sequence = quick(tmp_path, 4)
    with standing(tmp_path) as bench:
        good = bench.read_text()
        rating = tmp_path / "rating.toml"
        rating.write_text(good.replace('voltage = "60 V"', 'voltage = "80 V"'))
        done = call(*live(tmp_path, sequence, rating), folder=tmp_path)
        assert done.returncode == 4, done.stderr
        assert any(fault["where"] == "psb" and "80" in fault["error"] for fault in last_object(done)["faults"])

        swapped = tmp_path / "swapped.toml"
        head, th1, rest = re.split(r"(?=\[devices\.th1\])|(?=\[devices\.v1\])", good)
        swapped.write_text(head + th1.replace("unit = 1", "unit = 2") + rest.replace("unit = 2", "unit = 1"))
        done = call(*live(tmp_path, sequence, swapped), folder=tmp_path)
        assert done.returncode == 4, done.stderr
        assert {"th1", "v1"} <= {fault["where"] for fault in last_object(done)["faults"]}

        gone = tmp_path / "gone.toml"
        gone.write_text(re.sub(r'(?m)^url = "tcp://127.0.0.1:\d+', 'url = "tcp://127.0.0.1:1', good))
        done = call(*live(tmp_path, sequence, gone), folder=tmp_path)
        assert done.returncode == 4, done.stderr
        assert "psb" in done.stdout
    assert not list((tmp_path / "cellbench-data").glob("runs/*/*.parquet"))


@pytest.mark.fault("F53")
def test_a_live_run_asks_for_the_sample(tmp_path: Path) -> None:
    done = call("run", SHORT, "--bench", BENCH, "--cell", CELL, "--live", "--json", folder=tmp_path)
    assert done.returncode == 2
    (fault,) = last_object(done)["faults"]
    assert fault["where"] == "--sample"
    assert "cellbench sample add ID --cell CELL --mass" in fault["fix"]
    assert "scan or type" not in done.stderr


def test_at_a_terminal_a_live_run_takes_the_label_from_the_scanner(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    args = ("run", SHORT, "--bench", BENCH, "--cell", CELL, "--live", "--json")
    try:
        child = subprocess.Popen(
            [COMMAND, *map(str, args)],
            cwd=tmp_path,
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.write(ours, b"L-2026-0117\n")
        out, err = child.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert "scan or type the sample id" in err
    assert "样品编号" in err
    assert child.returncode == 2
    faults = json.loads(out.splitlines()[-1])["faults"]
    assert any("no sample 'L-2026-0117'" in fault["error"] for fault in faults), faults


ASKING = """\
schema: cellbench/sequence/1
id: test/asking
title: {en: Asking, zh: 提问}
summary: {en: One question., zh: 一个问题。}
log: {every: 1 s}
steps:
  - confirm:
      id: air
      text: {en: Read the hygrometer., zh: 读取湿度计。}
      entries:
        - name: humidity
          prompt: {en: relative humidity, zh: 相对湿度}
          example: 45 %
  - rest: {duration: 10 s}
results: {humidity: entry.humidity}
criteria:
  - id: humid
    kind: condition
    title: {en: Humidity, zh: 湿度}
    value: entry.humidity
    at_most: 90 %
    source: {standard: ours, edition: "1", grade: ours}
"""


def asleep(pid: int) -> bool:
    """Whether a process waits in the kernel each time one looks: a loop that jumps from timer to timer does not."""
    state = Path(f"/proc/{pid}/stat")
    return all(state.read_text().rpartition(")")[2].split()[0] == "S" for _ in range(500))


def test_simulated_time_stands_still_while_a_person_types(tmp_path: Path) -> None:
    """At full speed a second of thinking would be the better part of an hour of rest."""
    (tmp_path / "asking.yaml").write_text(ASKING)
    ours, theirs = pty.openpty()
    said = tmp_path / "said"
    args = ("run", "asking.yaml", "--bench", BENCH, "--cell", CELL, "--simulate", "--operator", "lin", "--json")
    try:
        with said.open("w") as err:
            child = subprocess.Popen(
                [COMMAND, *map(str, args)], cwd=tmp_path, stdin=theirs, stdout=subprocess.PIPE, stderr=err, text=True
            )
            until(lambda: "相对湿度" in said.read_text(), 30)
            until(lambda: asleep(child.pid), 30)
            os.write(ours, b"50 %\n")
            until(lambda: "输入 yes" in said.read_text(), 30)
            os.write(ours, b"yes\n")
            out, _ = child.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    found = json.loads(out.splitlines()[-1])
    assert child.returncode == found["exit_code"] == 0, said.read_text()
    (humid,) = found["criteria"]
    assert (humid["value"], humid["unit"], humid["by"]) == (pytest.approx(50.0), "%", "lin")
    assert found["test_s"] < 60.0


def test_what_is_for_simulated_runs_is_refused_on_a_bench(tmp_path: Path) -> None:
    sample(tmp_path)
    written = ("--seed", "1", "--speed", "max", "--start", "2026-01-05T08:00:00")
    done = call(*live(tmp_path, quick(tmp_path, 4), BENCH), *written, folder=tmp_path)
    assert done.returncode == 2
    assert {fault["where"] for fault in last_object(done)["faults"]} == {"--seed", "--speed", "--start"}


def test_a_sample_is_weighed_after_it_was_added(tmp_path: Path) -> None:
    assert call("sample", "add", "S-1", "--cell", CELL, folder=tmp_path).returncode == 0
    refused = call(*live(tmp_path, quick(tmp_path, 4), BENCH), folder=tmp_path)
    assert refused.returncode == 2
    assert "cellbench sample weigh S-1 --mass" in last_object(refused)["faults"][0]["fix"]
    bare = call("sample", "weigh", "S-1", "--mass", "69.0", "--balance", "B-3", "--json", folder=tmp_path)
    assert bare.returncode == 2
    assert "'69.0 g'" in last_object(bare)["faults"][0]["fix"]
    done = call("sample", "weigh", "S-1", "--mass", "69.0 g", "--balance", "B-3", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = last_object(call("sample", "show", "S-1", "--json", folder=tmp_path))
    assert shown == last_object(done)
    assert (shown["schema"], shown["mass_kg"], shown["balance"]) == ("cellbench/sample/1", pytest.approx(0.069), "B-3")
    kept = json.loads((tmp_path / "cellbench-data" / "samples" / "S-1.json").read_text())
    assert shown == {**kept, "exit_code": 0}


def test_what_is_not_there_is_code_2_with_json_and_without(tmp_path: Path) -> None:
    for args in (("sequences", "nosuch/x"), ("report", tmp_path), ("export", tmp_path), ("sample", "show", "S-9")):
        said = last_object(call(*args, "--json", folder=tmp_path))
        assert (said["schema"], said["exit_code"]) == ("cellbench/error/1", 2), args
        assert call(*args, folder=tmp_path).returncode == 2
    assert call("verify", tmp_path, folder=tmp_path).returncode == 2


def test_a_simulated_run_makes_its_own_sample_from_the_cell_file(tmp_path: Path) -> None:
    """And names nobody for a value that nobody entered: the file answers one of two."""
    sequence = tmp_path / "asks.yaml"
    entries = "      - {name: NAME, prompt: {en: NAME, zh: NAME}, example: 45 %}\n"
    criterion = (
        "  - id: NAME\n    kind: condition\n    title: {en: NAME, zh: NAME}\n    value: entry.NAME\n    at_most: 90 %\n"
        '    source: {standard: ours, edition: "1", grade: ours}\n'
    )
    text = QUICK.replace("SECONDS", "4").replace(
        "steps:\n",
        "steps:\n  - confirm:\n      text: {en: The air, zh: 空气}\n      entries:\n"
        + "".join("  " + entries.replace("NAME", name) for name in ("humidity", "dust")),
    )
    sequence.write_text(text + "".join(criterion.replace("NAME", name) for name in ("humidity", "dust")))
    answers = tmp_path / "answers.yaml"
    answers.write_text("schema: cellbench/answers/1\nanswers:\n  humidity: {answer: 45 %, by: lin}\n")
    args = ("run", sequence, "--bench", BENCH, "--cell", CELL, "--simulate", "--json", "--answers", answers)
    done = call(*args, folder=tmp_path)
    found = last_object(done)
    assert done.returncode == 5, done.stderr
    assert "answers.yaml has no answer for dust" in done.stderr
    by = {row["id"]: row["by"] for row in found["criteria"]}
    assert by == {"flowed": None, "humidity": "lin (answers.yaml)", "dust": None}
    cell = tomllib.loads(CELL.read_text())
    nominal_kg = parse_as(cell["mass"], Dimension.MASS)
    assert found["sample"]["mass_kg"] == pytest.approx(nominal_kg)
    assert found["sample"]["mass_is_nominal"] is True
    kept = json.loads((Path(found["bundle"]) / "sample.json").read_text())
    assert (kept["schema"], kept["mass_kg"]) == ("cellbench/sample/1", None)
    assert kept["nominal_mass_kg"] == pytest.approx(nominal_kg)
    assert kept["fixture"] == cell.get("fixture", "")
    size = {f"{name}_mm": parse_as(value, Dimension.LENGTH) for name, value in cell["dimensions"].items()}
    assert {name: value for name, value in kept["dimensions"].items() if value is not None} == size


def test_a_simulated_device_answers_clients_that_others_wrote(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    child = subprocess.Popen([COMMAND, "simulate", "ea-psb10000", "--listen", f"tcp://127.0.0.1:{port}"])
    try:
        answers: list[bytes] = []

        def asked() -> bool:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
                    link.sendall(b"*IDN?\n")
                    answers.append(link.recv(1000))
            except ConnectionRefusedError:
                return False
            return True

        until(asked)
        assert answers[0].count(b",") == 4  # maker, model, serial, firmware, user text
    finally:
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=20) == 0


@pytest.mark.fault("F67", "H15")
def test_the_record_of_a_run_whose_disk_fills_says_so(tmp_path: Path) -> None:
    """A file size limit of the operating system stands in for a full disk: the write fails in the middle of a run."""
    limit = "import resource,sys,signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (60000, 60000)); from bench.cli import main; main()"
    often = tmp_path / "often.yaml"  # its readings outgrow the limit, the inputs of the run do not
    often.write_text(SHORT.read_text().replace("every: 10 s", "every: 1 s"))
    args = ["run", often, "--bench", BENCH, "--cell", CELL, "--simulate", "--yes", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", limit, *map(str, args)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    found = last_object(done)
    assert any("record" in fault["error"] or "written" in fault["error"] for fault in found["faults"]), found["faults"]
    assert "Traceback" not in done.stderr


def test_report_and_export_write_beside_a_closed_bundle(tmp_path: Path) -> None:
    args = ("run", SHORT, "--bench", BENCH, "--cell", CELL, "--simulate", "--yes", "--json", "--out", tmp_path / "runs")
    bundle = Path(last_object(call(*args, folder=tmp_path))["bundle"])
    for command in (("report",), ("export", "--format", "bdf-csv"), ("export", "--format", "parquet")):
        done = call(command[0], bundle, *command[1:], "--json", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        for name in last_object(done)["files"]:
            assert Path(name).stat().st_size > 0
            assert not Path(name).is_relative_to(bundle)
    assert call("verify", bundle, folder=tmp_path).returncode == 0
    moved = tmp_path / "elsewhere"
    shutil.copytree(bundle, moved)
    result = moved / "result.json"
    result.write_text(result.read_text().replace('"pass"', '"fail"'))
    done = call("verify", moved, "--json", folder=tmp_path)
    assert done.returncode == 1
    assert any(problem["file"] == "result.json" for problem in last_object(done)["problems"])


@pytest.mark.fault("F55", "F58")
def test_a_latch_is_acknowledged_by_name_once_its_cause_is_gone(tmp_path: Path) -> None:
    latch = Latch(
        bench="demo",
        run_id="0001-x",
        bundle="runs/0001-x",
        utc_s=1767600000.0,
        kind="interlock",
        rule="interlock.door_closed",
        device="io1",
        value=0.0,
        limit=0.5,
        safe=True,
        devices=("io1", "th1"),
        limits=(
            LatchedLimit(rule="interlock.door_closed", channel="io1.di1.on", low=0.5),
            LatchedLimit(rule="contactor open", channel="io1.di0.on", high=0.5),
            LatchedLimit(rule="sample.temperature", channel="th1.ai0.temperature_c", high=-30.0),  # the room is warmer
        ),
        points={"io1": ("di0", "di1"), "th1": ("ai0",)},
    )
    latches = Latches(tmp_path / "cellbench-data")
    latches.put(latch)
    sample(tmp_path)
    with standing(tmp_path) as bench:
        refused = call(*live(tmp_path, quick(tmp_path, 4), bench), folder=tmp_path)
        assert refused.returncode == 4
        assert "acknowledged" in last_object(refused)["faults"][0]["error"]
        assert not list((tmp_path / "cellbench-data" / "runs").glob("*")), "nothing was begun"

        there = call("ack", "--bench", bench, "--by", "lin", "--json", folder=tmp_path)
        assert there.returncode == 3
        assert [fault["where"] for fault in last_object(there)["faults"]] == ["th1.ai0.temperature_c"]
        assert latches.of("demo") is not None

        latches.path("demo").unlink()
        latches.put(latch.model_copy(update={"limits": latch.limits[:2]}))
        assert call("ack", "--bench", bench, "--by", " ", folder=tmp_path).returncode == 2
        done = call("ack", "--bench", bench, "--by", "lin", "--note", "door shut", "--json", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert last_object(done)["seen"]["io1.di1.on"] == 1.0
        assert latches.of("demo") is None
        assert json.loads(latches.history("demo").read_text())["by"] == "lin"
        assert call("ack", "--bench", bench, "--by", "lin", folder=tmp_path).returncode == 2, "nothing left to do"
