"""How the interface is served: where, to whom, and within what bounds."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from drivers.errors import ConfigError, Fault

DEFAULT_PORT = 8686
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class WebSettings(BaseModel):
    """Everything that ``cellbench serve`` may be told about the wire. Bounds keep strangers from filling the PC."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    host: str = "127.0.0.1"
    port: int = Field(default=DEFAULT_PORT, ge=0, le=65535)
    #: The names by which a browser may call this PC, beside the address that it listens on.
    names: tuple[str, ...] = ()
    #: Pages of other origins that may change something, such as ``https://mes.example:8443``. None by default.
    origins: tuple[str, ...] = ()
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    #: Whether ``/metrics`` needs no login. By default only where nobody but this PC can ask.
    open_metrics: bool | None = None

    session_s: float = Field(default=12 * 3600.0, gt=0, le=7 * 86400, description="a session ends after so long")
    idle_s: float = Field(default=1800.0, gt=0, description="one that changed nothing so long looks and stops, no more")
    body_bytes: int = Field(default=1 << 20, gt=0)
    body_s: float = Field(default=10.0, gt=0)
    json_depth: int = Field(default=32, gt=0)

    login_burst: int = Field(default=10, gt=0, description="wrong passwords of one address before it has to wait")
    login_every_s: float = Field(default=6.0, gt=0, description="then one more attempt in so many seconds")

    streams: int = Field(default=256, gt=0, description="event streams in all")
    streams_each: int = Field(default=64, gt=0, description="event streams of one person; the oldest gives way")
    stream_events: int = Field(default=256, gt=0, description="events that wait for one slow reader")
    stream_stalled_s: float = Field(default=10.0, gt=0, description="a reader that takes nothing so long is cut off")
    kept_events: int = Field(default=4096, gt=0, description="events kept for readers that come back")

    connections: int = Field(default=800, gt=0, description="open connections; the idlest gives way")
    head_s: float = Field(default=10.0, gt=0, description="a connection that asks nothing so long is closed")

    @property
    def on_loopback(self) -> bool:
        return is_loopback(self.host)

    @property
    def with_tls(self) -> bool:
        return self.tls_certificate is not None

    @property
    def metrics_are_open(self) -> bool:
        return self.on_loopback if self.open_metrics is None else self.open_metrics


def is_loopback(host: str) -> bool:
    """Whether only this PC can reach that address. A name counts only if it is ``localhost``."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def check_reach(settings: WebSettings, users: int) -> None:
    """Refuse to be reached from other machines without TLS and users. Raises ConfigError with all that is missing."""
    faults: list[Fault] = []
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        fix = "give both --tls-cert and --tls-key, or neither"
        faults.append(Fault("a certificate needs its key, and a key its certificate", "TLS", fix))
    elif settings.tls_certificate is not None and settings.tls_key is not None:
        faults += _unusable(settings.tls_certificate, settings.tls_key)
    if not settings.on_loopback:
        where = f"--listen {settings.host}:{settings.port}"
        if not settings.with_tls:
            fix = "give --tls-cert and --tls-key, or listen on 127.0.0.1"
            faults.append(Fault("other machines could reach this bench without TLS", where, fix))
        if not users:
            fix = "first `cellbench user add NAME --role admin`"
            faults.append(Fault("other machines could reach this bench and it has no users", where, fix))
    if faults:
        raise ConfigError(faults)


def _unusable(certificate: Path, key: Path) -> list[Fault]:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")  # asks nobody
    except (OSError, ValueError) as error:  # SSLError is an OSError
        fix = "give a PEM certificate (with its chain) and its unencrypted PEM key, both readable by this account"
        return [Fault(f"it cannot be used: {error}", f"{certificate} with {key}", fix)]
    return []
