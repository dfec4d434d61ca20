"""The guardian's process with children that are a few lines long: how they end, and what it makes of that."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from bench.guardian import process
from bench.guardian.journal import Journal
from bench.guardian.notify import Notifier
from bench.guardian.process import Guarded, Guardian
from bench.safe_plan import SafeDevice, SafePlan, steps_for
from drivers.capabilities import DeviceKind

EMPTY = SafePlan("demo", "1", (), (), (), ())

#: A child that speaks the pipe's language: ``tell(object)`` and ``hear()``, a line each.
HEAD = """
import json, os, socket, sys, time
beats, wires, guardian = (int(it) for it in os.environ["CELLBENCH_GUARDIAN"].split(","))
pipe = socket.socket(fileno=beats)
lines = pipe.makefile("r")
def tell(what): pipe.sendall(json.dumps(what).encode() + b"\\n")
def hear():
    while (line := lines.readline()) == "b\\n": pass
    return json.loads(line)
"""


async def guarded(body: str, *, meanwhile: Any = None) -> tuple[Guarded, list[str]]:
    said: list[str] = []
    guardian = Guardian((sys.executable, "-S", "-c", HEAD + body), notifier=Notifier({}), told=said.append)
    running = asyncio.create_task(guardian.run())
    if meanwhile is not None:
        await meanwhile(guardian)
    async with asyncio.timeout(20):
        return await running, said


def armed(folder: Path, plan: SafePlan = EMPTY) -> str:
    message = json.dumps({"arm": plan.document(), "folder": str(folder)})
    return f"tell(json.loads({message!r})); print(json.dumps(hear()), file=sys.stderr)\n"


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "guardian.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("body", "code"), [("sys.exit(0)", 0), ("sys.exit(5)", 5), ("os.kill(os.getpid(), 9)", 137)])
async def test_a_child_that_has_armed_nothing_ends_as_it_likes(body: str, code: int) -> None:
    over, said = await guarded(body)
    assert over == Guarded(code)
    assert said == []


async def test_a_child_that_was_released_ends_as_it_likes(tmp_path: Path) -> None:
    over, _ = await guarded(armed(tmp_path) + 'tell({"release": True}); hear(); sys.exit(1)')
    assert over == Guarded(1)
    assert [record["kind"] for record in records(tmp_path)] == ["header", "released"]


async def test_one_that_says_its_last_word_and_is_gone_at_once_is_still_heard(tmp_path: Path) -> None:
    over, _ = await guarded(armed(tmp_path) + 'tell({"release": True}); os._exit(0)')
    assert over == Guarded(0)


@pytest.mark.parametrize("end", ["sys.exit(0)", "os.kill(os.getpid(), 9)", "os.close(beats); time.sleep(60)"])
async def test_a_child_that_is_gone_while_armed_is_made_good_for(tmp_path: Path, end: str) -> None:
    over, said = await guarded(armed(tmp_path) + 'tell({"stimulated": True});' + end)
    assert over.code == 3
    assert over.why is not None
    kinds = [record["kind"] for record in records(tmp_path)]
    assert kinds[:2] == ["header", "stimulated"]
    assert {"taking_over", "child_ended", "safe_state", "ended"} <= set(kinds)
    assert any("made safe" in line for line in said)


async def test_a_child_that_is_stuck_is_killed_with_all_that_it_has_started(tmp_path: Path) -> None:
    body = armed(tmp_path) + "import subprocess; it = subprocess.Popen(['sleep', '60'])\n"
    body += f"open({str(tmp_path / 'pid')!r}, 'w').write(str(it.pid)); time.sleep(60)"
    over, _ = await guarded(body)
    assert over == Guarded(3, "no heartbeat for 2 s")
    grandchild = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if not running(grandchild):
            break
        await asyncio.sleep(0.02)
    assert not running(grandchild)
    assert next(it["data"]["how"] for it in records(tmp_path) if it["kind"] == "child_ended") == "SIGKILL"


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (SafePlan("demo", "1", (SafeDevice("x", "no-such", "tcp://10.0.0.1:1"),), (), (), ()), "no-such"),
        (SafePlan("demo", "1", (SafeDevice("x", "ea-psb10000", "nowhere"),), (), (), ()), "nowhere"),
    ],
)
async def test_a_plan_that_cannot_be_carried_out_is_not_taken(
    tmp_path: Path, plan: SafePlan, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    over, _ = await guarded(armed(tmp_path, plan))
    assert over == Guarded(0)  # nothing was armed
    assert said in json.loads(capfd.readouterr().err)["armed"]
    assert not (tmp_path / "guardian.jsonl").exists()


@pytest.mark.parametrize(("given", "came"), [("SIGTERM", "SIGTERM"), ("SIGINT", "SIGINT"), ("SIGHUP", "SIGTERM")])
async def test_a_persons_signal_is_passed_on_to_the_child(tmp_path: Path, given: str, came: str) -> None:
    ready = tmp_path / "ready"
    body = f"""
import signal
signal.signal(signal.{came}, lambda *_: os._exit(40))
open({str(ready)!r}, "w").close()
time.sleep(60)
"""

    async def meanwhile(_: Guardian) -> None:
        while not ready.exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), getattr(signal, given))

    over, _ = await guarded(body, meanwhile=meanwhile)
    assert over == Guarded(40)


async def test_a_bench_that_is_not_proven_safe_is_tried_until_a_person_ends_it(tmp_path: Path) -> None:
    kinds = {"psb": DeviceKind.CYCLER}
    device = SafeDevice("psb", "ea-psb10000", "tcp://127.0.0.1:9", rating={"voltage_v": 60.0, "current_a": 170.0})
    plan = SafePlan("demo", "1", (device,), steps_for(kinds), (), ())

    async def meanwhile(_: Guardian) -> None:
        while not (tmp_path / "guardian.jsonl").exists() or "safe_state_failed" not in str(records(tmp_path)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    over, said = await guarded(armed(tmp_path, plan) + "os._exit(0)", meanwhile=meanwhile)
    assert over.code == 4
    assert any("NOT CONFIRMED: psb" in line for line in said)
    assert records(tmp_path)[-1]["data"]["by"] == "a person"


def test_a_terminal_that_is_gone_or_that_nobody_reads_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck:
        def __init__(self) -> None:
            self.let_go = threading.Event()

        def write(self, text: str) -> None:
            if "first" in text:
                self.let_go.wait(10)
            raise OSError("gone")

    stuck = Stuck()
    monkeypatch.setattr(sys, "stderr", stuck)
    monkeypatch.setattr(process, "LAST_WORDS_S", 0.05)
    voice = process.Voice()
    voice.say("the first word")
    voice.say("the second")
    voice.close()
    stuck.let_go.set()
    voice._aside.settle(5)


async def test_what_is_no_word_of_the_pipe_ends_the_trust_in_a_child(tmp_path: Path) -> None:
    over, _ = await guarded(armed(tmp_path) + 'pipe.sendall(b"{x\\n"); time.sleep(60)')
    assert over == Guarded(3, "the far end does not speak as it should")


async def test_a_slip_while_making_safe_still_ends_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slip(*_: object, **__: object) -> bool:
        raise ZeroDivisionError("a slip")

    monkeypatch.setattr("bench.guardian.takeover.TakeOver.run", slip)
    over, said = await guarded(armed(tmp_path) + "os.close(beats); time.sleep(60)")
    assert over.code == 4
    assert "BROKE OFF" in said[0]
    assert "broken_off" in [record["kind"] for record in records(tmp_path)]


async def test_a_slow_disk_at_the_arming_is_no_silence_of_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(_: object) -> bool:
        time.sleep(2.5)  # noqa: TID251 - a disk that holds the process up
        return True

    monkeypatch.setattr(Journal, "settle", slow)
    body = armed(tmp_path) + 'time.sleep(0.5); pipe.sendall(b"b\\n"); tell({"release": True}); hear(); sys.exit(1)'
    over, _ = await guarded(body)
    assert over == Guarded(1)


async def test_a_release_that_comes_after_the_trust_has_ended_is_no_release(tmp_path: Path) -> None:
    """In the same turn of the loop: the child is silent too long, and what it said last is heard only then."""

    async def meanwhile(guardian: Guardian) -> None:
        while guardian._journal is None:  # noqa: ASYNC110 - another process arms it
            await asyncio.sleep(0.01)
        guardian._why.set_result("no heartbeat for 2 s")
        guardian._heard({"release": True})

    over, _ = await guarded(armed(tmp_path) + "time.sleep(60)", meanwhile=meanwhile)
    assert over == Guarded(3, "no heartbeat for 2 s")
    kinds = [record["kind"] for record in records(tmp_path)]
    assert "released" not in kinds
    assert {"taking_over", "child_ended", "safe_state", "ended"} <= set(kinds)


async def test_a_plan_that_comes_after_the_trust_has_ended_is_not_taken(tmp_path: Path) -> None:
    """What is made safe then is what was armed, and goes on being journaled where it was."""
    second = tmp_path / "second"
    second.mkdir()

    async def meanwhile(guardian: Guardian) -> None:
        while guardian._journal is None:  # noqa: ASYNC110 - another process arms it
            await asyncio.sleep(0.01)
        guardian._why.set_result("no heartbeat for 2 s")
        guardian._heard({"arm": EMPTY.document(), "folder": str(second)})

    over, _ = await guarded(armed(tmp_path) + "time.sleep(60)", meanwhile=meanwhile)
    assert over.code == 3
    assert list(second.iterdir()) == []
    assert "taking_over" in [record["kind"] for record in records(tmp_path)]
