"""The step language, its loader, criteria and verdicts, and the library of standards. Pure: no device, no clock.

``load`` gives a checked, frozen :class:`Sequence` by library id or path; ``expand`` replaces its calls by steps;
``judge`` and ``overall`` turn values into verdicts. docs/sequence-language.md explains the language.
"""

from collections.abc import Callable, Collection

from sequences.calls import expand as _expand
from sequences.catalogue import Entry, Source, catalogue, ids, load, parse_source, source, source_text
from sequences.language import Sequence
from sequences.verdict import CriterionResult, Verdict, judge, overall

__all__ = [
    "CriterionResult",
    "Entry",
    "Sequence",
    "Source",
    "Verdict",
    "catalogue",
    "expand",
    "ids",
    "judge",
    "load",
    "overall",
    "parse",
    "parse_source",
    "source",
    "source_text",
]


def parse(text: str, where: str, *, distributions: Collection[str] = ()) -> Sequence:
    """The sequence that ``text`` holds; ``where`` names it in messages. Raises ConfigError with every fault."""
    return parse_source(Source(text, where), distributions=distributions)


def expand(
    sequence: Sequence, library: Callable[[str], Sequence] | None = None, *, distributions: Collection[str] = ()
) -> Sequence:
    """The sequence with every call replaced by the called steps; a sequence without calls comes back as it is.

    ``library`` gives a sequence by its id, by default from the allowed libraries. Raises ConfigError.
    """
    return _expand(sequence, library or (lambda wanted: load(wanted, distributions=distributions)))
