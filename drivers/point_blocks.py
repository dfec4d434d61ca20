"""Which requests read the used points of a module: neighbours of one table together, and nothing that may not exist."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from drivers.point_list import BIT_TABLES, ListedPoint, Table

#: The longest block that one request reads.
LONGEST_BITS = 256
LONGEST_WORDS = 64


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbours of one table that one request reads; ``members`` are (place in the readings, first place, point)."""

    table: Table
    address: int
    count: int
    timeout_s: float
    members: tuple[tuple[int, int, ListedPoint], ...]


def blocks_of(points: Iterable[ListedPoint], used: tuple[ListedPoint, ...]) -> tuple[Block, ...]:
    """The fewest requests that read the used points, in the order of their first one.

    Only what the page names is read through: another address may not exist. Points of another timeout are apart.
    """
    named = {(point.table, point.timeout_s, point.address + at) for point in points for at in range(point.count)}
    places = {point.name: place for place, point in enumerate(used)}
    groups: list[list[ListedPoint]] = []
    for point in sorted(used, key=lambda its: (its.table, its.timeout_s, its.address)):
        last = groups[-1] if groups else None
        if last is not None and (last[0].table, last[0].timeout_s) == (point.table, point.timeout_s):
            longest = LONGEST_BITS if point.table in BIT_TABLES else LONGEST_WORDS
            between = range(last[0].address, point.address)
            bridged = all((point.table, point.timeout_s, address) in named for address in between)
            if bridged and point.address + point.count - last[0].address <= longest:
                last.append(point)
                continue
        groups.append([point])
    found = []
    for group in groups:
        first = group[0]
        end = max(point.address + point.count for point in group)
        members = tuple((places[point.name], point.address - first.address, point) for point in group)
        found.append(Block(first.table, first.address, end - first.address, first.timeout_s, members))
    return tuple(sorted(found, key=lambda block: min(place for place, _, _ in block.members)))
