"""Cases of an operation, as schemathesis draws them from the document, asked of a server, and what came of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import hypothesis
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

from bench.web.app import document, routed

SEED = int(os.environ.get("CELLBENCH_SEED", "20261123"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(document(routed()))
OPERATIONS: list[Any] = [found.ok() for found in SCHEMA.get_all_operations()]  # type: ignore[union-attr] # ours is whole


def _cases(operation: Any) -> st.SearchStrategy[Any]:
    """Two in three as the document allows them; what takes nothing can be asked in no other way."""
    if not (operation.body or operation.query or operation.headers or operation.path_parameters):
        found: st.SearchStrategy[Any] = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        return found
    modes = st.sampled_from([GenerationMode.POSITIVE, GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
    return modes.flatmap(lambda mode: operation.as_strategy(generation_mode=mode))


def _filled(value: Any, known: Mapping[str, Any]) -> Any:
    """With what is known, and without what is refused of every text, control characters: most cases would end there."""
    if isinstance(value, dict):
        return {name: known[name] if name in known else _filled(each, known) for name, each in value.items()}
    return "".join(filter(str.isprintable, value)) if isinstance(value, str) else value


def _with_what_there_is(case: Any, known: Mapping[str, Any]) -> None:
    """The names and the password of this bench, so that a case comes behind the first refusal."""
    for part in (case.path_parameters, case.query):
        if isinstance(part, dict):
            part.update({name: value for name, value in known.items() if name in part})
    if isinstance(case.body, dict):
        case.body = _filled(case.body, known)


def ask_cases(
    operation: Any, link: str, secret: Callable[[], str], *, known: Mapping[str, Any], count: int
) -> Counter[int]:
    """How often each status came. ``secret`` gives a session, anew when one has ended. Half of the cases carry what is
    ``known``. Raises what schemathesis finds: a 5xx, or an answer that the document does not tell of."""
    secrets = [secret()]
    met: Counter[int] = Counter()

    @hypothesis.seed(SEED)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=_cases(operation), with_known=st.booleans())
    def ask(case: Any, with_known: bool) -> None:
        if with_known:
            _with_what_there_is(case, known)
        headers = {"authorization": f"Bearer {secrets[-1]}"}
        answer = case.call(base_url=link.rstrip("/"), headers=headers, timeout=60.0)
        if answer.status_code == 401 and operation.path != "/api/v1/login":  # it logged itself out
            secrets.append(secret())
        met[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    ask()
    assert met
    assert max(met) < 500
    return met
