"""In which language a report speaks: English with Chinese beside its headings, or Chinese alone.

What the record itself says (why a step ended, rules, faults) stands as it was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from bench.report.wording import Language

_language: ContextVar[Language] = ContextVar("language", default="en")


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """What is drawn inside is in this language."""
    before = _language.set(language)
    try:
        yield
    finally:
        _language.reset(before)


def pick(en: str, zh: str) -> str:
    """One of the two."""
    return zh if _language.get() == "zh" else en


def beside(en: str, zh: str) -> str:
    """English with Chinese beside it, or Chinese alone: the name of a curve."""
    return pick(f"{en} · {zh}", zh)
