"""SCPI as instruments read it: long and short mnemonics, optional nodes, numbers with units, an error queue."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable

#: Answers a query or carries out a command; None for a command without an answer.
Action = Callable[[str], str | None]

_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z]*)\s*\Z")
_ON = frozenset({"ON", "1"})
_OFF = frozenset({"OFF", "0"})

# Codes and texts of SCPI-99, 21.8. Which of them the maker uses is not public (UNVERIFIED).
UNDEFINED_HEADER = (-113, "Undefined header")
MISSING_PARAMETER = (-109, "Missing parameter")
DATA_TYPE_ERROR = (-104, "Data type error")
INVALID_WHILE_IN_LOCAL = (-201, "Invalid while in local")
SETTINGS_CONFLICT = (-221, "Settings conflict")
DATA_OUT_OF_RANGE = (-222, "Data out of range")
QUEUE_OVERFLOW = (-350, "Queue overflow")


class ScpiError(Exception):
    """A message that goes into the error queue and nowhere else."""

    def __init__(self, error: tuple[int, str]) -> None:
        super().__init__(error)
        self.error = error


class ErrorQueue:
    """First in, first out; when it is full the last entry becomes the overflow message (SCPI-99, 21.8.1)."""

    def __init__(self, room: int = 16) -> None:
        self._errors: deque[tuple[int, str]] = deque()
        self._room = room

    def add(self, error: tuple[int, str]) -> None:
        if len(self._errors) < self._room:
            self._errors.append(error)
        else:
            self._errors[-1] = QUEUE_OVERFLOW

    def next(self) -> str:
        """The oldest entry, taken off; ``0,"No error"`` if there is none."""
        code, text = self._errors.popleft() if self._errors else (0, "No error")
        return f'{code},"{text}"'

    def all(self) -> str:
        """Every entry, taken off."""
        return ",".join(self.next() for _ in range(max(len(self._errors), 1)))

    def clear(self) -> None:
        self._errors.clear()


def number(text: str, unit: str) -> float:
    """A decimal number that may carry ``unit``. Raises ScpiError."""
    if not text.strip():
        raise ScpiError(MISSING_PARAMETER)
    match = _NUMBER.match(text)
    if match is None or match[2].upper() not in ("", unit.upper()):
        raise ScpiError(DATA_TYPE_ERROR)
    return float(match[1])


def switch(text: str) -> bool:
    """ON, OFF, 1 or 0. Raises ScpiError."""
    word = text.strip().upper()
    if word in _ON:
        return True
    if word in _OFF:
        return False
    raise ScpiError(DATA_TYPE_ERROR if word else MISSING_PARAMETER)


class HeaderTree:
    """Finds the action behind a header such as ``SYSTem:LOCK:OWNer?``, spelt long or short, in any case.

    Entries are written as in manuals: capitals are the short form, brackets hold nodes that may be left out.
    """

    def __init__(self, actions: dict[str, Action]) -> None:
        self._actions: dict[str, Action] = {}
        for spelling, action in actions.items():
            for header in _spellings(spelling):
                self._actions[header] = action

    def find(self, message: str) -> tuple[Action, str]:
        """The action for one message and its parameter text. Raises ScpiError for an unknown header."""
        header, _, parameter = message.strip().partition(" ")
        action = self._actions.get(header.upper().removeprefix(":"))
        if action is None:
            raise ScpiError(UNDEFINED_HEADER)
        return action, parameter


def _spellings(spelling: str) -> list[str]:
    """Every accepted header: each node short or long, each bracketed node there or not."""
    query = "?" if spelling.endswith("?") else ""
    headers = [""]
    for node in re.findall(r"\[:?[^\]]+?:?\]|[^:\[\]?]+", spelling):
        optional = node.startswith("[")
        name = node.strip("[]:")
        short = "".join(letter for letter in name if not letter.islower())
        forms = {short.upper(), name.upper()}
        longer = [f"{header}:{form}" for header in headers for form in sorted(forms)]
        headers = headers + longer if optional else longer
    return [header.removeprefix(":") + query for header in headers]
