"""Numbers in 16-bit Modbus registers: five types, two word orders, and blocks of neighbours that one request reads.

Modbus itself only knows the order of the two bytes in a register (V1.1b3, 4.2: the high one first). Which register of
a 32-bit value comes first is the maker's choice: ``ABCD`` the high word (Siemens), ``CDAB`` the low one (Mitsubishi).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from typing import Literal

WordOrder = Literal["ABCD", "CDAB"]
RegisterType = Literal["u16", "s16", "u32", "s32", "f32"]

#: The smallest float that is not subnormal. What is nearer to zero is no measurement: it is a float whose words are
#: swapped (25.0 reads as 2.3e-41), or no float at all.
LEAST_NORMAL = 2.0**-126
#: How many registers each type takes.
WORDS: dict[str, int] = {"u16": 1, "s16": 1, "u32": 2, "s32": 2, "f32": 2}
#: The smallest and largest number of each integer type.
RANGE: dict[str, tuple[int, int]] = {
    "u16": (0, 0xFFFF),
    "s16": (-0x8000, 0x7FFF),
    "u32": (0, 0xFFFF_FFFF),
    "s32": (-0x8000_0000, 0x7FFF_FFFF),
}


def number_of(words: Sequence[int], kind: RegisterType, order: WordOrder) -> float:
    """The number in one or two registers; an int but for ``f32``, which is NaN where it is not finite or subnormal."""
    if kind == "u16":
        return words[0]
    if kind == "s16":
        return words[0] - 0x10000 if words[0] & 0x8000 else words[0]
    high, low = (words[0], words[1]) if order == "ABCD" else (words[1], words[0])
    whole = high << 16 | low
    if kind == "u32":
        return whole
    if kind == "s32":
        return whole - 0x1_0000_0000 if whole & 0x8000_0000 else whole
    value = float(struct.unpack(">f", whole.to_bytes(4, "big"))[0])
    return value if value == 0.0 or LEAST_NORMAL <= abs(value) < math.inf else math.nan


def words_of(number: float, kind: RegisterType, order: WordOrder) -> tuple[int, ...]:
    """The registers that hold a number, rounded to a whole one (not ``f32``). Raises ValueError if it does not fit."""
    if kind == "f32":
        try:
            whole = int.from_bytes(struct.pack(">f", number), "big")
        except OverflowError:
            raise ValueError(f"{number:g} does not fit into f32") from None
    else:
        low_end, high_end = RANGE[kind]
        if not low_end - 0.5 <= number < high_end + 0.5:  # a NaN is in no range
            raise ValueError(f"{number:g} does not fit into {kind} ({low_end} to {high_end})")
        whole = min(max(round(number), low_end), high_end) & (0xFFFF if WORDS[kind] == 1 else 0xFFFF_FFFF)
    if WORDS[kind] == 1:
        return (whole,)
    high, low = whole >> 16, whole & 0xFFFF
    return (high, low) if order == "ABCD" else (low, high)


def blocks(
    spans: Iterable[tuple[int, int]], *, longest: int, gap: int, known: frozenset[int] = frozenset()
) -> tuple[tuple[int, int], ...]:
    """The fewest reads (address, count) of at most ``longest`` registers that cover every span (address, count).

    No span is cut in two. Registers that nobody asked for are read through where at most ``gap`` of them are not
    ``known`` to be there.
    """
    found: list[tuple[int, int]] = []
    for address, count in sorted(set(spans)):
        if found:
            start, length = found[-1]
            end = max(start + length, address + count)
            unknown = sum(at not in known for at in range(start + length, address))
            if unknown <= gap and end - start <= longest:
                found[-1] = (start, end - start)
                continue
        found.append((address, count))
    return tuple(found)
