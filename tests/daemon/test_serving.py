"""The whole daemon in this process: people come in from another thread, and SIGTERM leaves a safe bench behind."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import orjson
import pytest

from bench import verify
from bench.daemon.desk import Desk, DeskRefused
from bench.daemon.serving import in_thread, serve
from bench.daemon.views import RunView, SeriesView
from bench.results import VerifyStatus
from drivers.errors import ConfigError, Fault
from tests.daemon.houses import asked, settings

pytestmark = pytest.mark.scenario


async def soon(is_so: Callable[[], bool], *, within_s: float = 60.0) -> None:
    """In real time, from the people's thread."""
    async with asyncio.timeout(within_s):
        while not is_so():  # noqa: ASYNC110 - another thread's doing
            await asyncio.sleep(0.02)


def test_people_in_another_thread_start_a_run_and_sigterm_ends_it_safely(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[object] = []

    async def people(desk: Desk, stop: asyncio.Event) -> None:
        try:
            request = asked("1")
            approved = await desk.check(request)
            assert approved.plan_hash is not None
            run = await desk.start(request, plan_hash=approved.plan_hash, key="k", by="lin")
            await soon(lambda: desk.now().channels[0].state == "running")
            await soon(lambda: desk.now().channels[0].step is not None)
            channel = desk.now().channels[0]
            assert {value.quantity for value in channel.values} >= {"voltage_v", "current_a", "temperature_c"}
            lately = await desk.series(
                run_id=None, channel="1", quantities=["voltage_v"], begin_s=None, end_s=None, points=50
            )
            old = await desk.series(
                run_id=run.run_id, channel="1", quantities=["voltage_v"], begin_s=None, end_s=None, points=50
            )
            with pytest.raises(DeskRefused):
                await desk.stop("9999-nothing", by="lin")
            assert [it.run_id for it in await desk.runs(search="cycle lin")] == [run.run_id]
            assert await desk.runs(search="nobody") == []
            seen.extend((run, lately, old))
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()

    def beside(desk: Desk):  # type: ignore[no-untyped-def]
        return in_thread(lambda stop: people(desk, stop), "people")

    serve(settings(tmp_path), beside=(beside,), speed=200.0)
    run, lately, old = seen
    assert isinstance(run, RunView)
    assert isinstance(lately, SeriesView)
    assert isinstance(old, SeriesView)
    assert len(lately.utc_s) == len(old.utc_s) == 50
    assert any(3.0 < value < 4.3 for value in lately.high["voltage_v"] if value is not None)
    assert any(value is not None for value in old.high["voltage_v"])
    bundle = tmp_path / "runs" / run.run_id
    assert orjson.loads((bundle / "result.json").read_bytes())["verdict"] == "aborted"
    assert verify.verify(bundle).status is VerifyStatus.INTACT
    lines = [orjson.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    assert lines[0]["event"] == "open"
    states = [line["state"] for line in lines if line["event"] == "run_state"]
    assert states == ["running", "ending", "closed"]


def test_what_was_let_in_leaves_when_what_comes_after_it_cannot_come_in(tmp_path: Path) -> None:
    heard: list[str] = []

    @contextmanager
    def good(_: Desk) -> Iterator[None]:
        heard.append("in")
        yield
        heard.append("out")

    def bad(_: Desk) -> AbstractContextManager[object]:
        raise ConfigError([Fault("the port is taken", "--listen", "take another")])

    with pytest.raises(ConfigError):
        serve(settings(tmp_path), beside=(good, bad), speed=None)
    assert heard == ["in", "out"]
