"""The run's end of the pipe: it hands the plan over, beats when it is told to, and notices a guardian that is gone."""

from __future__ import annotations

import asyncio
import json
import math
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.guardian import guarded, link
from bench.guardian.channel import Channel
from bench.guardian.link import VARIABLE, Link, NoGuardian, inherited_link
from bench.safe_plan import SafePlan
from drivers import DeviceError

PLAN = SafePlan("demo", "1", (), (), (), ())


class Other:
    """The guardian's end, as a test plays it."""

    def __init__(self, sock: socket.socket, *, armed: Any = True) -> None:
        self.heard: list[dict[str, Any]] = []
        self.beats = 0
        self._armed = armed
        self.sock = sock
        self.channel = Channel(sock, hear=self._hear, ended=lambda _: None)
        self.channel.start()
        self.answers: list[asyncio.Task[None]] = []

    def _hear(self, message: dict[str, Any]) -> None:
        self.heard.append(message)
        if "arm" in message or "release" in message:
            answer = {"armed": self._armed} if "arm" in message else {"released": True}
            self.answers.append(asyncio.get_running_loop().create_task(self.channel.say(answer)))


@asynccontextmanager
async def linked(**how: Any) -> AsyncIterator[tuple[Link, Other, list[socket.socket]]]:
    beats, theirs = socket.socketpair()
    wires, lent = socket.socketpair()
    other = Other(theirs, **how)
    try:
        async with Link(beats, wires, 4711) as made:
            yield made, other, [lent]
    finally:
        await asyncio.gather(*other.answers)
        other.channel.close()
        lent.close()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the real times."""
    monkeypatch.setattr(link, "SILENCE_S", 0.2)
    monkeypatch.setattr(link, "BEAT_S", 0.05)
    monkeypatch.setattr(link, "ANSWER_S", 0.3)


async def test_the_plan_is_handed_over_and_released() -> None:
    async with linked() as (made, other, _):
        await made.arm(PLAN, Path("/somewhere"))
        assert SafePlan.of(other.heard[0]["arm"]) == PLAN
        assert other.heard[0]["folder"] == "/somewhere"
        made.stimulated()
        made.observed()
        await made.release()
        assert other.heard[1:] == [{"stimulated": True}, {"stimulated": False}, {"release": True}]
        assert made.name == "process 4711"


async def test_a_guardian_that_cannot_take_the_plan_stops_the_run_before_it_begins() -> None:
    async with linked(armed="no driver of that name") as (made, _, _lent):
        with pytest.raises(DeviceError, match="no driver of that name"):
            await made.arm(PLAN, Path("/somewhere"))


async def test_a_guardian_that_does_not_answer_stops_it_too() -> None:
    async with linked() as (made, other, _):
        other.channel._hear = lambda _: None
        with pytest.raises(DeviceError, match="no answer"):
            await made.arm(PLAN, Path("/somewhere"))


async def test_after_two_seconds_of_silence_the_guardian_is_lost() -> None:
    async with linked() as (made, other, _):
        await made.arm(PLAN, Path("/somewhere"))
        for _ in range(6):  # longer than the silence, with beats
            other.channel.beat()
            await asyncio.sleep(0.05)
        assert not made.lost.done()
        begun_s = asyncio.get_running_loop().time()
        assert "no heartbeat" in await made.lost
        assert asyncio.get_running_loop().time() - begun_s >= 0.2 - 0.06


async def test_beats_that_came_while_this_process_was_held_up_count() -> None:
    async with linked() as (made, other, _):
        await made.arm(PLAN, Path("/somewhere"))
        made._channel.heard_s -= 10.0  # as after a long stretch without a turn of the loop
        other.channel.beat()
        made._watch()
        assert not made.lost.done()


async def test_the_end_of_the_pipe_is_the_end_of_the_guardian_at_once() -> None:
    async with linked() as (made, other, _):
        await made.arm(PLAN, Path("/somewhere"))
        other.channel.close()
        async with asyncio.timeout(0.1):
            assert "ended" in await made.lost
        await made.release()  # to nobody


async def test_once_released_nothing_is_lost_any_more() -> None:
    async with linked() as (made, other, _):
        await made.arm(PLAN, Path("/somewhere"))
        await made.release()
        other.channel.close()
        await asyncio.sleep(0.3)
        assert not made.lost.done()


async def test_it_beats_by_itself_only_while_the_run_ends() -> None:
    async with linked() as (made, other, _):
        await made.arm(PLAN, Path("/somewhere"))
        other.sock.settimeout(0.0)

        def beaten() -> bool:
            before_s, other.channel.heard_s = other.channel.heard_s, -1.0
            other.channel.drain()
            there = other.channel.heard_s >= 0.0
            other.channel.heard_s = max(before_s, other.channel.heard_s)
            return there

        asyncio.get_running_loop().remove_reader(other.sock.fileno())
        await asyncio.sleep(0.15)
        assert not beaten()
        made.ending(0.1)
        await asyncio.sleep(0.08)
        assert beaten()
        await asyncio.sleep(0.1)
        beaten()
        await asyncio.sleep(0.15)
        assert not beaten()
        made.beat()
        assert beaten()


async def test_a_run_without_a_guardian_is_refused() -> None:
    with pytest.raises(DeviceError, match="has none"):
        async with inherited_link({}):
            pass


async def test_a_child_takes_its_pipes_out_of_the_environment() -> None:
    beats, theirs = socket.socketpair()
    wires, lent = socket.socketpair()
    environ = {VARIABLE: f"{beats.detach()},{wires.detach()},4711", "HOME": "/"}
    async with inherited_link(environ) as made:
        assert environ == {"HOME": "/"}
        assert not os.get_inheritable(made._channel._sock.fileno())
    theirs.close()
    lent.close()


def test_a_child_is_not_guarded_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "3,4,1")
    assert guarded(["run"]) is None


async def test_virtual_time_has_no_guardian_and_says_so() -> None:
    none = NoGuardian()
    assert none.name == "none (virtual time)"
    assert none.every_s == math.inf
    none.beat()
    none.ending()
    none.stimulated()
    none.observed()
    await none.arm(PLAN, Path("/somewhere"))
    await none.release()
    assert not none.lost.done()
    assert none.lost is none.lost


def test_a_plan_survives_the_way_through_the_pipe() -> None:
    assert SafePlan.of(json.loads(PLAN.text())) == PLAN
