"""Connections that are lost and come back: never in a storm, the important ones first, and nothing is sent twice."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from drivers import WireClosed, WireError, WireTimeout
from drivers.wires import Flight
from drivers.wires.opening import prepared
from drivers.wires.pacing import FIRST_S, LONGEST_S, MOST, Gate, HeldBackError, Pace
from drivers.wires.url import parse_url
from simulators.virtual_time import run_virtual, virtual_loop
from tests.drivers.peers import TcpPeer, line_wire, until

ASKED = {"device": "psb", "doing": "reading"}


def echo(line: str) -> bytes:
    return f"answer to {line}\r\n".encode()


class Net:
    """Far ends on this machine in virtual time; ``made_s`` is when each connection reached one."""

    def __init__(self) -> None:
        self.loop = virtual_loop()
        self.flight = Flight(self.loop.flight.left, self.loop.flight.arrived)
        self.made_s: list[float] = []
        self.peers: list[TcpPeer] = []
        self.wires: list[Any] = []
        self.tried_s: list[float] = []

    async def add(self, *, safety: bool = False) -> tuple[TcpPeer, Any]:
        peer = TcpPeer(echo, self.flight)
        await peer.start()
        self.peers.append(peer)
        wire = line_wire(peer.url, flight=self.flight)
        prepared(wire, safety=safety)
        connect = wire._connect

        async def counted(make: Any) -> Any:
            self.tried_s.append(self.loop.time())
            return await connect(make)

        wire._connect = counted
        self.wires.append(wire)
        await wire.open()
        assert await wire.query("A?", **ASKED) == "answer to A?"
        return peer, wire

    async def close(self) -> None:
        for wire in self.wires:
            await wire.close()
        for peer in self.peers:
            await peer.close()


def on_a_net(check: Callable[[Net], Awaitable[None]]) -> None:
    async def main() -> None:
        net = Net()
        try:
            await check(net)
        finally:
            await net.close()

    run_virtual(main())


def most_within(instants: list[float], window_s: float) -> int:
    """The most of them in any window of this length."""
    return max((sum(at_s <= other_s < at_s + window_s - 1e-9 for other_s in instants) for at_s in instants), default=0)


@pytest.mark.fault("F16", "T11", "T21")
@pytest.mark.parametrize("outage_s", [1.0, 60.0, 3600.0, 86400.0])
def test_after_an_outage_of_any_length_it_is_back_within_the_longest_wait(outage_s: float) -> None:
    async def check(net: Net) -> None:
        peer, wire = await net.add()
        port = peer.port
        net.tried_s.clear()
        await peer.close()
        gone_s = net.loop.time()
        poll_s = 0.2 if outage_s <= 3600.0 else 4.0
        while net.loop.time() < gone_s + outage_s:
            with pytest.raises(WireClosed):
                await wire.query("A?", **ASKED)
            await asyncio.sleep(poll_s)
        pauses = [later - earlier for earlier, later in itertools.pairwise(net.tried_s)]
        assert all(pause_s >= FIRST_S for pause_s in pauses)
        assert all(pause_s <= LONGEST_S + poll_s for pause_s in pauses)
        if outage_s >= 3600.0:
            assert len(net.tried_s) <= 8 + outage_s / (LONGEST_S * 0.75)
        await peer.start(port)
        back_s = net.loop.time()
        while True:
            try:
                assert await wire.query("B?", **ASKED) == "answer to B?"
                break
            except WireClosed:
                await asyncio.sleep(0.2)
        assert net.loop.time() - back_s <= LONGEST_S + 0.2

    on_a_net(check)


@pytest.mark.fault("F16")
def test_a_network_that_flaps_every_second_for_an_hour() -> None:
    """Between the flaps it answers; attempts stay few, and none of them sends anything but the poll."""

    async def check(net: Net) -> None:
        peer, wire = await net.add()
        port = peer.port
        ends = {True: 0, False: 0}
        for _ in range(1800):
            await peer.close()
            for _ in range(5):
                with pytest.raises(WireClosed):
                    await wire.query("V?", **ASKED)
                ends[False] += 1
                await asyncio.sleep(0.2)
            await peer.start(port)
            for _ in range(5):
                try:
                    await wire.query("V?", **ASKED)
                    ends[True] += 1
                except WireClosed:
                    ends[False] += 1
                await asyncio.sleep(0.2)
        assert ends[True] >= 1800  # it is not given up
        assert most_within(net.tried_s, 1.0) <= MOST
        assert set(peer.heard) == {"A?", "V?"}
        assert len(peer.heard) == 1 + ends[True]

    on_a_net(check)


@pytest.mark.fault("F17", "T11")
@pytest.mark.parametrize("how", ["reset", "silent"])
def test_thirty_two_devices_at_once_come_back_at_five_a_second_and_the_important_ones_first(how: str) -> None:
    """A switch restarts: every connection is lost in the same instant, with a reset or without a word."""

    async def check(net: Net) -> None:
        for at in range(32):
            await net.add(safety=at % 4 == 3)
        await asyncio.sleep(30.0)
        net.tried_s.clear()
        back: dict[int, float] = {}
        struck_s = net.loop.time()
        for peer in net.peers:
            peer.heard.clear()
            if how == "silent":
                peer.answer = lambda line: None
            else:
                peer.hang_up()

        async def polled(at: int) -> None:
            await asyncio.sleep(0.01 * at)
            while at not in back:
                try:
                    await net.wires[at].query("V?", **ASKED)
                    back[at] = net.loop.time() - struck_s
                except WireError:
                    await asyncio.sleep(0.2)
                    net.peers[at].answer = echo

        await asyncio.gather(*(polled(at) for at in range(32)))
        assert most_within(net.tried_s, 1.0) <= MOST
        assert 32 <= len(net.tried_s) <= 40
        important = [back[at] for at in range(32) if at % 4 == 3]
        others = [back[at] for at in range(32) if at % 4 != 3]
        # Eight important ones, of which the first second's turns went to whoever asked first: the third second.
        assert max(important) < 3.0
        assert sorted(others)[len(others) // 2] > max(important)
        assert max(others) < 32 / MOST + 3.0

    on_a_net(check)


@pytest.mark.fault("F17")
def test_a_gate_gives_turns_by_importance_and_then_by_waiting() -> None:
    gate = Gate()
    for at in range(MOST):
        assert gate.may_connect(f"first{at}", 0.0, safety=False)
        gate.made(f"first{at}", 0.0)
    assert not gate.may_connect("plain", 0.1, safety=False)
    assert not gate.may_connect("later", 0.2, safety=False)
    assert not gate.may_connect("safety", 0.3, safety=True)
    assert not gate.may_connect("plain", 0.99, safety=False)
    for at in range(MOST - 2):
        assert gate.may_connect(f"new{at}", 1.0, safety=True)
        gate.made(f"new{at}", 1.0)
    assert not gate.may_connect("later", 1.0, safety=False)  # two turns left, two others go before it
    assert gate.may_connect("plain", 1.0, safety=False)
    gate.made("plain", 1.0)
    assert gate.may_connect("safety", 1.0, safety=True)
    gate.made("safety", 1.0)
    assert not gate.may_connect("later", 1.5, safety=False)
    assert gate.may_connect("later", 2.0, safety=False)


@pytest.mark.fault("F16")
def test_each_wait_is_twice_the_last_varied_and_no_two_wires_wait_alike() -> None:
    async def main() -> None:
        loop = virtual_loop()
        waits: dict[str, list[float]] = {}
        for host in ("10.0.0.1", "10.0.0.2"):
            pace = Pace(parse_url(f"tcp://{host}:5025"))
            waits[host] = []
            for _ in range(12):
                pace.failed()
                waits[host].append(pace.next_s - loop.time())
            assert all(FIRST_S <= wait_s <= LONGEST_S for wait_s in waits[host])
            for at, wait_s in enumerate(waits[host]):
                assert wait_s == pytest.approx(min(0.2 * 2**at, 10.0), rel=0.26)
            pace.proven()
            assert pace.begin(free=False) is None
        assert waits["10.0.0.1"][1:6] != waits["10.0.0.2"][1:6]

    run_virtual(main())


@pytest.mark.fault("F16", "F24")
def test_a_stop_is_never_held_back() -> None:
    async def check(net: Net) -> None:
        peer, wire = await net.add()
        port = peer.port
        await peer.close()
        for _ in range(20):
            with pytest.raises(WireClosed):
                await wire.query("V?", **ASKED)
            await asyncio.sleep(1.0)
        await peer.start(port)
        with pytest.raises(HeldBackError):
            await wire.query("V?", **ASKED)
        await wire.send("OUTP OFF", **ASKED, stop=True)
        await until(lambda: "OUTP OFF" in peer.heard)

    on_a_net(check)


@pytest.mark.fault("F18", "T11")
def test_a_far_end_that_takes_one_connection_only() -> None:
    """The old connection is given up before the new one is made, so the far end never sees two."""

    async def check(net: Net) -> None:
        peer, wire = await net.add()
        for _ in range(20):
            peer.answer = lambda line: None
            with pytest.raises(WireTimeout):
                await wire.query("V?", **ASKED, deadline_s=0.1)
            peer.answer = echo
            assert await wire.query("V?", **ASKED) == "answer to V?"
            assert len(peer.links) == 1
            await asyncio.sleep(0.5)
        assert peer.connections == 21

    on_a_net(check)


@pytest.mark.fault("F18")
def test_a_far_end_that_hangs_up_on_everybody_else_is_asked_ever_more_rarely() -> None:
    """Its one connection belongs to another host: each of ours is taken and dropped at once."""

    async def check(net: Net) -> None:
        peer, wire = await net.add()
        net.tried_s.clear()
        peer.hang_up()
        peer.answer = lambda line: peer.hang_up()
        for _ in range(300):
            with pytest.raises(WireClosed):
                await wire.query("V?", **ASKED)
            await asyncio.sleep(0.2)
        assert len(net.tried_s) <= 14  # 0.2 + 0.4 + ... + 6.4 s, then every 10 s for the rest of the minute
        peer.answer = echo
        await asyncio.sleep(LONGEST_S)
        assert await wire.query("V?", **ASKED) == "answer to V?"

    on_a_net(check)


@pytest.mark.fault("F14")
def test_a_half_open_connection_is_found_by_its_silence_and_made_anew() -> None:
    """The far end was replaced without a word: the old connection still takes bytes and answers nothing."""

    async def check(net: Net) -> None:
        peer, wire = await net.add()
        (old,) = peer.links
        taken = peer.answer
        peer.answer = lambda line: None if peer.links[-1] is old else taken(line)
        with pytest.raises(WireTimeout):
            await wire.query("V?", **ASKED)
        assert await wire.query("V?", **ASKED) == "answer to V?"
        assert peer.connections == 2

    on_a_net(check)


@pytest.mark.fault("F15", "T23")
def test_a_reset_in_the_middle_of_a_command_leaves_it_unknown_and_unrepeated() -> None:
    async def check(net: Net) -> None:
        peer, wire = await net.add()

        def cut(line: str) -> None:
            peer.hang_up()

        peer.answer = cut
        with pytest.raises(WireClosed):
            await wire.query("OUTP ON;OUTP?", **ASKED)
        peer.answer = echo
        await asyncio.sleep(30.0)
        assert await wire.query("OUTP?", **ASKED) == "answer to OUTP?"
        assert [line for line in peer.heard if "ON" in line] == ["OUTP ON;OUTP?"]

    on_a_net(check)


@pytest.mark.fault("T26", "T11")
@pytest.mark.parametrize("how", ["gone", "silent"])
def test_a_wire_in_trouble_does_not_keep_the_loop_busy(how: str) -> None:
    """Ten minutes of polls that fail: the loop turns a few times for each of them, and never for nothing."""

    async def check(net: Net) -> None:
        peer, wire = await net.add()
        turns = 0
        loop: Any = net.loop
        selector = loop._selector
        select = selector.select

        def counted(timeout: float | None = None) -> Any:
            nonlocal turns
            turns += 1
            return select(timeout)

        selector.select = counted
        if how == "gone":
            await peer.close()
        else:
            peer.answer = lambda line: None
        polls = 0
        while net.loop.time() < 600.0:
            polls += 1
            with pytest.raises(WireError):
                await wire.query("V?", **ASKED)
            await asyncio.sleep(0.2)
        assert polls > 800
        assert turns < 30 * polls

    on_a_net(check)
