"""JSON bodies as strangers send them: what is not plain, finite, shallow JSON is refused before anything reads it."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import orjson

#: No number of ours has more digits.
MOST_DIGITS = 32
#: Control characters but tab and line ends, and those that change the direction of writing.
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class BadJson(ValueError):
    """The text says what is wrong."""


def check_json(body: bytes, *, depth: int) -> None:
    """Raises BadJson: not UTF-8 or not JSON, NaN or infinity (also by overflow), a key twice, a number of more than
    32 digits, lone surrogates, control characters, or nested deeper than ``depth``. Linear in the length."""
    _check_depth(body, depth)
    try:
        _check_text(orjson.loads(body))  # strict about UTF-8, surrogates, NaN
        json.loads(
            body,
            object_pairs_hook=_once,
            parse_int=_int,
            parse_float=_float,
            parse_constant=_constant,
        )
    except BadJson:
        raise
    except (ValueError, RecursionError) as error:
        raise BadJson(f"it is not JSON: {str(error)[:120]}") from None


def _check_depth(body: bytes, most: int) -> None:
    """By counting brackets outside of strings, before anything recurses."""
    depth = 0
    inside = escaped = False
    for byte in body:
        if inside:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                inside = False
        elif byte == 0x22:
            inside = True
        elif byte in (0x5B, 0x7B):
            depth += 1
            if depth > most:
                raise BadJson(f"it is nested deeper than {most}")
        elif byte in (0x5D, 0x7D):
            depth -= 1


def _check_text(value: Any) -> None:
    """No character that a terminal obeys or that turns the text around it."""
    if isinstance(value, str):
        if found := _UNSEEN.search(value):
            raise BadJson(f"a text holds U+{ord(found.group()):04X}, which is no character to be read")
    elif isinstance(value, dict):
        for key, each in value.items():
            _check_text(key)
            _check_text(each)
    elif isinstance(value, list):
        for each in value:
            _check_text(each)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadJson("a key stands twice in one object")
    return found


def _int(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise BadJson(f"a number has more than {MOST_DIGITS} digits")
    return int(text)


def _float(text: str) -> float:
    if len(text) > MOST_DIGITS:
        raise BadJson(f"a number has more than {MOST_DIGITS} digits")
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise BadJson("a number is too large")
    return value


def _constant(text: str) -> NoReturn:
    raise BadJson(f"{text} is no number")
