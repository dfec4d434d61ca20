"""``python -m bench.web.document``: the interface's OpenAPI document, as it is kept in docs/openapi.json."""

from __future__ import annotations

import json
import sys

from bench.web.app import document, routed


def text() -> str:
    return json.dumps(document(routed()), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
