"""A broker behind TLS: only the one whose certificate our authority signed for its name is spoken to."""

from __future__ import annotations

import datetime as dt
import gc
import ipaddress
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench.config.outbox_table import BrokerTable
from bench.outbox import Outbox
from tests.outbox.desk import Wall, table
from tests.outbox.mosquitto import NEEDS_MOSQUITTO, Mosquitto, until

pytestmark = NEEDS_MOSQUITTO

TODAY = dt.datetime.now(dt.UTC)  # noqa: TID251 - the broker and the library look at this machine's clock


@dataclass(frozen=True)
class Identity:
    certificate: Path
    key: Path


def self_signed(folder: Path, name: str, *, ip: str = "127.0.0.1", ended: bool = False) -> Identity:
    """A certificate that vouches for itself, for an address."""
    key = ec.generate_private_key(ec.SECP256R1())
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    last = TODAY - dt.timedelta(days=1) if ended else TODAY + dt.timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(TODAY - dt.timedelta(days=2))
        .not_valid_after(last)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(ip))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    identity = Identity(folder / f"{name}.pem", folder / f"{name}.key")
    identity.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    identity.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return identity


def behind(folder: Path, identity: Identity) -> Mosquitto:
    return Mosquitto(folder, f"certfile {identity.certificate}", f"keyfile {identity.key}")


def box_of(folder: Path, port: int, wall: Wall, *, ca: Path | None) -> Outbox:
    mqtt = BrokerTable(url=f"mqtts://127.0.0.1:{port}", ca=None if ca is None else str(ca))
    made = Outbox.of(table(mqtt=mqtt), {}, folder / "data", bench="bench-2", clock=wall.clock(), tell=wall.told.append)
    assert made is not None
    return made


async def test_what_waits_goes_out_through_tls_to_the_broker_that_is_known(tmp_path: Path) -> None:
    wall, known = Wall(), self_signed(tmp_path, "known")
    broker = behind(tmp_path, known)
    await broker.start()
    try:
        async with box_of(tmp_path, broker.port, wall, ca=known.certificate) as box:
            for at in range(20):
                box.event("1", "tick", n=at)
            await until(lambda: box.status().counts["stored"] == 20 and box.status().waiting == 0)
            assert box.status().connected == {"json": True}
    finally:
        await broker.stop()


def open_files() -> int:
    """How many this process has, garbage apart."""
    gc.collect()
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


#: The MQTT library leaves the socket of a refused handshake to the garbage collector, which warns.
LEFT_TO_GARBAGE = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@LEFT_TO_GARBAGE
@pytest.mark.parametrize("wrong", ["another authority", "no authority", "another name", "ended"])
async def test_a_wrong_certificate_is_refused_in_words_and_nothing_is_said(tmp_path: Path, wrong: str) -> None:
    wall, files = Wall(), open_files()
    known = self_signed(tmp_path, "known")
    shown = {
        "another authority": lambda: self_signed(tmp_path, "other"),
        "no authority": lambda: known,
        "another name": lambda: self_signed(tmp_path, "elsewhere", ip="127.0.0.2"),
        "ended": lambda: self_signed(tmp_path, "ended", ended=True),
    }[wrong]()
    trusted = {"another authority": known.certificate, "no authority": None}.get(wrong, shown.certificate)
    broker = behind(tmp_path, shown)
    await broker.start()
    try:
        async with box_of(tmp_path, broker.port, wall, ca=trusted) as box:
            box.event("1", "tick", n=0)
            await until(lambda: bool(box.status().problems) and box.status().counts["stored"] == 1)
            problem = box.status().problems[0]
            assert box.status().connected == {"json": False}
            assert box.status().waiting == 1, "it stays on the disk"
    finally:
        await broker.stop()
    assert open_files() <= files, "nothing is left open"
    assert "certificate verify failed" in problem.lower()
    assert "json" not in broker.log.read_text(), "no client of ours came in"


@LEFT_TO_GARBAGE
async def test_a_broker_in_the_clear_is_not_spoken_to_where_tls_was_asked_for(tmp_path: Path) -> None:
    wall, broker = Wall(), Mosquitto(tmp_path)
    await broker.start()
    try:
        async with box_of(tmp_path, broker.port, wall, ca=self_signed(tmp_path, "known").certificate) as box:
            box.event("1", "tick", n=0)
            await until(lambda: bool(box.status().problems) and box.status().counts["stored"] == 1)
            assert box.status().connected == {"json": False}
            assert box.status().waiting == 1
    finally:
        await broker.stop()
        gc.collect()
