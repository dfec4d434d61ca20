"""Talks to the daemon of a data folder, over the interface that everybody uses, as the bench PC's own console or as a
person."""

from __future__ import annotations

import os
import secrets
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from bench.daemon.views import AlarmView, BenchView, EventView, RunView
from bench.web.address import Address, address_of, served
from bench.web.callers import CONSOLE_FILE
from drivers.errors import BenchError, ConfigError, Fault, PreflightRefused

API = "/api/v1"
#: A daemon on this PC answers sooner; a start may work out a plan meanwhile.
PATIENCE_S = 30.0
#: A stream says something at least so often, or it is dead.
SILENT_S = 60.0


class Daemon:
    """One daemon. Everything raises ConfigError (there is none, or what was asked for is wrong) or BenchError (it
    refused, or could not)."""

    def __init__(self, address: Address, token: str) -> None:
        self.address = address
        self._http = httpx.Client(
            base_url=address.url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            verify=_trusting(address.certificate),
            timeout=PATIENCE_S,
            trust_env=False,  # a proxy has nothing to do with this PC's own daemon
        )

    def close(self) -> None:
        self._http.close()

    def bench(self) -> BenchView:
        """The wall as it is now."""
        (bench,) = self._asked("GET", "/benches")
        return BenchView.model_validate(bench)

    def alarms(self) -> tuple[AlarmView, ...]:
        return tuple(map(AlarmView.model_validate, self._asked("GET", "/alarms")))

    def stop(self, run_id: str) -> RunView:
        return RunView.model_validate(self._post(f"/runs/{quote(run_id, safe='')}/stop"))

    def abort(self) -> tuple[RunView, ...]:
        """Every run is stopped; answered once all have ended."""
        patience = httpx.Timeout(PATIENCE_S, read=None)  # a run in its minute after a trip ends after that
        return tuple(map(RunView.model_validate, self._post("/abort", timeout=patience)))

    def unlatch(self, note: str, password: str) -> tuple[str, ...]:
        """Take the latches of trips away, signed with the password of who is logged in; gives their causes."""
        return tuple(map(str, self._post("/ack", {"note": note, "password": password})["acknowledged"]))

    def _post(self, path: str, body: Mapping[str, Any] | None = None, **more: Any) -> Any:
        """Every post has a key of its own: a daemon that hears it twice carries it out once."""
        key = {"Idempotency-Key": secrets.token_hex(16)}
        return self._asked("POST", path, json={} if body is None else dict(body), headers=key, **more)

    def log_in(self, name: str, password: str) -> None:
        """Go on as this person."""
        session = self._post("/login", {"name": name, "password": password, "cookie": False})
        self._http.headers["Authorization"] = f"Bearer {session['token']}"

    def log_out(self) -> None:
        self._post("/logout")

    def events(self, after: int | None) -> Iterator[EventView]:
        """Events as they come; those after ``after`` that the daemon still keeps come first. Ends when it does."""
        headers = {} if after is None else {"Last-Event-ID": str(after)}
        timeout = httpx.Timeout(PATIENCE_S, read=SILENT_S)
        try:
            with self._http.stream("GET", f"{API}/events", headers=headers, timeout=timeout) as response:
                if response.status_code != 200:
                    response.read()
                    raise _refused(response)
                yield from _numbered(response.iter_lines())
        except httpx.HTTPError:
            return

    def _asked(self, method: str, path: str, **more: Any) -> Any:
        try:
            response = self._http.request(method, f"{API}{path}", **more)
        except httpx.HTTPError as error:
            raise BenchError(f"it does not answer: {error}", self.address.url, _NO_ANSWER) from None
        if response.status_code >= 400:
            raise _refused(response)
        return response.json() if response.content else None


def _numbered(lines: Iterable[str]) -> Iterator[EventView]:
    """What happened, out of a stream of server-sent events: only that has a number; the wall comes without."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if line:
            fields[name] = value.removeprefix(" ")
        elif "id" in fields and "data" in fields:
            yield EventView.model_validate_json(fields["data"])
        if not line:
            fields = {}


_NO_ANSWER = "look whether the process still runs and what its log says; a stop that cannot wait is the E-stop"


@contextmanager
def daemon_of(data: Path, *, token: str | None = None) -> Iterator[Daemon]:
    """The daemon that serves a data folder, as whoever holds ``token``; without one as this PC's console, which may
    look, stop and abort. Raises ConfigError."""
    address = address_of(data)
    if not served(data):
        fix = "start one with `cellbench serve`; what it left is held until a person has looked"
        raise ConfigError([Fault("no daemon serves this data folder: the last one was killed", str(data), fix)])
    daemon = Daemon(address, token or os.environ.get("CELLBENCH_TOKEN") or _console(data))
    try:
        yield daemon
    finally:
        daemon.close()


def _console(data: Path) -> str:
    path = data / CONSOLE_FILE
    try:
        return path.read_text().strip()
    except OSError as error:
        fix = "run this as the account that keeps the bench, or put an API token into $CELLBENCH_TOKEN"
        raise ConfigError([Fault(f"it cannot be read: {error.strerror}", str(path), fix)]) from None


def _trusting(certificate: Path | None) -> ssl.SSLContext | bool:
    """The daemon's own certificate and no other: its address is of this PC, whatever name the certificate bears."""
    if certificate is None:
        return True
    try:
        own, end, _ = certificate.read_text(encoding="latin-1").partition("-----END CERTIFICATE-----")
        context = ssl.create_default_context(cadata=own + end)  # not the chain behind it, which vouches for others too
    except OSError as error:  # SSLError is one
        fix = "run this as an account that may read the daemon's certificate"
        raise ConfigError([Fault(f"it cannot be read: {error}", str(certificate), fix)]) from None
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _refused(response: httpx.Response) -> BenchError:
    where = response.request.url.path
    try:
        said = response.json()
        faults = [Fault(it["error"], it["where"], it["fix"]) for it in said.get("faults") or ()]
        detail, fix = str(said["detail"]), str(said["fix"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return BenchError(f"it answered {response.status_code}", where, "look at the daemon's log")
    if said.get("code") == "refused":
        refused = PreflightRefused(detail, where, fix)
        refused.faults = tuple(faults) or refused.faults
        return refused
    if response.status_code in (400, 401, 403, 404, 422):
        return ConfigError(faults or [Fault(detail, where, fix)])
    return BenchError(detail, where, fix)
