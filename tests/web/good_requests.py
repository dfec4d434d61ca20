"""Every route that may change something, as the router lists them, and how each is asked so that it would be done."""

from __future__ import annotations

from typing import Any

import httpx

from bench.web.app import OPEN, ROOT, changing, routed
from tests.page.paper_desk import HASH, PLAIN
from tests.page.served import PASSWORD
from tests.web.strict_desk import ALARM, PROMPT, RUN

KEY = {"idempotency-key": "12345678"}
START = {"sequence": PLAIN, "channel": "ch2", "cell": "nmc-21700"}
SIGNED = {"note": "seen", "password": PASSWORD}
#: How each of them is asked so that it would be done.
GOOD: dict[tuple[str, str], Any] = {
    ("POST", "/check"): START,
    ("POST", "/runs"): {"request": START, "plan_hash": HASH},
    ("POST", "/runs/{run_id}/stop"): None,
    ("POST", "/abort"): None,
    ("POST", "/runs/{run_id}/pause"): None,
    ("POST", "/runs/{run_id}/resume"): None,
    ("POST", "/runs/{run_id}/close"): SIGNED,
    ("POST", "/prompts/{prompt_id}/answer"): {"yes": True, "password": PASSWORD},
    ("POST", "/runs/{run_id}/judgements"): {"question": "fire", "answer": True, "password": PASSWORD},
    ("POST", "/alarms/{alarm_id}/acknowledge"): None,
    ("POST", "/alarms/{alarm_id}/shelve"): {"for_s": 60.0, "why": "known"},
    ("POST", "/ack"): SIGNED,
    ("POST", "/notes"): {"text": "the chamber hums"},
    ("POST", "/logout"): None,
    ("POST", "/me/password"): {"old": PASSWORD, "new": "another right horse"},
    ("POST", "/users"): {"name": "zhao", "role": "viewer", "password": "another right horse"},
    ("PATCH", "/users/{name}"): {"disabled": True},
    ("POST", "/tokens"): {"label": "mes", "password": PASSWORD},
    ("DELETE", "/tokens/{token_id}"): None,
}
PLACES = {"run_id": RUN, "prompt_id": PROMPT, "alarm_id": ALARM, "name": "gast", "token_id": "none"}
STOPS = {("POST", "/abort"), ("POST", "/runs/{run_id}/stop")}
CHANGING = [(method, path.removeprefix(ROOT), role) for method, path, role in changing(routed()) if path not in OPEN]


def ask(client: httpx.Client, method: str, path: str, **headers: str) -> httpx.Response:
    body = GOOD[method, path]
    place = path.lstrip("/").format(**PLACES)
    return client.request(method, place, json=body, headers={**KEY, **headers})
