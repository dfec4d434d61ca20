"""Versions of what a bundle is made of: an older form is migrated, a function a step; a newer one is refused by name.

A form that a newer program wrote may be looked at by nobody but that program: what an unknown key means cannot be
guessed. Nothing of it is written to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from drivers.errors import RecordError

Document = dict[str, Any]
Step = Callable[[Document], Document]

_NEWER_FIX = "use the version of this program that wrote it, or a newer one; nothing was changed"


class NewerSchema(RecordError):
    """A newer program wrote it. ``schema`` is what it says, ``known`` the newest that is known here."""

    def __init__(self, schema: str, known: str, where: str) -> None:
        self.schema, self.known = schema, known
        super().__init__(f"has schema {schema!r}; this program knows {known} at most", where, _NEWER_FIX)


def _unsigned(manifest: Document) -> Document:
    """manifest 1 to 2: who signs it, and which files of the record are suspect. Nobody signed 1."""
    return {**manifest, "schema": "cellbench/manifest/2", "signer": None, "suspect": []}


def _unsigned_amendment(amendment: Document) -> Document:
    """amendment 1 to 2: who signs it. Nobody signed 1."""
    return {**amendment, "schema": "cellbench/amendment/2", "signer": None}


#: Of each kind the steps to its newest version: from 1 to 2, from 2 to 3, ...
STEPS: Mapping[str, tuple[Step, ...]] = {
    "manifest": (_unsigned,),
    "amendment": (_unsigned_amendment,),
    "events": (),
    "readings": (),
}


def newest(kind: str) -> str:
    """The schema that is written now, such as ``cellbench/manifest/2``."""
    return f"cellbench/{kind}/{len(STEPS[kind]) + 1}"


def version_of(schema: object, kind: str) -> int | None:
    """The version in a schema of that kind; None if it is no such schema."""
    head, _, number = str(schema).rpartition("/")
    known = isinstance(schema, str) and head == f"cellbench/{kind}" and number.isascii() and number.isdecimal()
    return int(number) if known and not number.startswith("0") else None


def migrated(document: Mapping[str, Any], kind: str, where: str) -> Document:
    """The document in the newest form of its kind. Raises NewerSchema, or RecordError if it has no such schema."""
    version = version_of(document.get("schema"), kind)
    if version is None:
        said = f"has schema {document.get('schema')!r}, not cellbench/{kind}"
        raise RecordError(said, where, "run `cellbench verify` on the bundle; it names what was altered")
    steps = STEPS[kind]
    if version > len(steps) + 1:
        raise NewerSchema(str(document["schema"]), newest(kind), where)
    whole = dict(document)
    for step in steps[version - 1 :]:
        whole = step(whole)
    return whole
