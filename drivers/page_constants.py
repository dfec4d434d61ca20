"""Registers whose number never changes: read at connect they prove that a page fits its device, word order and scale
included; read again in use they tell of a device that was set otherwise.

25.0 with its two words swapped reads as 2.3e-41, that is as nothing: zero proves no word order, and neither does any
number whose words are alike, so a page may not name one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from drivers.profile_page import LAST_ADDRESS, ORDERS, Page
from drivers.registers import WORDS, RegisterType, WordOrder, number_of, words_of

_KEYS = ("table", "address", "type", "word_order", "value")


@dataclass(frozen=True, slots=True)
class Constant:
    """What the registers at an address must hold, as the raw number."""

    name: str
    table: str
    address: int
    type: RegisterType
    order: WordOrder
    value: float

    @property
    def count(self) -> int:
        return WORDS[self.type]

    def differs(self, words: Sequence[int]) -> str | None:
        """What is found in place of the constant; None when it is as it must be."""
        found = number_of(words, self.type, self.order)
        if math.isclose(found, self.value, rel_tol=1e-6):
            return None
        other: WordOrder = "CDAB" if self.order == "ABCD" else "ABCD"
        swapped = self.count == 2 and math.isclose(number_of(words, self.type, other), self.value, rel_tol=1e-6)
        return f"{self.name} reads {found:g}, not {self.value:g}" + (
            f": the words stand in the order {other}, not {self.order}" if swapped else ""
        )


def constants(page: Page, tables: Iterable[str]) -> tuple[Constant, ...]:
    """The page's [constants], which it need not have. Slips become faults of the page."""
    entries = page.table(page.document, "constants", ())
    made = []
    for name in entries:
        path = ("constants", name)
        entry = page.table(entries, name, ("constants",))
        page.keys(entry, _KEYS, path, needed=("address", "value"))
        kind: RegisterType = page.choice(entry, "type", WORDS, "u16", path)
        order: WordOrder = page.choice(entry, "word_order", ORDERS, page.order, path)
        value = page.number(entry, "value", path)
        constant = Constant(
            name=name,
            table=page.choice(entry, "table", tuple(tables), next(iter(tables)), path),
            address=page.integer(entry, "address", path, high=LAST_ADDRESS + 1 - WORDS[kind]),
            type=kind,
            order=order,
            value=0.0 if value is None else value,
        )
        if value is not None and not _proves(constant):
            fix = "take one such as 3.7, or 305419896 (12345678 hex)"
            page.fault(f"`value` = {value:g} proves nothing about {kind}", (*path, "value"), fix)
        made.append(constant)
    return tuple(made)


def _proves(constant: Constant) -> bool:
    """Whether another word order, or nothing at all, would read otherwise."""
    try:
        words = words_of(constant.value, constant.type, "ABCD")
    except ValueError:
        return False
    return any(words) and (len(words) == 1 or words[0] != words[1])
