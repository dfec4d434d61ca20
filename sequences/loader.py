"""From the text of a sequence file to a frozen Sequence, or to every slip in it at once.

Each fault says file:line:column, what is wrong and what to write. The order is: the schema line; the text as strict
YAML; the shape of every part; then names, units, order and calls of the whole, also of a file whose other parts are
at fault.
"""

from __future__ import annotations

import re

from drivers import ConfigError, Fault
from sequences.check import Library, check
from sequences.check_values import Finding
from sequences.document import Data, Document, Mark, Path, read_document
from sequences.expressions import Symbols
from sequences.language import SCHEMA, Sequence
from sequences.names import nearest
from sequences.shape import read_shape
from sequences.tree import settled

_KIND, _NEWEST = SCHEMA.rsplit("/", 1)
_BEGIN = f"let the file begin with the line schema: {SCHEMA}"


def parse(text: str, where: str, library: Library, *, inside: tuple[str, ...] = ()) -> Sequence:
    """Read one sequence. ``where`` names the file in messages; ``library`` gives the sequences that it calls.

    Raises ConfigError with every fault, in the order of the file.
    """
    document = read_document(text)
    placed = [(slip.mark, slip.error, slip.fix) for slip in document.slips]
    if document.data is None:
        if not placed:
            placed.append((Mark(1, 1), "a sequence file is a mapping of keys, this one is not", _BEGIN))
        raise ConfigError(_faults(placed, where))
    wrong = _wrong_schema(document.data)
    if wrong is not None:
        at = document.mark(("schema",))
        newer = "newer" in wrong[0]
        raise ConfigError(_faults([(at, *wrong)] if newer else [(at, *wrong), *placed], where))
    if not document.whole:
        raise ConfigError(_faults(placed, where))
    shape = read_shape(document.data, spoiled=document.spoiled)
    findings = list(shape.findings)
    symbols: Symbols = {}
    if shape.sequence is not None:
        more, symbols = check(shape.sequence, library, inside=inside, unsure=shape.unsure)
        findings += more
    findings = [finding for finding in findings if not _within(finding.path, document.spoiled)]
    placed += [(_place(finding, document), finding.error, finding.fix) for finding in findings]
    if placed:
        raise ConfigError(_faults(placed, where))
    assert shape.sequence is not None, "a file without a sequence has a fault"
    return settled(shape.sequence, symbols)


def _within(path: Path, spoiled: set[Path]) -> bool:
    return any(path[:end] in spoiled for end in range(1, len(path) + 1))


def _faults(placed: list[tuple[Mark, str, str]], where: str) -> list[Fault]:
    ordered = sorted(placed, key=lambda item: (item[0].line, item[0].column))
    faults = [Fault(error, f"{where}:{mark.line}:{mark.column}", fix) for mark, error, fix in ordered]
    return list(dict.fromkeys(faults))


def _place(finding: Finding, document: Document) -> Mark:
    mark = document.mark(finding.path, key=finding.key)
    if finding.offset and mark.exact and not finding.key:
        return Mark(mark.line, mark.column + finding.offset)
    return mark


def _wrong_schema(data: dict[str, Data]) -> tuple[str, str] | None:
    """Why the file is not of the kind and age that can be read here, and what to do; None if it is."""
    schema = data.get("schema")
    if schema is None or not isinstance(schema, str):
        near = nearest("schema", data)
        hint = f"write schema instead of {near}; " if near and near != "schema" else ""
        return f"no schema line: the file begins with {next(iter(data), 'nothing')}", hint + _BEGIN
    if schema == SCHEMA:
        return None if next(iter(data)) == "schema" else ("the schema line is not the first one", _BEGIN)
    match = re.fullmatch(rf"{re.escape(_KIND)}/([0-9]{{1,9}})", schema)
    if match and int(match[1]) > int(_NEWEST):
        error = f"{schema} is newer than this Cellbench can read ({SCHEMA})"
        return error, "use a newer Cellbench, or write the file for this one"
    other = re.fullmatch(r"cellbench/([a-z-]+)/[0-9]+", schema)
    if other and other[1] != "sequence":
        return f"this is a {other[1]} file ({schema}), not a sequence", "give the path of a sequence file"
    return f"unknown schema {schema!r}", _BEGIN
