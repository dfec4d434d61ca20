"""What every test is held to: a leaked asyncio task or an unclosed transport fails the test that leaked it."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from bench.whereabouts import VARIABLE

settings.register_profile(
    "project", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("project")


def _is_async(item: pytest.Item) -> bool:
    return inspect.iscoroutinefunction(getattr(item, "obj", None))


@pytest.fixture(autouse=True)
async def _no_leaked_tasks(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """After an async test no task but its own may be left."""
    yield
    if not _is_async(request.node):
        return
    me = asyncio.current_task()
    for _ in range(3):  # callbacks of transports that were just closed
        await asyncio.sleep(0)
    leaked = [task.get_name() for task in asyncio.all_tasks() if task is not me and not task.done()]
    assert not leaked, f"the test left tasks running: {leaked}"


@pytest.fixture(autouse=True)
def _no_tasks_left_to_a_runner(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same for a test that runs a loop itself: what asyncio's runner would cancel in silence is a leak."""
    leaked: list[str] = []
    cancel_all = asyncio.runners._cancel_all_tasks  # type: ignore[attr-defined] # there is no public hook

    def watched(loop: asyncio.AbstractEventLoop) -> None:
        leaked.extend(task.get_name() for task in asyncio.all_tasks(loop))
        cancel_all(loop)

    monkeypatch.setattr(asyncio.runners, "_cancel_all_tasks", watched)
    yield
    assert not leaked, f"the test left tasks running: {leaked}"


#: Each test's register of benches has a number, and is made when a live run comes by.
_REGISTERS = count(1)


@pytest.fixture(scope="session", autouse=True)
def _state_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What a live run notes of its bench never lands in the home of whoever tests."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(folder / "all"))
        yield folder


@pytest.fixture(autouse=True)
def register_folder(_state_of_all: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's own: the port of a bench that stood in another test is given out again."""
    folder = _state_of_all / str(next(_REGISTERS))
    monkeypatch.setenv(VARIABLE, str(folder))
    return folder


def pytest_collection_finish() -> None:
    """What importing made stays out of the collections below, which then take a millisecond each."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Collect what the test left behind while it is still the culprit: what is unclosed warns, and warnings fail."""
    if _is_async(item):
        gc.collect()
        gc.collect()  # the far end of what the first pass closed
