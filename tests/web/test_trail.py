"""The trail by itself: whatever is done to it is found, and stays found."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench.chain import GENESIS
from bench.web.accounts import Accounts
from bench.web.audit import FILE, Audit, Change
from drivers.errors import RecordError


class Books:
    """A trail of its own, and what finds it broken."""

    def __init__(self, data: Path) -> None:
        self.accounts = Accounts(data)
        self.audit = Audit(data, self.accounts, lambda: 1.8e9)
        self.path = data / FILE

    def add(self, count: int = 1) -> None:
        for number in range(count):
            self.audit.add(Change(act="run.start", on="ch1", who="lin", role="operator", how="session", new=number))

    @property
    def lines(self) -> list[bytes]:
        return self.path.read_bytes().split(b"\n")[:-1]

    def write(self, lines: list[bytes]) -> None:
        self.path.write_bytes(b"".join(line + b"\n" for line in lines))


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    kept = Books(tmp_path)
    with closing(kept.accounts):
        kept.add(12)
        assert kept.audit.check().broken is None
        yield kept


def test_the_chain_is_what_the_page_says(books: Books) -> None:
    """By hand: each line carries the sha256 of the bytes of the line before it, the first 64 zeros."""
    prev = GENESIS
    for number, line in enumerate(books.lines):
        record = json.loads(line)
        assert (record["prev"], record["seq"]) == (prev, number)
        prev = hashlib.sha256(line).hexdigest()
    assert books.audit.check().head == prev
    assert books.accounts.head(FILE) == (12, prev)


def test_one_changed_byte_is_found_wherever_it_is(books: Books) -> None:
    whole = books.path.read_bytes()
    picked = random.Random(7).sample(range(len(whole)), 300)
    for at in picked:
        for flip in (1, 0x20):
            changed = bytearray(whole)
            changed[at] ^= flip
            books.path.write_bytes(changed)
            assert books.audit.check().broken is not None, (at, bytes(changed[max(0, at - 20) : at + 20]))
    books.path.write_bytes(whole)
    assert books.audit.check().broken is None


TAMPERED: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "first removed": lambda lines: lines[1:],
    "one removed": lambda lines: lines[:5] + lines[6:],
    "last removed": lambda lines: lines[:-1],
    "half cut off": lambda lines: lines[:6],
    "two changed places": lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]],
    "one twice": lambda lines: [*lines[:3], lines[2], *lines[3:]],
    "one added at the end": lambda lines: [*lines, lines[-1]],
    "emptied": lambda lines: [],
    "the last rewritten": lambda lines: [*lines[:-1], lines[-1].replace(b"lin", b"eve")],
    "the last no record": lambda lines: [*lines[:-1], b"{}"],
    "the last no object": lambda lines: [*lines[:-1], b"[1,2]"],
    "the last of other kinds": lambda lines: [*lines[:-1], lines[-1].replace(b'"lin"', b"5")],
    "the last no JSON": lambda lines: [*lines[:-1], b"\x80\x80"],
}


def _anew(lines: list[bytes]) -> list[bytes]:
    """The whole trail made again without its sixth record, every hash right."""
    made: list[bytes] = []
    prev = GENESIS
    for number, line in enumerate(lines[:5] + lines[6:]):
        record: dict[str, Any] = {**json.loads(line), "prev": prev, "seq": number}
        made.append(json.dumps(record, separators=(",", ":")).encode())
        prev = hashlib.sha256(made[-1]).hexdigest()
    return made


TAMPERED["made anew without one"] = _anew
TAMPERED["made anew and as long"] = lambda lines: _anew([*lines, lines[-1]])


@pytest.mark.parametrize("how", TAMPERED)
def test_what_was_done_to_it_is_found_and_stays_found(books: Books, how: str) -> None:
    """The daemon goes on afterwards: what it adds does not heal the break."""
    books.write(TAMPERED[how](books.lines))
    assert books.audit.check().broken is not None
    books.add(3)
    after = books.audit.check()
    assert after.broken is not None
    assert after.why


def test_a_trail_that_is_gone_stays_missed(books: Books) -> None:
    books.path.unlink()
    assert books.audit.check().broken == 0
    books.add(3)
    assert books.audit.check().broken == 0


def test_a_torn_line_of_a_power_cut_is_taken_away_and_no_break(books: Books) -> None:
    with books.path.open("ab") as file:
        file.write(books.lines[-1][:40])
    books.add()
    found = books.audit.check()
    assert (found.broken, len(found.records)) == (None, 13)


def test_a_power_cut_between_the_line_and_its_head_is_no_break(books: Books) -> None:
    kept = books.accounts.head(FILE)
    books.add()
    assert kept is not None
    books.accounts.keep_head(FILE, *kept)
    assert books.audit.check().broken is None
    books.add()
    found = books.audit.check()
    assert (found.broken, len(found.records)) == (None, 14)


def test_a_head_that_cannot_be_kept_leaves_the_trail_as_it_was(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    before = books.path.read_bytes()

    def full(*_: object) -> None:
        raise RecordError("the disk is full", "users.sqlite", "make room")

    with monkeypatch.context() as patch:
        patch.setattr(books.accounts, "keep_head", full)
        with pytest.raises(RecordError):
            books.add()
    assert books.path.read_bytes() == before
    books.add()
    assert books.audit.check().broken is None
