"""A run is refused while the computer is near its limits of file handles or memory."""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.host_room import HANDLES, MEMORY_BYTES, HostRoom, check_host, measured
from drivers import RecordError

pytestmark = pytest.mark.fault("F75")


@pytest.mark.parametrize(
    ("room", "said"),
    [
        (HostRoom(HANDLES - 1, math.inf), "file handles are left"),
        (HostRoom(math.inf, MEMORY_BYTES - 1.0), "MB of memory are left"),
        (HostRoom(0.0, 0.0), "file handles are left"),
    ],
)
def test_near_a_limit_nothing_is_started(room: HostRoom, said: str) -> None:
    with pytest.raises(RecordError, match=said) as refused:
        check_host(room)
    assert "nothing was started" in refused.value.faults[0].fix


@pytest.mark.parametrize("room", [HostRoom(HANDLES, MEMORY_BYTES), HostRoom(math.inf, math.inf)])
def test_with_room_it_is(room: HostRoom) -> None:
    check_host(room)


@pytest.fixture
def soft() -> Iterator[None]:
    """What a test lowers is put back."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("soft")
def test_what_this_process_has_open_is_counted() -> None:
    """One more open file is one handle less; the limit is the process's own."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    before = measured().handles
    handle = os.open(os.devnull, os.O_RDONLY)
    assert measured().handles == before - 1
    os.close(handle)
    assert measured().handles == before <= 200 - 3


def test_the_memory_that_the_computer_gives_without_swapping_counts(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    2000000 kB\nSwapFree: 7 kB\n")
    assert measured(tmp_path).memory_bytes == 2_000_000 * 1024


@pytest.mark.parametrize("text", [None, "", "MemAvailable:\n", "MemAvailable: much kB\n"])
def test_what_cannot_be_told_refuses_nothing(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "meminfo").write_text(text)
    assert measured(tmp_path) == HostRoom(math.inf, math.inf)


def test_a_process_without_a_limit_of_files_has_no_end_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert math.isinf(measured().handles)
