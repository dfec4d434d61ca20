"""Who can reach a bench: this computer, or others by TLS and a log-in; and who can read what it keeps."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bench.web.accounts import Accounts
from bench.web.address import address_of
from bench.web.roles import Role
from bench.web.settings import WebSettings, check_reach, is_loopback
from drivers.errors import ConfigError, RecordError
from tests.page.served import PASSWORD, cheap_passwords, keep_people
from tests.web.conftest import House, house_of
from tests.web.here import web
from tests.web.strict_desk import StrictDesk

pytestmark = pytest.mark.scenario

SECRET_FILES = {"users.sqlite", "console.token", "daemon.json", "audit.jsonl"}


@pytest.fixture
def open_umask() -> Iterator[None]:
    """The account's own mask hides nothing here: what is closed was closed on purpose."""
    before = os.umask(0)
    yield
    os.umask(before)


def faults(settings: WebSettings, users: int) -> str:
    with pytest.raises(ConfigError) as refusal:
        check_reach(settings, users)
    return " | ".join(fault.error for fault in refusal.value.faults)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "bench.lab", "[::]"])
def test_others_reach_no_bench_without_tls_and_users(host: str, certified: tuple[Path, Path]) -> None:
    certificate, key = certified
    plain = WebSettings(host=host, port=0)
    assert "without TLS" in faults(plain, 1)
    assert "without TLS" in faults(plain, 0)
    assert "no users" in faults(plain, 0)
    with_tls = WebSettings(host=host, port=0, tls_certificate=certificate, tls_key=key)
    assert faults(with_tls, 0) == "other machines could reach this bench and it has no users"
    check_reach(with_tls, 1)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_this_computer_reaches_it_without(host: str) -> None:
    check_reach(WebSettings(host=host), 0)


@pytest.mark.parametrize("host", ["localhost.evil.example", "127.0.0.1.evil.example", "0", "", "2130706433", "0x7f.1"])
def test_what_only_looks_like_this_computer_is_another(host: str) -> None:
    assert not is_loopback(host)


def test_nothing_listens_where_it_is_refused(tmp_path: Path) -> None:
    keep_people(tmp_path)
    beside = web(tmp_path, WebSettings(host="0.0.0.0", port=0), cheap_passwords())
    with pytest.raises(ConfigError), beside(StrictDesk(data=tmp_path)):
        pytest.fail("it listened")
    with pytest.raises(ConfigError):
        address_of(tmp_path)


def test_who_is_disabled_counts_as_no_user(tmp_path: Path, certified: tuple[Path, Path]) -> None:
    accounts = Accounts(tmp_path)
    accounts.add("lin", Role.OPERATOR, "no hash", 0.0)
    accounts.change("lin", disabled=True)
    accounts.close()
    certificate, key = certified
    settings = WebSettings(host="192.0.2.7", port=0, tls_certificate=certificate, tls_key=key)
    with pytest.raises(ConfigError, match="no users"), web(tmp_path, settings)(StrictDesk(data=tmp_path)):
        pytest.fail("it listened")


@pytest.mark.parametrize("missing", ["certificate", "key", "wrong key", "no file", "no PEM"])
def test_a_certificate_that_cannot_be_used_is_refused_at_once(
    missing: str, certified: tuple[Path, Path], tmp_path: Path
) -> None:
    certificate, key = certified
    other = tmp_path / "other.key"
    made = ec.generate_private_key(ec.SECP256R1())
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    other.write_bytes(made.private_bytes(pem, form, serialization.NoEncryption()))
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    given: dict[str, tuple[Path | None, Path | None]] = {
        "certificate": (None, key),
        "key": (certificate, None),
        "wrong key": (certificate, other),
        "no file": (tmp_path / "none.pem", key),
        "no PEM": (text, key),
    }
    pair = given[missing]
    assert faults(WebSettings(tls_certificate=pair[0], tls_key=pair[1]), 1)


@pytest.fixture
def tls_house(tmp_path: Path, certified: tuple[Path, Path]) -> Iterator[House]:
    certificate, key = certified
    with house_of(tmp_path, WebSettings(port=0, tls_certificate=certificate, tls_key=key)) as house:
        yield house


def test_tls_works_with_its_own_certificate(tls_house: House, certified: tuple[Path, Path]) -> None:
    assert tls_house.link.startswith("https://")
    found = address_of(tls_house.data)
    assert found.certificate is not None
    trusting = ssl.create_default_context(cafile=str(found.certificate))
    client = tls_house.client(verify=trusting)
    answer = client.post("login", json={"name": "lin", "password": PASSWORD})
    assert answer.status_code == 200
    assert "secure" in answer.headers["set-cookie"].lower()
    assert answer.headers["strict-transport-security"]
    assert client.get("me").json()["name"] == "lin"
    with pytest.raises(httpx.ConnectError):
        tls_house.client(verify=ssl.create_default_context()).get("me")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of asking for what is old
def test_old_tls_and_no_tls_are_not_spoken(tls_house: House) -> None:
    with pytest.raises(httpx.TransportError), httpx.Client(trust_env=False, timeout=5.0) as plain:
        plain.get(tls_house.link.replace("https", "http"))
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx.ConnectError):
        tls_house.client(verify=old).get("me")


def test_what_is_kept_is_its_owner_s_alone(open_umask: None, tmp_path: Path) -> None:
    with house_of(tmp_path) as house:
        assert house.as_(Role.OPERATOR).post("notes", json={"text": "x"}).status_code == 201
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir() if path.is_file()}
        assert set(modes) >= SECRET_FILES
        assert {name for name, mode in modes.items() if mode != 0o600} == set()
        assert address_of(tmp_path).url == house.link
    with pytest.raises(ConfigError):
        address_of(tmp_path)


def test_a_store_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    keep_people(tmp_path)
    (tmp_path / "users.sqlite").chmod(0o644)
    with pytest.raises(RecordError, match="others may read"):
        Accounts(tmp_path)


@pytest.mark.parametrize("name", ["console.token", "daemon.json", "daemon.new"])
def test_a_link_that_was_laid_is_not_written_through(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("as before")
    data = tmp_path / "data"
    data.mkdir()
    (data / name).symlink_to(victim)
    with house_of(data) as house:
        assert house.client(house.console).get("me").json()["how"] == "console"
    assert victim.read_text() == "as before"


@pytest.mark.parametrize("name", ["users.sqlite", "audit.jsonl"])
def test_a_link_in_place_of_the_store_or_the_trail_is_refused(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.touch(0o600)
    data = tmp_path / "data"
    data.mkdir()
    (data / name).symlink_to(victim)
    if name == "users.sqlite":
        with pytest.raises(RecordError):
            Accounts(data)
    else:
        with house_of(data) as house:
            answer = house.as_(Role.OPERATOR).post("notes", json={"text": "x"})
            assert (answer.status_code, answer.json()["code"]) == (503, "audit")
    assert victim.read_bytes() == b""


def test_a_console_s_token_ends_with_its_daemon(tmp_path: Path) -> None:
    with house_of(tmp_path) as house:
        old = house.console
        assert house.client(old).post("abort").status_code == 200
    for kept in tmp_path.glob("users.sqlite*"):
        kept.unlink()
    with house_of(tmp_path) as house:
        assert house.console != old
        assert house.client(old).post("abort").status_code == 401


def test_figures_need_a_token_where_others_can_ask(tmp_path: Path) -> None:
    assert not WebSettings(host="192.0.2.7").metrics_are_open
    assert WebSettings().metrics_are_open
    with house_of(tmp_path, WebSettings(port=0, open_metrics=False)) as house:
        assert house.client().get(f"{house.link}metrics").status_code == 401
        assert b"cellbench_channels" in house.as_(Role.VIEWER).get(f"{house.link}metrics").content
        assert house.client().get(f"{house.link}healthz").json() == {"status": "ok"}
