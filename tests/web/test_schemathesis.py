"""Whatever the document allows, and what it does not: schemathesis asks, and the application never fails.

Each operation is asked so often, as an admin and as a viewer, with cases drawn by the seed that is printed
(CELLBENCH_SEED); under CELLBENCH_ALL, which ``scripts/soak`` sets, far more often. Half of the cases name the run, the
prompt, the alarm and the password that there are, so that they come behind the first refusal.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bench.web.accounts import Accounts
from bench.web.app import document, routed
from bench.web.roles import Role
from bench.web.routes import records
from bench.web.settings import WebSettings
from tests.page.paper_desk import HASH
from tests.page.served import PASSWORD
from tests.web.conftest import House, house_of
from tests.web.strict_desk import ALARM, PROMPT, RUN

pytestmark = [pytest.mark.scenario, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

SEED = int(os.environ.get("CELLBENCH_SEED", "20261123"))
CASES = 400 if os.environ.get("CELLBENCH_ALL") else 20
SOMEONE = "someone"
KNOWN = {"run_id": RUN, "prompt_id": PROMPT, "alarm_id": ALARM, "name": SOMEONE, "token_id": "none"}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(document(routed()))
OPERATIONS: list[Any] = [found.ok() for found in SCHEMA.get_all_operations()]  # type: ignore[union-attr] # ours is whole


@pytest.fixture(scope="module")
def asked_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Guesses of passwords are not slowed here, nor reports made, and every stream of events soon ends."""

    async def report(*_: object) -> str:
        return "<!doctype html><title>report</title>"

    free = WebSettings(port=0, login_burst=10**9)
    ended = threading.Event()
    with pytest.MonkeyPatch.context() as patch, house_of(tmp_path_factory.mktemp("asked"), free) as house:
        patch.setattr(records, "report_beside", report)

        with closing(Accounts(house.data)) as accounts:
            accounts.add(SOMEONE, Role.OPERATOR, "no hash", 0.0)

        def cut() -> None:
            while not ended.wait(0.02):
                house.desk.cut()

        cutting = threading.Thread(target=cut, name="cut")
        cutting.start()
        yield house
        ended.set()
        cutting.join()


def _with_what_there_is(case: Any) -> None:
    for name, value in KNOWN.items():
        if isinstance(case.path_parameters, dict) and name in case.path_parameters:
            case.path_parameters[name] = value
    if isinstance(case.body, dict):
        case.body = {name: _readable(value) for name, value in case.body.items()}
        for name, value in (("password", PASSWORD), ("old", PASSWORD), ("plan_hash", HASH)):
            if name in case.body:
                case.body[name] = value


def _readable(value: Any) -> Any:
    """Without what is refused of every text, control characters, or most cases would end there."""
    return "".join(filter(str.isprintable, value)) if isinstance(value, str) else value


@pytest.mark.parametrize("role", [Role.ADMIN, Role.VIEWER])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: f"{operation.method} {operation.path}")
def test_no_case_makes_it_fail(asked_house: House, operation: Any, role: Role) -> None:
    print(f"CELLBENCH_SEED={SEED}")
    secrets = [asked_house.secret(role)]
    modes = st.sampled_from([GenerationMode.POSITIVE, GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
    cases = modes.flatmap(lambda mode: operation.as_strategy(generation_mode=mode))
    # what has no negative case says so by an error of its own at the first draw
    if not (operation.body or operation.query or operation.headers or operation.path_parameters):
        cases = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    met: Counter[int] = Counter()

    @hypothesis.seed(SEED)
    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases, known=st.booleans())
    def ask(case: Any, known: bool) -> None:
        if known:
            _with_what_there_is(case)
        answer = case.call(
            base_url=asked_house.link.rstrip("/"), headers={"authorization": f"Bearer {secrets[-1]}"}, timeout=20.0
        )
        if answer.status_code == 401 and operation.path != "/api/v1/login":  # it logged itself out
            secrets.append(asked_house.secret(role))
        met[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    ask()
    print(f"{met}")
    assert met
    assert max(met) < 500
