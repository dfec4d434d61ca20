"""A TOML file as data and as lines: what tomllib reads, and where each key stands, so that a fault can name its line.

tomllib keeps no positions. :func:`key_lines` walks a text that tomllib has already accepted and only has to find the
keys, so it leaves every judgement about syntax to tomllib.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drivers.errors import ConfigError, Fault

#: The way to a value: table names, keys, and positions in lists.
KeyPath = tuple[str | int, ...]

LARGEST_FILE = 1 << 20
_AT_LINE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def read_text(path: Path, kind: str) -> str:
    """The text of a ``kind`` ("bench file"). Raises ConfigError: missing, unreadable, too large, not UTF-8."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise ConfigError([Fault(f"the {kind} {reason}", str(path), f"give the path of a {kind}")]) from None
    if len(raw) > LARGEST_FILE:
        raise ConfigError([Fault(f"larger than {LARGEST_FILE} bytes", str(path), f"is this a {kind}?")])
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError([Fault("is not UTF-8 text", f"{path}:{line}", "save the file as UTF-8")]) from None


def parse(text: str, where: str) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """The document and the line of each key. Raises ConfigError with tomllib's own words and the line."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _AT_LINE.search(str(error))
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        words = _AT_LINE.sub("", str(error))
        fix = "correct the TOML there; text stands in double quotes, a table begins with [name]"
        if "overwrite" in words or "twice" in words:
            fix = "remove one of the two: a key or table may stand once"
        raise ConfigError([Fault(f"not valid TOML: {words}", f"{where}:{line}", fix)]) from None
    return document, key_lines(text)


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    """The line of a key, or of the nearest table around it; None if that is the file itself."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line (from 1) of every key and table of a valid TOML text."""
    return _Keys(text.replace("\r\n", "\n")).walk()


class _Keys:
    """One walk over the text. ``at`` is the next character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self.tables: Counter[KeyPath] = Counter()

    def walk(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self._skip():
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
        return self.lines

    def _skip(self) -> bool:
        """Pass white space, commas and comments; false at the end."""
        while self.at < len(self.text):
            here = self.text[self.at]
            if here == "#":
                self.at = self._find("\n", self.at)
            elif here in " \t\n,":
                self.at += 1
            else:
                return True
        return False

    def _find(self, mark: str, start: int) -> int:
        found = self.text.find(mark, start)
        return len(self.text) if found < 0 else found

    def _note(self, path: KeyPath) -> None:
        self.lines.setdefault(path, self.text.count("\n", 0, self.at) + 1)

    def _header(self) -> KeyPath:
        is_list = self.text.startswith("[[", self.at)
        start = self.at
        self.at += 2 if is_list else 1
        *parents, last = self._key()
        path: KeyPath = ()
        for part in parents:
            path += (part,)
            if self.tables[path]:
                path += (self.tables[path] - 1,)
        path += (last,)
        if is_list:
            self.tables[path] += 1
            path += (self.tables[path] - 1,)
        self.at, end = start, self.at
        for length in range(1, len(path) + 1):
            self._note(path[:length])
        self.at = end + (2 if is_list else 1)
        return path

    def _key(self) -> list[str]:
        """A dotted key; afterwards ``at`` is behind it and the spaces that follow."""
        parts: list[str] = []
        while True:
            self._spaces()
            if self.text[self.at] in "\"'":
                start = self.at
                self._string()
                parts.append(tomllib.loads(f"key = {self.text[start : self.at]}")["key"])
            else:
                bare = _BARE.match(self.text, self.at)
                if bare is None:
                    raise ValueError(f"no key at character {self.at}: the text is not valid TOML")
                parts.append(bare[0])
                self.at = bare.end()
            self._spaces()
            if self.at >= len(self.text) or self.text[self.at] != ".":
                return parts
            self.at += 1

    def _spaces(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1

    def _pair(self, table: KeyPath) -> None:
        start = self.at
        key = self._key()
        self.at, end = start, self.at
        for length in range(1, len(key) + 1):
            self._note(table + tuple(key[:length]))
        self.at = end + 1  # the "="
        self._spaces()
        self._value(table + tuple(key))

    def _value(self, path: KeyPath) -> None:
        here = self.text[self.at]
        if here in "\"'":
            self._string()
        elif here == "[":
            self.at += 1
            position = 0
            while self._skip() and self.text[self.at] != "]":
                self._note((*path, position))
                self._value((*path, position))
                position += 1
            self.at += 1
        elif here == "{":
            self.at += 1
            while self._skip() and self.text[self.at] != "}":
                self._pair(path)
            self.at += 1
        else:
            while self.at < len(self.text) and self.text[self.at] not in ",]}\n#":
                self.at += 1

    def _string(self) -> None:
        quote = self.text[self.at]
        if self.text.startswith(quote * 3, self.at):
            end = self._closing(quote * 3, self.at + 3) + 3
            while self.text.startswith(quote, end):  # up to two quotes may stand before the closing three
                end += 1
            self.at = end
        else:
            self.at = self._closing(quote, self.at + 1) + 1

    def _closing(self, mark: str, start: int) -> int:
        at = start
        while not self.text.startswith(mark, at) and at < len(self.text):
            at += 2 if self.text[at] == "\\" and mark[0] == '"' else 1
        return at
