"""The real server on a port of its own, and a client for each role."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.web.accounts import Accounts
from bench.web.callers import CONSOLE_FILE
from bench.web.roles import Role
from bench.web.settings import WebSettings
from drivers import real_elapsed_s, system_clock
from tests.page.served import PEOPLE, served
from tests.web.certificates import certificate_in
from tests.web.strict_desk import StrictDesk

NAMES = {role: name for name, role in PEOPLE.items()}
HOUR_S = 3600.0


class House:
    """A served bench of paper. ``keep`` closes its clients."""

    def __init__(self, desk: StrictDesk, data: Path, link: str, keep: ExitStack) -> None:
        self.desk = desk
        self.data = data
        self.link = link
        self._keep = keep

    @property
    def port(self) -> int:
        return httpx.URL(self.link).port or 0

    def client(
        self, secret: str | None = None, *, cookie: str | None = None, verify: ssl.SSLContext | bool = False
    ) -> httpx.Client:
        """``verify`` False where there is nothing to verify: the machine's own authorities take long to load."""
        headers = {"authorization": f"Bearer {secret}"} if secret else {}
        cookies = {"cellbench_session": cookie} if cookie else None
        # the machine's own proxies are none of this bench's
        client = httpx.Client(
            base_url=f"{self.link}api/v1/",
            headers=headers,
            cookies=cookies,
            timeout=20.0,
            trust_env=False,
            verify=verify,
        )
        return self._keep.enter_context(client)

    def secret(self, who: Role | str, *, since_s: float = 0.0, lasts_s: float = 12 * HOUR_S) -> str:
        """A session of somebody, given so long ago, without a log-in."""
        name = NAMES[who] if isinstance(who, Role) else who
        utc_s = system_clock(real_elapsed_s).utc_s() - since_s
        with closing(Accounts(self.data)) as accounts:
            secret, _ = accounts.give("session", name, label="test", role=None, utc_s=utc_s, lasts_s=lasts_s)
        return secret

    def as_(self, who: Role | str) -> httpx.Client:
        return self.client(self.secret(who))

    @property
    def console(self) -> str:
        return (self.data / CONSOLE_FILE).read_text().strip()

    def audited(self, act: str) -> list[dict[str, Any]]:
        """The records of an act, the oldest first, as an engineer reads them."""
        found = self.as_(Role.ENGINEER).get("audit", params={"search": act, "limit": 500}).json()
        return [record for record in reversed(found["records"]) if record["act"] == act]


@contextmanager
def house_of(data: Path, settings: WebSettings | None = None) -> Iterator[House]:
    desk = StrictDesk(data=data)
    with served(desk, data, settings) as link, ExitStack() as keep:
        yield House(desk, data, link, keep)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with house_of(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def one_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """For tests that change nothing that another one looks at."""
    with house_of(tmp_path_factory.mktemp("house")) as found:
        yield found


@pytest.fixture(scope="session")
def certified(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for this computer by itself, and its key."""
    return certificate_in(tmp_path_factory.mktemp("tls"))
