"""The pipe carries whole objects, beats that never wait, and file handles; its end is told once."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from bench.guardian.channel import Channel


class Heard:
    """What one end hears."""

    def __init__(self, sock: socket.socket) -> None:
        self.messages: list[dict[str, Any]] = []
        self.ends: list[str] = []
        self.channel = Channel(sock, hear=self.messages.append, ended=self.ends.append)
        self.channel.start()


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_objects_arrive_whole_however_the_bytes_come_and_beats_only_count_as_life() -> None:
    ours, theirs = socket.socketpair()
    heard = Heard(theirs)
    line = json.dumps({"arm": "x" * 5}).encode() + b"\nb\n"
    for at in range(len(line)):
        ours.send(line[at : at + 1])
        await turns(2)
    assert heard.messages == [{"arm": "xxxxx"}]
    before_s, heard.channel.heard_s = heard.channel.heard_s, 0.0
    ours.send(b"b\n")
    await turns()
    assert heard.channel.heard_s >= before_s
    assert heard.messages == [{"arm": "xxxxx"}]
    heard.channel.close()
    ours.close()


async def test_the_end_of_the_pipe_is_told_once() -> None:
    ours, theirs = socket.socketpair()
    heard = Heard(theirs)
    ours.close()
    await turns()
    heard.channel.drain()
    assert heard.ends == ["the pipe has ended"]
    heard.channel.beat()  # to nobody: not this side's trouble
    with pytest.raises(OSError, match="pipe"):
        await heard.channel.say({"to": "nobody"})
    heard.channel.close()


async def test_a_beat_never_waits_for_a_far_end_that_does_not_look() -> None:
    ours, theirs = socket.socketpair()
    heard = Heard(ours)
    begun_s = asyncio.get_running_loop().time()
    for _ in range(200_000):  # far more than any buffer holds
        heard.channel.beat()
    assert asyncio.get_running_loop().time() - begun_s < 5.0
    heard.channel.close()
    theirs.close()


async def test_a_lock_that_is_handed_over_outlives_the_process_that_took_it(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    taken = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(taken, fcntl.LOCK_EX | fcntl.LOCK_NB)
    child, guardian = Heard(ours), Heard(theirs)
    await child.channel.say({"arm": {}}, [taken])
    await turns()
    assert len(guardian.channel.handles) == 1
    os.close(taken)  # as the end of the process does
    other = os.open(tmp_path / "lock", os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    guardian.channel.close()
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)
    child.channel.close()


async def test_more_handles_than_one_message_holds_all_arrive(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    child, guardian = Heard(ours), Heard(theirs)
    taken = [os.open(tmp_path / f"lock{at}", os.O_RDWR | os.O_CREAT) for at in range(150)]
    await child.channel.say({"arm": {}}, taken)
    await turns()
    assert len(guardian.channel.handles) == 150
    for handle in taken:
        os.close(handle)
    guardian.channel.close()
    child.channel.close()
