"""Where the broker is and how we prove who we are: from the bench file, the environment and the password's file.

The password stays in one object whose text shows none, and goes to the MQTT library only.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.config.outbox_table import BrokerTable, broker_address
from drivers.errors import ConfigError, Fault

PASSWORD = "CELLBENCH_MQTT_PASSWORD"  # noqa: S105 - the variable's name
LONGEST_PASSWORD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Broker:
    """One broker as the MQTT library wants it."""

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{'mqtt' if self.tls is None else 'mqtts'}://{self.host}:{self.port}"


def broker_of(table: BrokerTable, environment: Mapping[str, str]) -> Broker:
    """Read the password and the certificates. Raises ConfigError with what is missing; never with a secret."""
    host, port, with_tls = broker_address(table.url)
    faults: list[Fault] = []
    password = environment.get(PASSWORD)
    if table.password_file is not None:
        try:
            data = Path(table.password_file).read_bytes()[:LONGEST_PASSWORD_BYTES]
            password = data.decode().split("\n", 1)[0].rstrip("\r")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            fix = "make it readable by this account, and by no other"
            faults.append(Fault(f"the broker's password cannot be read: {reason}", table.password_file, fix))
    if password is not None and table.user is None:
        fix = "add `user`, or take the password away"
        faults.append(Fault("a password for the broker is given, and no user", "[outbox.mqtt]", fix))
    tls = None
    if with_tls:
        tls = _tls(table, faults)
    elif table.ca or table.certificate or table.key:
        fix = 'write the url as "mqtts://..."'
        faults.append(Fault("certificates are given, and the broker is spoken to in the clear", table.url, fix))
    if faults:
        raise ConfigError(faults)
    return Broker(host, port, table.user, password if table.user is not None else None, tls)


def _tls(table: BrokerTable, faults: list[Fault]) -> ssl.SSLContext | None:
    if (table.certificate is None) != (table.key is None):
        fix = "give both `certificate` and `key`, or neither"
        faults.append(Fault("a certificate needs its key, and a key its certificate", "[outbox.mqtt]", fix))
        return None
    try:
        context = ssl.create_default_context(cafile=table.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if table.certificate is not None and table.key is not None:
            context.load_cert_chain(table.certificate, table.key, password="")  # asks nobody
    except (OSError, ValueError) as error:  # SSLError is an OSError
        fix = "give PEM files that are readable by this account, the key without a passphrase"
        faults.append(Fault(f"the certificates for the broker cannot be used: {error}", "[outbox.mqtt]", fix))
        return None
    return context
