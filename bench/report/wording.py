"""The words of printed pages, from one JSON catalogue a language: bench/report/words/LANGUAGE.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files as package_files
from typing import Literal, get_args

from drivers.errors import ConfigError, Fault

Language = Literal["en", "zh"]
LANGUAGES: tuple[str, ...] = get_args(Language)


class Wording:
    """The words of one language. Numbers, units, ids and times are put into them as they are."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._words = catalogue(language)

    def __call__(self, key: str, **values: object) -> str:
        """The text under ``key``. Raises LookupError for a key that the catalogue lacks."""
        text = self._words[key]
        return text.format(**values) if values else text

    def either(self, key: str, otherwise: str) -> str:
        """The text under ``key``, or what the record says where nobody has put that in words."""
        return self._words.get(key, otherwise)


def language_of(text: str) -> Language:
    """The language that an option names. Raises ConfigError."""
    match text:
        case "en" | "zh":
            return text
        case _:
            raise ConfigError([Fault(f"{text!r} is no language of the pages", "--lang", "write en or zh")])


@cache
def catalogue(language: Language) -> Mapping[str, str]:
    """Every text of a language by its key."""
    path = package_files("bench.report").joinpath(f"words/{language}.json")
    words: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return words
