"""A strict subset of YAML, read event by event: mappings, lists and text, each with its place in the file.

Nothing is guessed from how a scalar looks, so ``4.20`` stays "4.20"; a plain scalar that YAML 1.1 and 1.2 read
differently (``no``, ``010``, ``1:30``, ``1e3``) is refused instead. Anchors, aliases, tags, merge keys, duplicate
keys and more than one document are refused. The walk stops at the limits below, so a small file cannot stand for a
large one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

Path = tuple[str | int, ...]
Data = str | list["Data"] | dict[str, "Data"]

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
MAX_NODES = 20_000

#: Plain scalars that one YAML reader takes for text and another for something else.
_AMBIGUOUS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?i:y|n|yes|no|on|off)|TRUE|FALSE|True|False"), "some readers take it for true or false"),
    (re.compile(r"~|(?i:null)"), "it stands for nothing"),
    (re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9]*)?"), "some readers take it for a number in base 60"),
    (re.compile(r"[-+]?0[0-9_]+(\.[0-9]*)?|[-+]?0o?[0-7_]+"), "some readers take it for an octal number"),
    (re.compile(r"[-+]?0[xXbB][0-9a-fA-F_]+"), "it is not a decimal number"),
    (re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?"), "some readers take it for a number"),
    (re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+"), "some readers take it for text, some for a number"),
    (re.compile(r"[-+]?\.?(?i:inf|nan|infinity)"), "it is not a finite number"),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t]+[0-9]{1,2}:.*)?"), "some readers take it for a date"),
    (re.compile(r"="), "some readers give it a meaning of its own"),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file, line and column from 1. ``exact`` if a character of the scalar can be counted from it."""

    line: int
    column: int
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Slip:
    """Something wrong with the file, found before anything was understood of it."""

    mark: Mark
    error: str
    fix: str


@dataclass(slots=True)
class Document:
    """What a text holds.

    ``data`` is None if the root is not a mapping; ``whole`` if all of the text was read; ``spoiled`` are the paths
    that a slip is already told of.
    """

    data: dict[str, Data] | None = None
    values: dict[Path, Mark] = field(default_factory=dict)
    keys: dict[Path, Mark] = field(default_factory=dict)
    slips: list[Slip] = field(default_factory=list)
    spoiled: set[Path] = field(default_factory=set)
    whole: bool = False

    def mark(self, path: Path, *, key: bool = False) -> Mark:
        """Where a path stands: of its key if asked, of its value else, of the nearest thing above it if neither is."""
        while True:
            found = (self.keys.get(path) if key else None) or self.values.get(path) or self.keys.get(path)
            if found is not None:
                return found
            if not path:
                return Mark(1, 1)
            path = path[:-1]


class _LimitError(Exception):
    """The walk ends here."""


def read_document(text: str, *, plain: bool = False) -> Document:
    """Read a whole text; every slip is in the document's ``slips``. Raises nothing.

    ``plain`` takes every scalar as the text that it is, also those that YAML readers differ about: where each answer is
    text, ``no`` can be nothing else.
    """
    document = Document()
    size = len(text.encode(errors="surrogatepass"))
    if size > MAX_BYTES:
        document.slips.append(Slip(Mark(1, 1), f"{size} bytes, at most {MAX_BYTES}", "split the file into several"))
        return document
    try:
        _Reader(document, text, plain=plain).read()
        document.whole = True
    except _LimitError:
        pass
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        mark = Mark(at.line + 1, at.column + 1) if at else Mark(1, 1)
        said = error.problem or error.context or "not YAML"
        document.slips.append(Slip(mark, f"not readable as YAML: {said}", _yaml_fix(said)))
    except yaml.YAMLError as error:
        before = text.encode(errors="surrogatepass")[: getattr(error, "position", None) or 0]
        mark = Mark(before.count(b"\n") + 1, len(before.rpartition(b"\n")[2].decode(errors="ignore")) + 1)
        reason = (str(error).splitlines() or ["no reason given"])[0]
        document.slips.append(Slip(mark, f"not readable as YAML: {reason}", "save it as plain UTF-8 text"))
    except UnicodeError:
        document.slips.append(Slip(Mark(1, 1), "half a character (a lone surrogate)", "save it as plain UTF-8 text"))
    return document


def _yaml_fix(said: str) -> str:
    if "mapping values are not allowed" in said:
        return "put a text that holds ': ' in quotes, or check the indentation"
    if "tab" in said or "cannot start any token" in said:
        return "indent with spaces; put a text that begins with a sign in quotes"
    return "check indentation, quotes and brackets just before this place"


class _Reader:
    def __init__(self, document: Document, text: str, *, plain: bool) -> None:
        self._document = document
        self._plain = plain
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.CSafeLoader)
        self._nodes = 0

    def read(self) -> None:
        document = self._document
        for event in self._events:
            if isinstance(event, yaml.StreamStartEvent | yaml.DocumentEndEvent):
                continue
            if isinstance(event, yaml.StreamEndEvent):
                break
            if isinstance(event, yaml.DocumentStartEvent):
                if event.version or event.tags:
                    self._slip(event, "a %YAML or %TAG directive", "remove it")
                if document.values:
                    self._slip(event, "a second document in the file", "one sequence a file; remove the line ---")
                    raise _LimitError
                continue
            root: dict[str, Data] | None = {} if isinstance(event, yaml.MappingStartEvent) else None
            document.data = root
            self._value(event, (), 1, root)
        if not document.values:
            document.slips.append(Slip(Mark(1, 1), "the file is empty", "begin with schema: ..."))

    def _slip(self, event: yaml.Event, error: str, fix: str, path: Path | None = None) -> None:
        self._document.slips.append(Slip(_mark(event), error, fix))
        if path is not None:
            self._document.spoiled.add(path)

    def _value(self, event: yaml.Event, path: Path, depth: int, into: dict[str, Data] | None = None) -> Data:
        """Build what begins with ``event``. ``into`` lets the root be seen even if the walk breaks off."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._slip(event, f"more than {MAX_NODES} values", "split the file into several")
            raise _LimitError
        self._document.values.setdefault(path, _mark(event))
        self._plain_node(event, path)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if isinstance(event, yaml.AliasEvent):
            return ""
        if depth > MAX_DEPTH:
            self._slip(event, f"nested deeper than {MAX_DEPTH}", "move the inner steps to a sequence and call it")
            raise _LimitError
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path, depth, {} if into is None else into)
        listed: list[Data] = []
        for item in self._events:
            if isinstance(item, yaml.SequenceEndEvent):
                break
            listed.append(self._value(item, (*path, len(listed)), depth + 1))
        return listed

    def _plain_node(self, event: yaml.Event, path: Path) -> None:
        """Refuse what makes a node more than what is written at its place."""
        anchor = getattr(event, "anchor", None)
        if isinstance(event, yaml.AliasEvent):
            self._slip(event, f"an alias (*{anchor})", "write the value out, or use parameters or call", path)
            return
        if anchor is not None:
            self._slip(event, f"an anchor (&{anchor})", "remove it; a sequence has no references", path)
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._slip(event, f"a tag ({tag})", "remove it; the field says what its value is", path)

    def _mapping(self, path: Path, depth: int, found: dict[str, Data]) -> Data:
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if not isinstance(event, yaml.ScalarEvent):
                self._slip(event, "a key that is not a word", "write a plain word before the colon")
                self._value(event, (*path, "?"), depth + 1)
                self._value(next(self._events), (*path, "?"), depth + 1)
                continue
            self._nodes += 1
            key = event.value
            here = (*path, key)
            self._plain_node(event, here)
            if key == "<<":
                self._slip(event, "a merge key (<<)", "write the settings out", here)
            elif key in found:
                first = self._document.keys[here].line
                self._slip(event, f"duplicate key {key!r}, first on line {first}", "keep one of them")
                self._value(next(self._events), (*path, f"{key} (again)"), depth + 1)
                continue
            else:
                self._ambiguous(event, here)
            self._document.keys[here] = _mark(event)
            found[key] = ""
            found[key] = self._value(next(self._events), here, depth + 1)
        return found

    def _scalar(self, event: yaml.ScalarEvent, path: Path) -> str:
        value = event.value
        if not event.style:
            if value == "":
                named = f"{path[-1]} has no value" if path and isinstance(path[-1], str) else "an empty value"
                self._slip(event, named, "give it one, or remove the line", path)
            self._ambiguous(event, path)
        return str(value)

    def _ambiguous(self, event: yaml.ScalarEvent, path: Path) -> None:
        if event.style or not event.value or self._plain:
            return
        for pattern, why in _AMBIGUOUS:
            if pattern.fullmatch(event.value):
                self._slip(
                    event, f"{event.value}: {why}", f'write it plainly, or in quotes as a text: "{event.value}"', path
                )
                return


def _mark(event: yaml.Event) -> Mark:
    at, end = event.start_mark, event.end_mark
    if at is None or end is None:
        return Mark(1, 1)
    plain = isinstance(event, yaml.ScalarEvent) and not event.style and end.line == at.line
    return Mark(at.line + 1, at.column + 1, exact=plain)
