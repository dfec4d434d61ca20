"""What systemd hears, on a real socket."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.guardian import unit as units
from bench.guardian.notify import Notifier
from bench.guardian.unit import own_s, safe_s, stop_s, unit, writable
from bench.safe_plan import FEEDBACK_DEADLINE_S, FEEDBACK_EXCHANGE_S, OTHER_DEADLINE_S, SWITCHES_DEADLINE_S

COMMAND = ("/bin/true", "run", "a sequence", "--live", 'say "5 %" $HOME')


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """The far end of $NOTIFY_SOCKET, in both of its forms."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        name = str(tmp_path / "notify") if request.param == "path" else f"@cellbench-{tmp_path.name}-{id(sock)}"
        sock.bind(name if request.param == "path" else "\0" + name[1:])
        sock.settimeout(1.0)
        yield sock, name


def test_it_says_ready_alive_and_stopping(manager: tuple[socket.socket, str]) -> None:
    sock, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    notifier.ready()
    notifier.alive()
    notifier.status("guards demo")
    notifier.stopping()
    assert [sock.recv(100) for _ in range(4)] == [b"READY=1", b"WATCHDOG=1", b"STATUS=guards demo", b"STOPPING=1"]


def test_a_manager_that_is_gone_or_does_not_listen_holds_nothing_up(tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).alive()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "full"))
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "full")})
        for _ in range(2000):  # more than a queue of datagrams holds
            notifier.alive()


def test_where_nobody_listens_nothing_is_said() -> None:
    Notifier({}).ready()


def test_the_unit_stops_no_safe_state_half_way() -> None:
    # The longest path: the contactor's feedback after its module, or a chamber; the feedback once more; the fire
    # detectors; the chambers again.
    feedback_s = 0.15 + SWITCHES_DEADLINE_S + FEEDBACK_DEADLINE_S + FEEDBACK_EXCHANGE_S
    looks_s = FEEDBACK_EXCHANGE_S + units.DETECTORS * 1.0
    assert safe_s() == max(feedback_s, OTHER_DEADLINE_S) + looks_s + OTHER_DEADLINE_S
    assert stop_s() > safe_s() + own_s()
    text = unit(COMMAND, folder="/var/lib/cellbench", state="/var/lib/cellbench/state")
    assert f"TimeoutStopSec={stop_s()}\n" in text
    for line in ("Type=notify", "KillMode=mixed", "NotifyAccess=main", "WatchdogSec=10", "Restart=no"):
        assert f"{line}\n" in text
    assert 'ExecStart=/bin/true run "a sequence" --live "say \\"5 %%\\" $$HOME"\n' in text
    assert "${" not in text


@pytest.mark.parametrize(
    ("command", "folder"), [((), "/x"), (("cellbench",), "/x"), (("/a",), "x"), (("/a", "b\nUser=root"), "/x")]
)
def test_what_no_unit_can_say_is_refused(command: tuple[str, ...], folder: str) -> None:
    with pytest.raises(ValueError, match="unit"):
        unit(command, folder=folder, state="/s")
    with pytest.raises(ValueError, match="unit"):
        unit(COMMAND, folder="/x", state="here")


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ((), ("/lib/b",)),
        (("--data", "runs"), ("/lib/b",)),
        (("--data", "/srv/data"), ("/lib/b", "/srv/data")),
        (("--data=/srv/data", "--out", "/srv/data/out"), ("/lib/b", "/srv/data")),
        (("--data", "../other", "--out=/srv/bee"), ("/lib/b", "/lib/other", "/srv/bee")),
        (("--bench", "/etc/b.toml", "--data"), ("/lib/b",)),
    ],
)
def test_what_the_command_writes_to_can_be_written(options: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    """ProtectSystem=strict makes all else read-only: a run whose data lie elsewhere could not keep its record."""
    command = ("/bin/cellbench", "run", *options)
    assert writable(command, folder="/lib/b", state="/lib/b/state") == wanted
    assert f"ReadWritePaths={' '.join(wanted)}\n" in unit(command, folder="/lib/b", state="/lib/b/state")


def test_the_register_of_benches_can_be_written_and_is_named() -> None:
    text = unit(COMMAND, folder="/lib/b", state="/srv/state of 50 %")
    assert 'ReadWritePaths=/lib/b "/srv/state of 50 %%"\n' in text
    assert 'Environment="CELLBENCH_STATE=/srv/state of 50 %%"\n' in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    path = tmp_path / "cellbench.service"

    def verified(text: str) -> tuple[int, str]:
        path.write_text(text)
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True, check=False, timeout=60
        )
        return done.returncode, done.stdout + done.stderr

    good = unit(COMMAND, folder=str(tmp_path), state=str(tmp_path / "a state"), user="root", restart="on-failure")
    assert verified(good) == (0, "")
    _, said = verified(good.replace("KillMode=mixed", "KillMode=mixedly"))
    assert "kill mode" in said.lower()  # it does look
