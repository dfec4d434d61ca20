"""Whatever the document allows, and what it does not: schemathesis asks, and the application never fails.

Each operation is asked so often, as an admin and as a viewer, with cases drawn by the seed that is printed
(CELLBENCH_SEED); under CELLBENCH_ALL, which ``scripts/soak`` sets, far more often. Once before a desk of paper, and
once before a whole daemon with its simulated bench and a run that goes on.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from bench.daemon.desk import Desk
from bench.daemon.serving import serve
from bench.web.accounts import Accounts
from bench.web.roles import Role
from bench.web.routes import records
from bench.web.settings import WebSettings
from drivers import real_elapsed_s, system_clock
from tests.daemon.houses import CELL, settings
from tests.page.paper_desk import HASH
from tests.page.served import PASSWORD, cheap_passwords, keep_people
from tests.web.asking import OPERATIONS, SEED, ask_cases
from tests.web.conftest import HOUR_S, House, house_of
from tests.web.here import web
from tests.web.strict_desk import ALARM, PROMPT, RUN
from tests.web.test_hostile_input import INJECTIONS, UNSEEN

pytestmark = [pytest.mark.scenario, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

CASES, CASES_OF_DAEMON = (400, 100) if os.environ.get("CELLBENCH_ALL") else (10, 4)
SOMEONE = "someone"
SIGNED = {"password": PASSWORD, "old": PASSWORD}
PAPER = {
    **SIGNED,
    "run_id": RUN,
    "prompt_id": PROMPT,
    "alarm_id": ALARM,
    "name": SOMEONE,
    "token_id": "none",
    "plan_hash": HASH,
}
#: Guesses of passwords are not slowed here, but for the test of that.
FREE = WebSettings(port=0, login_burst=10**9)


async def _report(*_: object) -> str:
    return "<!doctype html><title>report</title>"


def _someone(data: Path) -> None:
    with closing(Accounts(data)) as accounts:
        accounts.add(SOMEONE, Role.OPERATOR, "no hash", 0.0)


@pytest.fixture(scope="module")
def asked_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Reports are not made here, and every stream of events soon ends."""
    ended = threading.Event()
    with pytest.MonkeyPatch.context() as patch, house_of(tmp_path_factory.mktemp("asked"), FREE) as house:
        patch.setattr(records, "report_beside", _report)
        _someone(house.data)

        def cut() -> None:
            while not ended.wait(0.02):
                house.desk.cut()

        cutting = threading.Thread(target=cut, name="cut")
        cutting.start()
        yield house
        ended.set()
        cutting.join()


@pytest.mark.parametrize("role", [Role.ADMIN, Role.VIEWER])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: f"{operation.method} {operation.path}")
def test_no_case_makes_it_fail(asked_house: House, operation: Any, role: Role) -> None:
    print(f"CELLBENCH_SEED={SEED}")
    print(ask_cases(operation, asked_house.link, lambda: asked_house.secret(role), known=PAPER, count=CASES))


def _ask_hostile(client: httpx.Client, run: str, found: list[str]) -> None:
    """The corpora of questions and names, where a bench's own index, files and series answer."""
    of_run = {"channel": "1", "run_id": run}
    odd: tuple[dict[str, Any], ...] = ({"quantities": "voltage_v,nothing_at_all"}, {"begin_s": 1e12, "end_s": -1e12})
    for more in odd:
        answer = client.get("readings", params={**of_run, **more})
        found += [f"{answer.request.url}: {answer.text[:500]}"] if answer.status_code >= 500 else []
    for text in (*INJECTIONS, *UNSEEN, "%", "_%", '"', "*", "\\", "a" * 200, "../../etc/passwd", "NEAR(a b)"):
        asked = {"sequence": text[:120], "channel": text[:120], "cell": text[:120], "overrides": {text: text}}
        answers = [
            *(client.get(place, params={"search": text}) for place in ("runs", "samples", "audit")),
            client.get("runs", params={"before": text}),
            client.get("readings", params={"channel": text[:120]}),
            client.get(f"runs/{quote(text, safe='')}"),
            client.get(f"bundles/{quote(text, safe='')}"),
            client.post(f"alarms/{quote(text, safe='')}/acknowledge"),
            client.post(f"runs/{quote(text, safe='')}/stop"),
            client.post("check", json=asked),
            client.post("check", json={**asked, "sequence": "tests/cycle", "channel": "1", "cell": CELL}),
        ]
        found += [f"{answer.request.url}: {answer.text[:500]}" for answer in answers if answer.status_code >= 500]


def test_no_case_makes_a_whole_daemon_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an admin, but for the stream of events, which has no end. At its end the bench is safe and the daemon goes."""
    print(f"CELLBENCH_SEED={SEED}")
    keep_people(tmp_path)
    _someone(tmp_path)
    monkeypatch.setattr(records, "report_beside", _report)
    found: list[str] = []

    def secret() -> str:
        with closing(Accounts(tmp_path)) as accounts:
            utc_s = system_clock(real_elapsed_s).utc_s()
            return accounts.give("session", "root", label="", role=None, utc_s=utc_s, lasts_s=12 * HOUR_S)[0]

    def people(link: str, desk: Desk) -> None:
        headers = {"authorization": f"Bearer {secret()}"}
        with httpx.Client(base_url=f"{link}api/v1/", headers=headers, timeout=60.0, trust_env=False) as client:
            request = {"sequence": "tests/cycle", "channel": "1", "cell": CELL}
            approved = client.post("check", json=request).json()["plan_hash"]
            body = {"request": request, "plan_hash": approved}
            run = client.post("runs", json=body, headers={"idempotency-key": "the-first"}).json()["run_id"]
        known = {**SIGNED, "run_id": run, "name": SOMEONE, "channel": "1", **request, "plan_hash": approved}
        for operation in OPERATIONS:
            if not operation.path.endswith("/events"):
                try:
                    met = ask_cases(operation, link, secret, known=known, count=CASES_OF_DAEMON)
                    print(operation.method, operation.path, dict(met))
                except BaseException as error:  # noqa: BLE001 # a thread's failure is the test's
                    found.append(f"{operation.method} {operation.path}: {str(error)[:2000]}")
        with httpx.Client(base_url=f"{link}api/v1/", headers=headers, timeout=60.0, trust_env=False) as client:
            _ask_hostile(client, run, found)

    @contextmanager
    def beside(desk: Desk) -> Iterator[str]:
        with web(tmp_path, FREE, cheap_passwords())(desk) as link:

            def visit() -> None:
                try:
                    people(str(link), desk)
                except BaseException as error:  # noqa: BLE001 # as above
                    found.append(repr(error))
                finally:
                    os.kill(os.getpid(), signal.SIGTERM)

            visiting = threading.Thread(target=visit, name="people")
            visiting.start()
            yield str(link)
            visiting.join()

    serve(settings(tmp_path), beside=(beside,), speed=20.0)
    assert found == []
