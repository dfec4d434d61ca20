"""The desk at the far end of a socket says what the desk itself says; whoever asks always gets an answer."""

from __future__ import annotations

import asyncio
import inspect
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.daemon.desk import Desk, DeskRefused
from bench.daemon.desk_wire import METHODS, DeskServer, refusal, refused
from bench.daemon.far_desk import FarDesk
from bench.daemon.serving import in_thread
from bench.daemon.views import EventView, PromptAnswer, StartRequest
from bench.web.problems import of_error
from drivers.errors import (
    BenchError,
    BenchHeld,
    ConfigError,
    DeviceError,
    Fault,
    PreflightRefused,
    RecordError,
    WireTimeout,
)
from tests.page.paper_desk import PLAIN
from tests.web.strict_desk import ALARM, PROMPT, RUN, StrictDesk

REQUEST = StartRequest(sequence=PLAIN, channel="ch2", cell="nmc-21700")
SERIES: dict[str, Any] = {
    "run_id": None, "channel": "ch1", "quantities": ("voltage", "current"), "begin_s": None, "end_s": None,
    "points": 50,
}  # fmt: skip
#: One call of each act, in an order in which all are answered.
CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "check": ((REQUEST,), {}),
    "runs": ((), {"search": "", "limit": 20, "before": None}),
    "run": ((RUN,), {}),
    "bundle": ((RUN,), {}),
    "prompts": ((), {}),
    "alarms": ((), {"closed": True}),
    "series": ((), SERIES),
    "sequences": ((), {}),
    "cells": ((), {}),
    "samples": ((), {"search": "S", "limit": 5}),
    "notes": ((), {"limit": 5}),
    "judge": ((RUN, "fire"), {"answer": True, "note": "起火", "by": "lin"}),
    "add_note": (("the door of rig 1 sticks",), {"by": "lin"}),
    "acknowledge": ((ALARM,), {"by": "lin"}),
    "shelve": ((ALARM,), {"by": "lin", "for_s": 60.0, "why": "known"}),
    "answer": ((PROMPT, PromptAnswer(yes=True)), {"by": "lin"}),
    "pause": ((RUN,), {"by": "lin"}),
    "resume": ((RUN,), {"by": "lin"}),
    "close_interrupted": ((RUN,), {"by": "lin", "note": ""}),
    "unlatch": ((), {"by": "lin", "note": "aired"}),
    "stop": ((RUN,), {"by": "lin"}),
    "abort_all": ((), {"by": "lin"}),
    "start": ((REQUEST,), {"plan_hash": "", "key": "k1", "by": "lin"}),
}


@contextmanager
def wired(desk: Desk) -> Iterator[tuple[FarDesk, Callable[[], None]]]:
    """The far end of a desk, followed by a thread, and what cuts the socket."""
    near, far = socket.socketpair()

    async def serve(stop: asyncio.Event) -> None:
        server = DeskServer(desk)
        await server.serve(near, stop)
        await server.close()

    with far, in_thread(serve, "people"):
        made = FarDesk(far)
        assert made.await_wall()
        following = threading.Thread(target=made.follow, daemon=True)
        following.start()
        yield made, partial(far.shutdown, socket.SHUT_RDWR)
    following.join(5.0)
    assert not following.is_alive()


def test_every_act_of_the_desk_goes_over_and_is_tried_here() -> None:
    acts = {name for name, act in vars(Desk).items() if inspect.iscoroutinefunction(act)}
    assert METHODS.keys() == acts == CALLS.keys()
    for name, method in METHODS.items():
        assert method.arguments.model_fields.keys() == get_type_hints(getattr(Desk, name)).keys() - {"return"}


def outcome(desk: Desk, name: str) -> object:
    """What an act gives, or how its refusal reads."""
    positional, named = CALLS[name]
    if name == "start":  # by the hash of what was checked
        named = {**named, "plan_hash": asyncio.run(_checked(desk))}
    try:
        found = asyncio.run(_called(desk, name, positional, named))
    except Exception as error:  # noqa: BLE001 - compared below
        problem = of_error(error)
        return (problem.code, problem.detail, problem.fix, problem.faults)
    return list(found) if isinstance(found, tuple | list) else found


async def _called(desk: Desk, name: str, positional: tuple[Any, ...], named: dict[str, Any]) -> Any:
    return await getattr(desk, name)(*positional, **named)


async def _checked(desk: Desk) -> str:
    return (await desk.check(REQUEST)).plan_hash or ""


def test_over_the_socket_each_act_gives_what_it_gives_here(tmp_path: Path) -> None:
    here, there = StrictDesk(data=tmp_path), StrictDesk(data=tmp_path)
    with wired(there) as (far, _):
        for name in CALLS:
            assert _timeless(outcome(far, name)) == _timeless(outcome(here, name)), name
        asyncio.run(_same_wall(far, there))
    assert there.asked == here.asked


async def _same_wall(far: Desk, there: Desk) -> None:
    """The wall comes five times a second."""
    async with asyncio.timeout(5.0):
        while far.now() != there.now():  # noqa: ASYNC110 - what is looked at tells nobody
            await asyncio.sleep(0.05)


def _timeless(found: object) -> str:
    """Text of it; the two desks began at slightly different instants."""
    return re.sub(r"(_s'?[=:] ?)[0-9.e+-]+", r"\1T", repr(found))


FAULTS = st.lists(st.builds(Fault, st.text(), st.text(), st.text()), min_size=1, max_size=3)
ERRORS = st.one_of(
    st.builds(DeskRefused, st.sampled_from(["unknown", "busy", "not-now", "latched"]), st.text(), st.text()),
    st.builds(ConfigError, FAULTS),
    *(
        st.builds(kind, st.text(), st.text(), st.text())
        for kind in (BenchError, BenchHeld, PreflightRefused, RecordError)
    ),
    *(st.builds(kind, st.text(), st.text(), st.text(), st.text()) for kind in (DeviceError, WireTimeout)),
)


@given(ERRORS)
def test_a_refusal_reads_the_same_at_the_far_end(error: Exception) -> None:
    here, there = of_error(error), of_error(refused(refusal(error)))
    assert (there.code, there.detail, there.fix, there.faults) == (here.code, here.detail, here.fix, here.faults)


def test_a_fault_of_the_program_arrives_and_so_does_half_a_character(tmp_path: Path) -> None:
    class Broken(StrictDesk):
        async def run(self, run_id: str) -> Any:
            raise KeyError(run_id)

        async def cells(self) -> Any:
            raise DeskRefused("unknown", "half of \ud83d", "")

        async def sequences(self) -> Any:
            return "no sequence at all"

    with wired(Broken(data=tmp_path)) as (far, _):
        with pytest.raises(RuntimeError, match="KeyError: 'r-7'"):
            asyncio.run(far.run("r-7"))
        with pytest.raises(DeskRefused, match="half of"):
            asyncio.run(far.cells())
        with pytest.raises(RuntimeError):
            asyncio.run(far.sequences())
        assert asyncio.run(far.prompts())  # and it goes on


def test_events_come_in_order_those_that_were_kept_first(tmp_path: Path) -> None:
    class Keeping(StrictDesk):
        """Tells a listener what was before it, as the daemon's bulletin does."""

        def listen(self, hear: Callable[[EventView], None], *, after: int | None = None) -> Callable[[], None]:
            for seq in (1, 2, 3):
                hear(EventView(seq=seq, utc_s=1.8e9, kind="note", data={"text": "kept"}))
            return super().listen(hear, after=after)

    desk = Keeping(data=tmp_path)
    first = desk.now().seq
    heard: list[int] = []
    came = threading.Event()
    with wired(desk) as (far, _):

        def hear(event: EventView) -> None:
            heard.append(event.seq)
            if event.data.get("text") == "last":
                came.set()

        asyncio.run(far.prompts())  # what was kept has come by then
        end = far.listen(hear, after=1)
        for text in ("one", "two", "last"):
            desk.tell("note", data={"text": text})
        assert came.wait(5.0)
        end()
        desk.tell("note", data={"text": "nobody listens"})
        asyncio.run(far.prompts())
    assert heard == [2, 3, first + 1, first + 2, first + 3]


def test_who_waits_for_a_bench_that_dies_is_told(tmp_path: Path) -> None:
    asked = threading.Event()

    class Slow(StrictDesk):
        async def prompts(self) -> Any:
            asked.set()
            await asyncio.sleep(60.0)

    async def ask(far: FarDesk, cut: Callable[[], None]) -> None:
        waiting = asyncio.create_task(far.prompts())
        await asyncio.to_thread(asked.wait, 5.0)
        cut()
        async with asyncio.timeout(5.0):
            with pytest.raises(DeskRefused) as said:
                await waiting
        assert said.value.code == "not-now"
        with pytest.raises(DeskRefused):
            await far.alarms()

    with wired(Slow(data=tmp_path)) as (far, cut):
        asyncio.run(ask(far, cut))


def test_an_end_that_was_said_is_told_from_a_death(tmp_path: Path) -> None:
    ends: list[bool] = []
    for said in (True, False):
        near, far = socket.socketpair()
        stop = threading.Event()

        async def serve(_: asyncio.Event, near: socket.socket = near, stop: threading.Event = stop) -> None:
            over = asyncio.Event()
            serving = asyncio.create_task(DeskServer(StrictDesk(data=tmp_path)).serve(near, over))
            await asyncio.to_thread(stop.wait, 5.0)
            over.set()
            await serving

        with far, in_thread(serve, "people"):
            desk = FarDesk(far)
            assert desk.await_wall()
            if said:
                stop.set()
            else:
                far.shutdown(socket.SHUT_RDWR)
            ends.append(desk.follow())
            stop.set()
    assert ends == [True, False]
