"""Which sequences there are, ours and those of third-party libraries, and where their text is.

A library is a package of ``*.yaml`` files registered under the entry point group ``cellbench.sequences``: the entry
point's name is the family (the part of an id before the slash), its value the package. The file of
``gbt31486-2024/room-capacity`` is ``gbt31486-2024.room-capacity.yaml``. A package of a distribution that was not
named is never imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from pathlib import Path

from drivers import ConfigError, Fault
from sequences.document import MAX_BYTES
from sequences.language import Sequence, SequenceClass, Standard, Text
from sequences.loader import parse
from sequences.names import nearest

GROUP = "cellbench.sequences"
OWN_DISTRIBUTION = "cellbench"
_ID = re.compile(r"[a-z0-9-]+/[a-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one sequence file, and how messages name it."""

    text: str
    where: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of ``cellbench sequences``."""

    id: str
    title: Text
    summary: Text
    standard: Standard | None
    class_: SequenceClass


@cache
def _registered() -> tuple[tuple[EntryPoint, str], ...]:
    """Each library's entry point and its distribution's name, which is read off a file each time it is asked for."""
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    return tuple((point, point.dist.name if point.dist else "") for point in points)


def _allowed(distributions: Collection[str]) -> tuple[EntryPoint, ...]:
    allowed = {*distributions, OWN_DISTRIBUTION}
    return tuple(point for point, distribution in _registered() if distribution in allowed)


def ids(distributions: Collection[str] = ()) -> tuple[str, ...]:
    """The ids of every sequence of the allowed libraries, ours and those of the distributions named."""
    found: set[str] = set()
    for point in _allowed(distributions):
        for item in files(point.value).iterdir():
            family, dot, rest = item.name.partition(".")
            if family == point.name and dot and rest.endswith(".yaml"):
                found.add(f"{family}/{rest.removesuffix('.yaml')}")
    return tuple(sorted(found))


def source(
    wanted: str | Path, *, distributions: Collection[str] = (), read: Callable[[Path], bytes] | None = None
) -> Source:
    """The text of a sequence by its id in the library or by the path of a file.

    ``read`` gives a file's bytes. Raises ConfigError for an unknown id, a file that cannot be read or is not UTF-8.
    """
    if isinstance(wanted, str) and _ID.fullmatch(wanted):
        return _library_source(wanted, distributions)
    path = Path(wanted)
    try:
        raw = (read or _read)(path)
    except OSError as refused:
        why = refused.strerror or type(refused).__name__
        fix = "give the path of a sequence file, or an id that `cellbench sequences` lists"
        raise ConfigError([Fault(f"cannot read the sequence: {why}", str(wanted), fix)]) from None
    return Source(_decoded(raw, str(wanted)), str(wanted))


def _library_source(wanted: str, distributions: Collection[str]) -> Source:
    family, _, name = wanted.partition("/")
    file = f"{family}.{name}.yaml"
    for point in _allowed(distributions):
        item = files(point.value) / file
        if point.name == family and item.is_file():
            return Source(_decoded(item.read_bytes(), file), file)
    known = ids(distributions)
    near = nearest(wanted, known)
    fix = f"did you mean {near}?" if near else f"known sequences: {', '.join(known)}; or give a path that ends in .yaml"
    raise ConfigError([Fault(f"there is no sequence {wanted!r} in the library", wanted, fix)])


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _decoded(raw: bytes, where: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        if len(raw) > MAX_BYTES:  # cut off in the middle of a character; its size is what is wrong
            return raw.decode("utf-8", errors="replace")
        raise ConfigError([Fault("not UTF-8 text", f"{where}:{line}:1", "save the file as UTF-8")]) from None


def source_text(wanted: str | Path, *, distributions: Collection[str] = ()) -> str:
    """The text of a sequence as it was written. Raises ConfigError as :func:`source` does."""
    return source(wanted, distributions=distributions).text


def load(
    wanted: str | Path, *, distributions: Collection[str] = (), read: Callable[[Path], bytes] | None = None
) -> Sequence:
    """A sequence by its id in the library ("gbt31486-2024/room-capacity") or by the path of a file.

    Raises ConfigError with every fault, each with file, line and hint.
    """
    if isinstance(wanted, str) and _ID.fullmatch(wanted):
        return _from_library(wanted, (), distributions)
    return parse_source(source(wanted, read=read), distributions=distributions)


def parse_source(found: Source, *, distributions: Collection[str] = ()) -> Sequence:
    """The sequence that a text holds; calls are looked up in the allowed libraries. Raises ConfigError."""
    return parse(found.text, found.where, lambda wanted, inside: _from_library(wanted, inside, distributions))


def _from_library(wanted: str, inside: tuple[str, ...], distributions: Collection[str]) -> Sequence:
    found = _library_source(wanted, distributions)

    def library(called: str, outer: tuple[str, ...]) -> Sequence:
        return _from_library(called, outer, distributions)

    sequence = parse(found.text, found.where, library, inside=inside)
    if sequence.id != wanted:
        error = f"the file {found.where} holds {sequence.id!r}, not {wanted!r}"
        raise ConfigError([Fault(error, found.where, f"write id: {wanted}, or rename the file")])
    return sequence


def catalogue(distributions: Collection[str] = ()) -> tuple[Entry, ...]:
    """Every sequence that may be run by its id. Raises ConfigError if a library's file is at fault."""
    loaded = (load(wanted, distributions=distributions) for wanted in ids(distributions))
    return tuple(Entry(item.id, item.title, item.summary, item.standard, item.class_) for item in loaded)
