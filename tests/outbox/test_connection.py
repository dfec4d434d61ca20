"""The broker's moods: silent, refusing, without passwords. Nothing is left open, and no password is told."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from bench.config.outbox_table import BrokerTable
from bench.outbox import Outbox, broker_of
from bench.outbox.connection import FIRST_S, LONGEST_S, VARIED_BY, wait_s
from drivers import ConfigError
from tests.outbox.desk import Wall, outbox, table
from tests.outbox.mosquitto import NEEDS_MOSQUITTO, Mosquitto, mosquitto, until

SECRET = "correct horse"


def test_waits_double_from_a_fifth_of_a_second_to_ten_and_differ_between_benches() -> None:
    for attempt in range(1, 40):
        base_s = min(0.2 * 2 ** (attempt - 1), 10.0)
        waits = [wait_s(f"bench-{number}", attempt) for number in range(50)]
        assert all(FIRST_S <= wait <= LONGEST_S for wait in waits)
        assert all(base_s * (1 - VARIED_BY) <= wait <= base_s * (1 + VARIED_BY) or wait == FIRST_S for wait in waits)
        assert len(set(waits)) > 10


@pytest.mark.scenario
async def test_a_broker_that_says_nothing_holds_nobody_up(tmp_path: Path) -> None:
    """It accepts and is silent. The end waits for one attempt, and no socket or task is left (the fixture looks)."""
    hung: list[asyncio.StreamWriter] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hung.append(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        async with outbox(tmp_path, server.sockets[0].getsockname()[1], Wall()) as box:
            await until(lambda: bool(hung))
            box.event("1", "x")
            await until(lambda: box.status().counts["stored"] == 1)
            assert box.status().connected == {"json": False}
        for writer in hung:
            writer.close()


@NEEDS_MOSQUITTO
async def test_a_broker_that_lets_anybody_in_is_told(tmp_path: Path) -> None:
    wall = Wall()
    async with mosquitto(tmp_path) as broker, outbox(tmp_path / "data", broker.port, wall) as box:
        await until(lambda: box.status().connected["json"] and len(wall.told) >= 2)
    assert sum("lets anybody in" in line for line in wall.told) == 1


def with_user(tmp_path: Path, port: int, wall: Wall, secret: str) -> Outbox:
    file = tmp_path / "password"
    file.write_text(f"{secret}\n")
    mqtt = BrokerTable(url=f"mqtt://127.0.0.1:{port}", user="bench", password_file=str(file))
    made = Outbox.of(
        table(mqtt=mqtt), {}, tmp_path / "data", bench="bench-2", clock=wall.clock(), tell=wall.told.append
    )
    assert made is not None
    return made


def guarded(tmp_path: Path, *, anonymous: bool) -> Mosquitto:
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", passwords, "bench", SECRET], check=True, capture_output=True)
    return Mosquitto(tmp_path, f"password_file {passwords}", anonymous=anonymous)


@NEEDS_MOSQUITTO
@pytest.mark.parametrize("anonymous", [False, True])
async def test_a_password_is_used_and_the_door_is_tried(tmp_path: Path, *, anonymous: bool) -> None:
    wall, broker = Wall(), guarded(tmp_path, anonymous=anonymous)
    await broker.start()
    try:
        async with with_user(tmp_path, broker.port, wall, SECRET) as box:
            box.event("1", "x")
            await until(lambda: box.status().counts["stored"] == 1 and box.status().waiting == 0)
    finally:
        await broker.stop()
    assert any("lets anybody in" in line for line in wall.told) is anonymous


@NEEDS_MOSQUITTO
async def test_a_wrong_password_is_a_problem_in_words_without_the_password(tmp_path: Path) -> None:
    wall, broker = Wall(), guarded(tmp_path, anonymous=False)
    await broker.start()
    try:
        async with with_user(tmp_path, broker.port, wall, "not the horse") as box:
            await until(lambda: bool(box.status().problems))
            problem = box.status().problems[0]
    finally:
        await broker.stop()
    assert "authori" in problem.lower()
    assert "not the horse" not in problem + repr(wall.told) + repr(vars(box))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"user": "a", "password_file": "/nowhere"}, "password cannot be read"),
        ({"ca": "/nowhere"}, "in the clear"),
        ({"url": "mqtts://h", "ca": "/nowhere"}, "cannot be used"),
        ({"url": "mqtts://h", "certificate": "/c"}, "needs its key"),
    ],
)
def test_what_cannot_be_used_is_refused_before_the_first_connection(more: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        broker_of(BrokerTable(**{"url": "mqtt://h", **more}), {})


def test_a_password_in_the_environment_is_taken_and_not_shown() -> None:
    broker = broker_of(BrokerTable(url="mqtt://h", user="u"), {"CELLBENCH_MQTT_PASSWORD": SECRET})
    assert broker.password == SECRET
    assert SECRET not in f"{broker} {broker!r}"


@pytest.mark.parametrize(
    "url", ["mqtt://u:p@h", "tcp://h", "mqtt://", "mqtt://h:0", "mqtt://h:99999", "mqtt://h/x", "h:1883"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"address|more than"):
        BrokerTable(url=url)
