"""The live daemon under its guardian, on a line bench that stands on real sockets and serial ports, in real time."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import orjson
import pytest

from bench import verify
from bench.results import VerifyStatus
from tests.daemon.live_line import Daemon, Line, standing_line
from tests.daemon.many import bench_of

pytestmark = pytest.mark.scenario
#: Half a minute each of real time and real processes.
LONG = pytest.mark.skipif(not os.environ.get("CELLBENCH_ALL"), reason="long: whole in ./scripts/soak")

#: A killed process is noticed at once by the end of its pipe, a stopped one after two seconds; then every device has
#: its own exchange with a serial line at 9600 Bd.
KILLED_S, STOPPED_S = 5.0, 7.0
#: Four channels on modules that answer over TCP at once.
FOUR = bench_of(4)


async def two_under_current(line: Line) -> tuple[Daemon, list[str]]:
    daemon = await line.daemon()
    both = line.channels[:2]
    runs = [await daemon.start(channel, overrides={"length": "5 min"}) for channel in both]
    await line.until("a current flows in both", lambda: line.carries(*both), 30.0)
    return daemon, runs


def result(line: Line, run_id: str) -> dict[str, object]:
    assert verify.verify(line.bundle(run_id)).status is VerifyStatus.INTACT
    return dict(orjson.loads((line.bundle(run_id) / "result.json").read_bytes()))


@LONG
async def test_runs_come_to_a_verdict_and_sigterm_ends_one_safely(tmp_path: Path) -> None:
    async with standing_line(tmp_path) as line:
        daemon = await line.daemon()
        assert (await daemon.ask("now"))["mode"] == "live"
        assert not line.energised()
        brief = [await daemon.start(channel, overrides={"length": "1 s"}) for channel in ("1", "2")]
        long = await daemon.start("3", overrides={"length": "5 min"})
        views = [await daemon.closed(run_id) for run_id in brief]
        assert [view["verdict"] for view in views] == ["pass", "pass"]
        assert [view["faults"] for view in views] == [[], []]
        assert line.carries("3")  # the ends of the others left it alone
        daemon.process.send_signal(signal.SIGTERM)
        await line.until("everything is off", lambda: not line.energised(), KILLED_S)
        assert (await daemon.over())[0] == 0
        assert result(line, long)["verdict"] == "aborted"
        assert [result(line, run_id)["verdict"] for run_id in brief] == ["pass", "pass"]
        moved_ah = orjson.loads((line.bundle(brief[0]) / "values.json").read_bytes())["result.out"]
        assert moved_ah > 0.0


@LONG
async def test_a_killed_daemon_is_made_safe_and_the_next_one_holds(tmp_path: Path) -> None:
    async with standing_line(tmp_path, FOUR) as line:
        daemon, runs = await two_under_current(line)
        os.kill(daemon.child, signal.SIGKILL)
        await line.until("everything is off", lambda: not line.energised(), KILLED_S)
        code, said = await daemon.over()
        assert code == 3, said  # ended, everything confirmed safe
        again = await line.daemon()
        wall = await again.ask("now")
        states = {channel["name"]: channel["state"] for channel in wall["channels"]}
        assert states == {"0": "held", "1": "held", "2": "idle", "3": "idle"}
        refused = await again.asks(
            "start", channel="1", sequence="tests/brief", cell="nmc-21700", key="again", by="lin"
        )
        assert refused.get("refused") == "held"
        await line.stays_off(2.0)
        for run_id in runs:
            closed = await again.ask("close_interrupted", run_id=run_id, by="lin")
            assert closed["state"] == "closed", closed
        assert [it["state"] for it in (await again.ask("now"))["channels"]] == ["idle"] * 4


@LONG
async def test_a_daemon_that_lost_its_guardian_makes_safe_and_leaves_the_bench(tmp_path: Path) -> None:
    async with standing_line(tmp_path, FOUR) as line:
        daemon, runs = await two_under_current(line)
        daemon.process.send_signal(signal.SIGKILL)
        await line.until("everything is off", lambda: not line.energised(), KILLED_S)
        _, said = await daemon.over()  # the pipe of the daemon itself has ended too
        assert "guardian" in said
        for run_id in runs:
            kept = result(line, run_id)
            assert kept["verdict"] == "error"
            assert "guardian" in str(kept["ended_by"])
        again = await line.daemon()  # its wires are free
        await line.stays_off(1.0)
        again.process.send_signal(signal.SIGTERM)
        assert (await again.over())[0] == 0


async def test_a_stopped_daemon_is_made_safe(tmp_path: Path) -> None:
    async with standing_line(tmp_path, FOUR) as line:
        daemon, _ = await two_under_current(line)
        os.kill(daemon.child, signal.SIGSTOP)
        await line.until("everything is off", lambda: not line.energised(), STOPPED_S)
        assert (await daemon.over())[0] == 3
