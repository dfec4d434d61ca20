"""From a TOML text to one frozen model, or to every fault in it with file, line and fix."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from drivers import ConfigError, Fault
from drivers.toml_text import KeyPath, line_of, parse, read_text


class Strict(BaseModel):
    """Every table of a file: unknown keys, guessed types and non-finite numbers are refused; nothing changes later."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a model was read from."""

    path: str
    text: str = ""
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def where(self, *path: str | int) -> str:
        """``file:line`` of a key, or of the nearest table around it."""
        line = line_of(self.lines, path)
        return self.path if line is None else f"{self.path}:{line}"


class Document(Strict):
    """A whole file. ``origin`` is where it came from; a model made in memory has only a name there."""

    _origin: Origin = PrivateAttr(default=Origin("(made in memory)"))

    @property
    def origin(self) -> Origin:
        return self._origin

    def where(self, *path: str | int) -> str:
        return self._origin.where(*path)


D = TypeVar("D", bound=Document)


def load_document(
    path: Path, model: type[D], kind: str, version: int, *, context: Mapping[str, Any] | None = None
) -> D:
    """Read ``path`` as ``cellbench/<kind>/<version>``. Raises ConfigError with every fault that was found."""
    return read_document(read_text(path, f"{kind} file"), str(path), model, kind, version, context=context)


def read_document(
    text: str, where: str, model: type[D], kind: str, version: int, *, context: Mapping[str, Any] | None = None
) -> D:
    """As :func:`load_document`, from text."""
    document, lines = parse(text, where)
    origin = Origin(where, text, lines)
    check_schema(document.pop("schema", None), origin, kind, version)
    try:
        made = model.model_validate(document, context=dict(context or {}))
    except ValidationError as error:
        raise ConfigError(_faults(error, model, origin)) from None
    made._origin = origin  # noqa: SLF001 - the one place that fills it
    return made


def check_schema(written: object, origin: Origin, kind: str, version: int) -> None:
    """The file says what it is before anything else is believed. Raises ConfigError."""
    wanted = f'schema = "cellbench/{kind}/{version}"'
    if written is None:
        raise ConfigError([Fault("says no schema, so it cannot be read", origin.where(), f"begin it with {wanted}")])
    where = origin.where("schema")
    match = re.fullmatch(r"cellbench/([a-z]+)/([1-9][0-9]{0,5})", written) if isinstance(written, str) else None
    if match is None:
        raise ConfigError([Fault(f"schema {written!r} is not one of ours", where, f"begin the file with {wanted}")])
    if match[1] != kind:
        fix = f"give a {kind} file here, which begins with {wanted}"
        raise ConfigError([Fault(f"this is a {match[1]} file ({written}), wanted a {kind} file", where, fix)])
    if int(match[2]) > version:
        fix = f"install a newer cellbench, or write the file as {wanted}"
        newest = f"this version reads up to cellbench/{kind}/{version}"
        raise ConfigError([Fault(f"{written} is newer than this program: {newest}", where, fix)])


def _faults(error: ValidationError, model: type[BaseModel], origin: Origin) -> list[Fault]:
    found = [_fault(detail, model, origin) for detail in error.errors(include_url=False)]
    return sorted(found, key=lambda fault: _line_number(fault.where))


def _line_number(where: str) -> int:
    line = where.rpartition(":")[2]
    return int(line) if line.isdigit() else 0


def _fault(detail: ErrorDetails, model: type[BaseModel], origin: Origin) -> Fault:
    path: KeyPath = detail["loc"]
    where, name = origin.where(*path), ".".join(str(part) for part in path if part != "[key]")
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return Fault(f"unknown key `{name}`", where, _did_you_mean(str(path[-1]), _keys_at(model, path[:-1])))
    if kind == "missing":
        return Fault(f"`{name}` is missing", where, _add(model, path))
    if kind == "refused":
        return Fault(f"`{name}`: {context['error']}", where, str(context["fix"]))
    if kind == "literal_error":
        written = str(detail["input"])
        known = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        return Fault(f"`{name}`: {written!r} is none of {', '.join(known)}", where, _did_you_mean(written, known))
    message = detail["msg"][:1].lower() + detail["msg"][1:]
    return Fault(f"`{name}`: {message}, found {detail['input']!r}", where, _example(model, path))


def _did_you_mean(written: str, known: list[str]) -> str:
    close = difflib.get_close_matches(written, known, n=1, cutoff=0.6)
    listed = ", ".join(known)
    return f"did you mean `{close[0]}`? known here: {listed}" if close else f"known here: {listed}"


def _add(model: type[BaseModel], path: KeyPath) -> str:
    info = _field_at(model, path)
    example, table = _first_example(info), ".".join(str(part) for part in path[:-1])
    line = f"{path[-1]} = {example}" if example else f"`{path[-1]}`"
    return f"add {line}" + (f" to [{table}]" if table else "") + _note(info)


def _example(model: type[BaseModel], path: KeyPath) -> str:
    info = _field_at(model, path)
    example = _first_example(info)
    return f"write for example {path[-1]} = {example}{_note(info)}" if example else f"correct it{_note(info)}"


def _note(info: FieldInfo | None) -> str:
    return f" ({info.description})" if info is not None and info.description else ""


def _first_example(info: FieldInfo | None) -> str:
    return str(info.examples[0]) if info is not None and info.examples else ""


def _field_at(model: type[BaseModel], path: KeyPath) -> FieldInfo | None:
    owner = _model_at(model, path[:-1])
    return _by_key(owner).get(str(path[-1])) if owner is not None and path else None


def _keys_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    owner = _model_at(model, path)
    keys = list(_by_key(owner)) if owner is not None else []
    return ["schema", *keys] if not path else keys


def _by_key(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {info.alias or name: info for name, info in model.model_fields.items()}


def _model_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    """The model that a place in the file is read into."""
    here: Any = model
    for part in path:
        here = _bare(here)
        if isinstance(here, type) and issubclass(here, BaseModel):
            info = _by_key(here).get(str(part))
            here = info.annotation if info is not None else None
        elif get_origin(here) in (dict, tuple):
            here = get_args(here)[1 if get_origin(here) is dict else 0]
        else:
            return None
    here = _bare(here)
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None


def _bare(annotation: Any) -> Any:
    """An annotation without Annotated and without ``| None``."""
    while get_origin(annotation) in (Annotated, Union, UnionType) and get_origin(annotation) is not Literal:
        parts = [part for part in get_args(annotation) if part is not type(None)]
        annotation = parts[0]
    return annotation
