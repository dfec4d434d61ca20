"""What a shell asks of a daemon in less usual cases: a latch, the plant's own certificate, another daemon in its place,
another account's folder, a demonstration's folder."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from bench.cli import main
from bench.cli.daemon_client import Daemon
from bench.latch import Latch, LatchedLimit, Latches
from bench.shipped import examples
from bench.web.accounts import Accounts
from bench.web.address import Address, address_of, keep_address
from drivers.errors import ConfigError
from tests.daemon.plant_authority import authority, leaf_of
from tests.daemon.test_command_line import LINE, PASSWORD, UP_S, Shell

scenario = pytest.mark.scenario
#: A daemon that ends and another that comes.
LONG = pytest.mark.skipif(not os.environ.get("CELLBENCH_ALL"), reason="long: whole in ./scripts/soak")


def latched(bench: str, *, low: float) -> Latch:
    """A latch that holds while the chamber's door input reads less than ``low``."""
    return Latch(
        bench=bench, run_id="0001-x", bundle="runs/0001-x", utc_s=1767600000.0, kind="interlock",
        rule="interlock.door_closed", device="io1", value=0.0, limit=0.5, safe=True, devices=("io1",),
        limits=(LatchedLimit(rule="interlock.door_closed", channel="io1.di2.on", low=low),),
    )  # fmt: skip


@scenario
async def test_a_trip_is_acknowledged_through_the_daemon_by_who_may_and_only_once_its_cause_is_gone(
    tmp_path: Path,
) -> None:
    shell = Shell(tmp_path / "data")
    await shell.user("Shen", "safety")
    await shell.user("lin", "operator")
    latches = Latches(shell.data)
    latches.put(latched("line", low=2.0))  # a closed door reads 1: its cause stays
    ack = ("ack", "--bench", str(LINE), "--password-stdin", "--note", "looked")
    async with shell.serving("--bench", str(LINE), "--simulate"):
        assert "LATCHED" in await shell.said("status")
        assert "interlock.door_closed" in await shell.said(*ack, "--by", "Shen", given=f"{PASSWORD}\n", code=3)
        (shell.data / "latches" / "line.json").unlink()
        latches.put(latched("line", low=0.5))
        assert "safety" in await shell.said(*ack, "--by", "lin", given=f"{PASSWORD}\n", code=2)
        assert "password" in await shell.said(*ack, "--by", "Shen", given="not the password\n", code=2)
        assert "--note" in await shell.said(*ack[:4], "--by", "Shen", given=f"{PASSWORD}\n", code=2)
        demo = str(examples() / "benches" / "demo.toml")
        other = ("ack", "--bench", demo, *ack[3:], "--by", "Shen")
        assert "another bench" in await shell.said(*other, given=f"{PASSWORD}\n", code=2)
        assert latches.of("line") is not None
        said = await shell.said(*ack, "--by", "Shen", "--json", given=f"{PASSWORD}\n")
        assert json.loads(said)["run_id"] == "0001-x"
        assert latches.of("line") is None
        assert "LATCHED" not in await shell.said("status")
    trail = [json.loads(line) for line in (shell.data / "audit.jsonl").read_text().splitlines()]
    done = [it for it in trail if (it["act"], it["outcome"]) == ("bench.unlatch", "done")]
    assert [(it["who"], it["why"], it["signature"]["meaning"]) for it in done] == [("Shen", "looked", "unlatch")]


@scenario
async def test_the_plants_own_certificate_is_trusted_and_no_other(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "data")
    plant = authority(tmp_path, "plant")
    ours = leaf_of(plant, tmp_path, "bench-2.plant")
    other = leaf_of(plant, tmp_path, "bench-3.plant")
    async with shell.serving(
        "--bench", str(LINE), "--simulate", "--tls-cert", str(ours.certificate), "--tls-key", str(ours.key)
    ):
        assert "idle" in await shell.said("status")
        address = address_of(shell.data)
        keep = Address(address.url, address.pid, other.certificate)
        with pytest.raises(Exception, match="does not answer"):
            await asyncio.to_thread(Daemon(keep, "").bench)


@scenario
@LONG
async def test_who_watches_hears_the_first_event_of_the_daemon_that_comes_next(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "data")
    await shell.user("lin", "operator")

    async def note(url: str, text: str) -> None:
        async with httpx.AsyncClient(base_url=f"{url}api/v1/") as asking:
            asked = {"name": "lin", "password": PASSWORD, "cookie": False}
            token = (await asking.post("login", json=asked)).json()["token"]
            me = {"Authorization": f"Bearer {token}"}
            assert (await asking.post("notes", json={"text": text}, headers=me)).status_code == 201

    async with shell.serving("--bench", str(LINE), "--simulate") as url:
        watching = await shell.spawn("watch", "--json")
        assert watching.stdout is not None
        heard: list[int] = []
        while len(heard) < 2:
            await note(url, "the first daemon")
            try:
                async with asyncio.timeout(1.0):
                    heard.append(json.loads(await watching.stdout.readline())["seq"])
            except TimeoutError:
                continue  # it is not in yet
        watching.send_signal(signal.SIGSTOP)
    async with shell.serving("--bench", str(LINE), "--simulate") as url:
        await note(url, "the next one")
        watching.send_signal(signal.SIGCONT)
        async with asyncio.timeout(UP_S):
            while True:
                event = json.loads(await watching.stdout.readline())
                if event["seq"] == 1 and event["kind"] == "note":
                    break
    watching.send_signal(signal.SIGINT)
    assert await watching.wait() == 0


def told(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return ended.value.code, " ".join(capsys.readouterr().err.split())


def test_another_accounts_users_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that root made there could not be read by the service any more."""
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    code, said = told(["user", "list", "--data", str(tmp_path)], capsys)
    assert code == 2
    assert "sudo -u" in said
    assert list(tmp_path.iterdir()) == []


def test_a_demonstrations_known_passwords_get_into_no_other_data_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    accounts = Accounts(data)
    code, said = told(["serve", "--demo", "--listen", "127.0.0.1:0", "--data", str(data)], capsys)
    assert code == 2
    assert "not a demonstration's" in said
    assert accounts.users() == ()
    accounts.close()


@pytest.mark.parametrize("mode", ["--simulate", "--live"])
def test_a_demonstrations_data_folder_serves_no_other_bench(
    mode: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.cli.serve.under_guardian", lambda *_, **__: None)
    (tmp_path / "demonstration").touch()
    code, said = told(["serve", "--bench", str(LINE), mode, "--listen", "127.0.0.1:0", "--data", str(tmp_path)], capsys)
    assert code == 2
    assert "everybody knows the passwords" in said


def test_a_daemon_that_was_killed_counts_as_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    child = os.spawnlp(os.P_NOWAIT, "true", "true")
    os.waitpid(child, 0)
    keep_address(tmp_path, "http://127.0.0.1:9/")
    kept = json.loads((tmp_path / "daemon.json").read_text())
    (tmp_path / "daemon.json").write_text(json.dumps({**kept, "pid": child}))
    (tmp_path / "console.token").write_text("word\n")
    code, said = told(["status", "--data", str(tmp_path)], capsys)
    assert code == 2
    assert "no daemon" in said


@contextmanager
def slow_to_abort(patience: threading.Event) -> Iterator[str]:
    """A daemon of paper that answers a stop of all when it is let."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            patience.wait(10.0)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"[]")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def test_a_stop_of_all_is_waited_for_however_long_the_runs_take_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.cli.daemon_client.PATIENCE_S", 0.1)
    patience = threading.Event()
    with slow_to_abort(patience) as url:
        threading.Timer(0.5, patience.set).start()
        daemon = Daemon(Address(url, os.getpid()), "")
        assert daemon.abort() == ()
        daemon.close()


def test_a_certificate_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nothing\n")
    with pytest.raises(ConfigError):
        Daemon(Address("https://127.0.0.1:9/", 1, tmp_path / "x.pem"), "")
