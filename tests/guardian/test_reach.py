"""In real time, on a standing bench: what is energised goes off in truth, whichever of the two processes is gone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from pathlib import Path

import pytest

from bench.chain import GENESIS, check, read_lines
from tests.guardian.standing import Standing, child_of, kill, over, standing

pytestmark = pytest.mark.scenario

#: What the plant must be rid of by then, in seconds.
AFTER_SIGKILL_S = 5.0
AFTER_SIGSTOP_S = 7.0


def journaled(bench: Standing, why: str) -> list[str]:
    """The kinds of the guardian's own record, whose chain must hold."""
    lines = read_lines(bench.bundle / "guardian.jsonl")
    chain = check(lines.lines, GENESIS, lambda record: record["prev"])
    assert (chain.broken, lines.torn) == (None, b"")
    taking = next(record for record in chain.records if record["kind"] == "taking_over")
    assert why in taking["data"]["why"]
    made = [record["data"] for record in chain.records if record["kind"] == "safe_state"][-1]
    assert made["confirmed"] is True
    assert made["isolated"] is True
    return [record["kind"] for record in chain.records]


@pytest.mark.fault("F64", "F72", "H4")
async def test_when_the_run_is_killed_or_stopped_its_guardian_makes_the_bench_safe(tmp_path: Path) -> None:
    """Both at once, each on a bench of its own."""

    async def struck(number: signal.Signals, within_s: float, why: str) -> None:
        async with standing(tmp_path / number.name) as bench:
            run = await bench.started()
            await bench.under_current()
            child = child_of(run)
            kill(child, number)
            took_s = await bench.off(within_s)
            print(f"{number.name} of the run: off in truth {took_s:.2f} s later")
            code, out, said = await over(run)
            assert code == 3, said
            assert "GUARDIAN" in said
            told = json.loads(out.splitlines()[-1])
            assert told["exit_code"] == 3
            assert why in told["faults"][0]["error"]
            assert not alive(child)
            kinds = journaled(bench, why)
            assert kinds.index("contactor_opened") < kinds.index("child_ended") < kinds.index("safe_state")
            assert "readings" in kinds
            await bench.stays_off(1.0)

    await asyncio.gather(
        struck(signal.SIGKILL, AFTER_SIGKILL_S, "pipe"), struck(signal.SIGSTOP, AFTER_SIGSTOP_S, "no heartbeat")
    )


@pytest.mark.fault("F64", "F72", "H4")
async def test_when_the_guardian_is_killed_or_stopped_the_run_makes_safe_and_ends(tmp_path: Path) -> None:
    """Both at once, each on a bench of its own."""

    async def struck(number: signal.Signals, within_s: float) -> None:
        async with standing(tmp_path / number.name) as bench:
            run = await bench.started()
            await bench.under_current()
            child = child_of(run)
            kill(run.pid, number)
            took_s = await bench.off(within_s)
            print(f"{number.name} of the guardian: off in truth {took_s:.2f} s later")
            await bench.until("the run has ended", lambda: not alive(child), 30.0)
            if number is signal.SIGSTOP:
                kill(run.pid, signal.SIGCONT)
            await over(run)
            events = [json.loads(line) for line in (bench.bundle / "events.jsonl").read_text().splitlines()]
            ending = next(record["data"] for record in events if record["kind"] == "ending")
            assert ending["cause"] == "host"
            assert "guardian" in ending["rule"]
            await bench.stays_off(1.0)

    await asyncio.gather(struck(signal.SIGKILL, AFTER_SIGKILL_S), struck(signal.SIGSTOP, AFTER_SIGSTOP_S))


@pytest.mark.fault("F78", "H4")
async def test_until_it_is_proven_safe_the_guardian_holds_the_bench_and_goes_on_trying(tmp_path: Path) -> None:
    """A welded contactor: nothing left can open it. The run's process is gone, its lock is not."""
    async with standing(tmp_path) as bench:
        run = await bench.started()
        await bench.under_current()
        bench.scene.plant.stick_contactor("1", closed=True)
        kill(child_of(run), signal.SIGKILL)
        terminal = bench.scene.plant.terminal("1")
        await bench.until("the output is off", lambda: not terminal.setting.on, AFTER_SIGKILL_S)
        other = await bench.started()
        code, out, _ = await over(other)
        assert code == 4
        assert "held by" in json.loads(out.splitlines()[-1])["faults"][0]["error"]
        assert run.returncode is None
        kill(run.pid, signal.SIGTERM)
        code, out, said = await over(run)
        assert code == 4
        assert "NOT PROVEN OPEN" in said
        assert "by hand" in json.loads(out.splitlines()[-1])["faults"][0]["fix"]
        assert bench.journal()[-1]["data"]["by"] == "a person"


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_run_that_ends_by_itself_gives_its_guardian_nothing_to_do(tmp_path: Path) -> None:
    """And systemd, if it has started it, hears of it: ready, alive all the time, stopping."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(0.0)
    heard: list[bytes] = []
    async with standing(tmp_path) as bench:
        loop = asyncio.get_running_loop()
        loop.add_reader(manager.fileno(), lambda: heard.append(manager.recv(1000)))
        run = await bench.started(seconds=2, env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")})
        code, out, said = await over(run, 30.0)
        loop.remove_reader(manager.fileno())
        manager.close()
        assert heard[0] == b"READY=1"
        assert heard[-1] == b"STOPPING=1"
        assert heard.count(b"WATCHDOG=1") > 4
        assert b"STATUS=guards demo, channel 1" in heard
        assert code in (0, 1), said
        assert json.loads(out.splitlines()[-1])["verdict"] in ("pass", "fail")
        assert [record["kind"] for record in bench.journal()] == ["header", "released"]
        header = json.loads((bench.bundle / "events.jsonl").read_text().splitlines()[0])["data"]
        assert header["guardian"] == f"process {run.pid}"
        names = {file["path"] for file in json.loads((bench.bundle / "manifest.json").read_text())["files"]}
        assert "guardian.jsonl" in names
        assert not bench.energised()


async def test_a_persons_stop_reaches_the_run_through_its_guardian(tmp_path: Path) -> None:
    async with standing(tmp_path) as bench:
        run = await bench.started()
        await bench.under_current()
        kill(run.pid, signal.SIGTERM)
        code, out, said = await over(run)
        assert code == 3, said
        assert json.loads(out.splitlines()[-1])["ended_by"]["kind"] == "person"
        assert [record["kind"] for record in bench.journal()] == ["header", "released"]
        assert not bench.energised()
