"""From plain data to the frozen models, with pydantic's errors put into words.

When a part is at fault it is taken out and the rest read again, so that the check of the whole can still look at
everything else. The names that the part would have declared are kept, to go unquestioned.
"""

from __future__ import annotations

import copy
import types
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sequences.check_values import Finding
from sequences.document import Data
from sequences.expressions import ConditionError, ExpressionError, SlipError
from sequences.language import STEP_KINDS, Sequence
from sequences.names import JUDGEMENT, nearest
from sequences.tree import Path, stable_names

# What stands in for a part of the head that is at fault, so that the rest can be checked.
_STAND_IN: dict[str, Any] = {
    "id": "a/b",
    "title": {"en": "-", "zh": "-"},
    "summary": {"en": "-", "zh": "-"},
    "log": {"every": "10 s"},
    "schema": "cellbench/sequence/1",
}

# A name whose dimension nobody knows: it stands in for a value that is at fault.
_UNSURE = "unsure.value"


def _item_instead(list_name: str, index: int) -> Any:
    """What stands in for an item of a list, so that the others keep their places; None for an unknown list."""
    words = {"en": "-", "zh": "-"}
    source = {"standard": "-", "edition": "-", "grade": "ours"}
    judged = {"kind": "condition", "title": words, "value": _UNSURE, "at_least": _UNSURE, "source": source}
    return {
        "steps": {"rest": {"duration": _UNSURE}},
        "entries": {"name": f"unsure_{index}", "prompt": words, "text": "true"},
        "watch": {"name": f"unsure_{index}", "of": "ambient", "take": "min"},
        "criteria": {"id": f"unsure-{index}", **judged},
        "questions": {"name": f"unsure_{index}", "text": words, "definition": words, "source": source},
        "during": "unsure",
    }.get(list_name)


@dataclass(frozen=True, slots=True)
class Shape:
    """What could be read, what could not, and the names declared where it could not."""

    sequence: Sequence | None
    findings: list[Finding]
    unsure: set[str]


def read_shape(data: dict[str, Data], *, spoiled: Iterable[Path] = ()) -> Shape:
    """Read the models from plain data. ``spoiled`` paths have been complained of already. Raises nothing."""
    findings: list[Finding] = []
    known = set(spoiled)
    unsure = _declared_anywhere(data) if known else set()
    rest: Any = copy.deepcopy(data)
    for turn in range(8):
        try:
            return Shape(Sequence.model_validate(rest), findings, unsure)
        except ValidationError as refused:
            errors = refused.errors(include_url=False)
        if turn == 0:
            findings = [finding for error in _worth_telling(errors) for finding in _findings(error, errors, known)]
            unsure = _declared_anywhere(data)
        for error in sorted(errors, key=_order, reverse=True):
            _take_out(rest, error, first=turn == 0)
    return Shape(None, findings, unsure)


def _declared_anywhere(data: dict[str, Data]) -> set[str]:
    """Every name that the file declares, wherever it may stand, read from plain data; ids as ``step.<id>``."""
    found = {_UNSURE, "step.unsure"}

    def mapping(value: Data) -> Iterable[str]:
        return value if isinstance(value, dict) else ()

    def look(value: Data) -> None:
        if isinstance(value, list):
            for item in value:
                look(item)
        if not isinstance(value, dict):
            return
        found.update(f"result.{name}" for name in mapping(value.get("results", "")))
        found.update(f"param.{name}" for name in mapping(value.get("parameters", "")))
        name, step_id = value.get("name"), value.get("id")
        if isinstance(name, str):
            found.update((f"entry.{name}", f"watch.{name}", f"{JUDGEMENT}{name}"))
        if isinstance(step_id, str):
            found.add(f"step.{step_id}")
            found.update(f"result.{name}" for name in stable_names(step_id) if "stable" in value)
        for inner in value.values():
            look(inner)

    look(data)
    return found


# -- taking out what is at fault ---------------------------------------------------------------------------------


def _order(error: ErrorDetails) -> list[str]:
    return [f"{part:06d}" if isinstance(part, int) else part for part in error["loc"]]


def _take_out(data: Any, error: ErrorDetails, *, first: bool) -> None:
    """Remove or replace the part that the error is about; the first time gently, then the whole part around it."""
    path = tuple(part for part in error["loc"] if part != "[key]")
    around = _around(data, path)
    if around is None:
        return
    last = path[-1]
    if error["type"] == "extra_forbidden":
        value = around.pop(last, None)
        meant = nearest(str(last), _keys_at(path[:-1])) if first else None
        if meant is not None:
            around.setdefault(meant, value)
        return
    if len(path) == 1:
        around.pop(last, None)
        if last in _STAND_IN:
            around[last] = _STAND_IN[last]
        return
    cause = error.get("ctx", {}).get("error")
    if first and isinstance(cause, ConditionError):
        around[last] = f"{_UNSURE} > {_UNSURE}"
    elif first and (isinstance(cause, ExpressionError) or error["type"] == "missing"):
        around[last] = _UNSURE
    else:
        _drop(data, path)


def _around(data: Any, path: Path) -> Any:
    """The mapping or list that holds the end of the path, or None if there is no such thing."""
    for part in path[:-1]:
        if isinstance(data, dict) and isinstance(part, str):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return None
    return data if isinstance(data, dict | list) else None


def _drop(data: Any, path: Path) -> None:
    """Replace the innermost item of a list, or remove the named entry, that holds the path; else its top-level key."""
    for end in range(len(path), 1, -1):
        around, last = _around(data, path[:end]), path[end - 1]
        if isinstance(around, list) and isinstance(last, int) and last < len(around):
            instead = _item_instead(str(path[end - 2]), last)
            if instead is not None:
                around[last] = instead
                return
        if isinstance(around, dict) and path[end - 2] in ("results", "parameters"):
            around.pop(last, None)
            return
    data.pop(path[0], None)
    if path[0] in _STAND_IN:
        data[path[0]] = _STAND_IN[str(path[0])]


# -- pydantic's errors in words ------------------------------------------------------------------------------------


def _worth_telling(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without the missing keys that stand there misspelt."""
    meant = {
        (*error["loc"][:-1], nearest(str(error["loc"][-1]), _keys_at(error["loc"][:-1])))
        for error in errors
        if error["type"] == "extra_forbidden"
    }
    return [error for error in errors if error["type"] != "missing" or error["loc"] not in meant]


def _findings(error: ErrorDetails, errors: list[ErrorDetails], spoiled: set[Path]) -> list[Finding]:
    """What to say about one error; nothing about a place that has been complained of already."""
    path: Path = error["loc"]
    if any(path[:end] in spoiled for end in range(1, len(path) + 1)):
        return []
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, ConditionError):
        return [Finding((*path, *below), slip.error, slip.fix, slip.at) for below, slip in cause.slips]
    if isinstance(cause, ExpressionError):
        return [Finding(path, cause.error, cause.fix, cause.at)]
    if isinstance(cause, SlipError):
        return [Finding(path, cause.error, cause.fix)]
    name = str(path[-1])
    match error["type"]:
        case "missing":
            what = "the sequence" if len(path) == 1 else path[-2] if isinstance(path[-2], str) else "it"
            return [Finding(path[:-1], f"{name} is missing in {what}", f"add '{name}: ...'", key=True)]
        case "extra_forbidden":
            known = _keys_at(path[:-1])
            near = nearest(name, known)
            fix = f"did you mean {near}?" if near else f"known keys here: {', '.join(known)}"
            return [Finding(path, f"unknown key {name!r}", fix, key=True)]
        case "too_short" if any(
            len(other["loc"]) > len(path) and other["loc"][: len(path)] == path for other in errors
        ):
            return []
        case _:
            at_key = path[-1] == "[key]"
            said, fix = _in_words(error)
            return [Finding(path[:-1] if at_key else path, said, fix, key=at_key)]


def _in_words(error: ErrorDetails) -> tuple[str, str]:
    """One of pydantic's own errors, for a person who writes a file."""
    path, given, limits = error["loc"], error["input"], error.get("ctx", {})
    name = str(path[-1]) if path and path[-1] != "[key]" else "the name"
    if isinstance(path[-1], int) and len(path) > 1:
        name = f"an item of {path[-2]}"
    match error["type"]:
        case "literal_error" | "enum":
            expected = str(limits.get("expected", ""))
            known = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
            near = nearest(str(given), known)
            fix = f"did you mean {near}?" if near else f"write one of {', '.join(known)}"
            return f"{given!r} is not a {name} that is known", fix
        case "string_pattern_mismatch" if "/" in str(limits.get("pattern")):
            return f"{given!r} is not an id", "write family/name in small letters, digits and -, such as lab/ageing"
        case "string_pattern_mismatch":
            return f"{given!r} is not a name", "begin with a small letter; then small letters, digits and _"
        case "string_too_long":
            return f"{name} is longer than {limits.get('max_length')} characters", "shorten it"
        case "too_short":
            return f"{name} is empty", "list at least one"
        case "tuple_type":
            return f"{name} wants a list", "begin each item on a line of its own with '- '"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{name} wants a mapping of keys", f"indent its keys below '{name}:'"
        case "string_type":
            return f"{name} wants a text", "write a text, in quotes if it holds ': '"
        case "greater_than_equal":
            return f"{name} is {given}, wanted at least {limits.get('ge')}", f"write {limits.get('ge')} or more"
        case "less_than_equal":
            return f"{name} is {given}, wanted at most {limits.get('le')}", f"write {limits.get('le')} or less"
        case _:
            return f"{name}: {error['msg']}", "see docs/sequence-language.md"


def _keys_at(path: Path) -> list[str]:
    """The keys that a mapping at this path may have."""
    kinds: list[Any] = [Sequence]
    for part in path:
        kinds = [inner for kind in kinds for inner in _inner(kind, part)]
    models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    keys = [field.alias or name for model in models for name, field in model.model_fields.items() if name != "kind"]
    return list(dict.fromkeys(keys))


def _inner(kind: Any, part: str | int) -> list[Any]:
    """What stands below one type at one part of a path, unions and annotations opened."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if kind is STEP_KINDS.get(str(part)):
            return [kind]
        fields = [field for name, field in kind.model_fields.items() if part in (name, field.alias)]
        return [found for field in fields for found in _opened(field.annotation)]
    if get_origin(kind) is tuple and isinstance(part, int):
        return _opened(get_args(kind)[0])
    if get_origin(kind) is dict:
        return _opened(get_args(kind)[1])
    return []


def _opened(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _opened(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [found for part in get_args(annotation) for found in _opened(part)]
    return [annotation]
