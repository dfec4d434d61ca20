"""A wire is held in the whole machine: whatever data folder, bench file or account the other program has."""

from __future__ import annotations

import array
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bench import wire_hold
from bench.data_folder import DataFolder
from bench.wire_hold import hold_wire, wire_name
from drivers import BenchHeld

KEYS = ("192.168.10.20:5025", "/dev/ttyUSB0")
HOLDER = """\
import sys
from bench import wire_hold
wire_hold.PREFIX = sys.argv[1]
held = wire_hold.hold_wire(sys.argv[2])
print('held', flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _wires_of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_hold, "PREFIX", f"cellbench-test-{os.getpid()}-")


@pytest.mark.fault("F78")
def test_another_data_folder_and_another_bench_file_do_not_get_a_held_wire(tmp_path: Path) -> None:
    """A copied bench file and a second data folder share no lock file with the first."""
    for name in ("one.toml", "two.toml"):
        (tmp_path / name).write_text("")
    with DataFolder(tmp_path / "one").lock(KEYS, bench=tmp_path / "one.toml", run="0007-x"):
        with pytest.raises(BenchHeld) as caught:
            DataFolder(tmp_path / "two").lock(["a:1", KEYS[1]], bench=tmp_path / "two.toml")
        said = caught.value.faults[0].error
        assert KEYS[1] in said
        assert f"process {os.getpid()} (" in said
        with DataFolder(tmp_path / "two").lock(["a:1"], bench=tmp_path / "two.toml"):
            pass  # nothing of what was refused stays held
    with DataFolder(tmp_path / "two").lock(KEYS, bench=tmp_path / "two.toml"):
        pass


@pytest.mark.fault("F60", "F78")
def test_the_kernel_gives_a_wire_back_when_its_holder_is_killed() -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, wire_hold.PREFIX, "a:1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BenchHeld, match=rf"process {holder.pid} \(.*python"):
            hold_wire("a:1")
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate(timeout=60)
    hold_wire("a:1").close()


@pytest.mark.fault("F78")
def test_who_was_handed_the_handle_holds_the_wire_too(tmp_path: Path) -> None:
    """As a guardian is: over a socket, with the other locks."""
    lock = DataFolder(tmp_path).lock(KEYS)
    here, there = socket.socketpair()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", lock.handles))]
    here.sendmsg([b"x"], rights)
    _, handles, _, _ = socket.recv_fds(there, 1, 64)
    here.close()
    there.close()
    lock.release()
    with pytest.raises(BenchHeld):
        hold_wire(KEYS[0])
    for handle in handles:
        os.close(handle)
    hold_wire(KEYS[0]).close()


def test_no_wire_is_too_long_for_a_name() -> None:
    """A name in that space has 107 bytes (unix(7): sun_path of 108, the first a zero)."""
    assert len(wire_name("/dev/serial/by-id/" + "x" * 500)) <= 107
    assert wire_name("a:1") != wire_name("a:2")


def test_a_holder_that_cannot_be_seen_is_said_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(wire_hold, "_SOCKETS", str(tmp_path / "nothing"))
    with hold_wire("a:1"), pytest.raises(BenchHeld, match="may not look at"):
        hold_wire("a:1")
