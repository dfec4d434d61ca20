"""The hand-over and the file: nothing waits, nothing raises, what is lost is counted and told in its place."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from bench.outbox.fact import LARGEST_BYTES, Fact, Kind
from bench.outbox.spool import Spool
from bench.outbox.store import BATCH_SHARE, FILE, Store
from tests.outbox.mosquitto import until

MIB = 1 << 20


def fact(number: int, **more: object) -> Fact:
    return Fact(Kind.EVENT, "1", float(number), {"n": number, **more})


def spool(folder: Path, *, cap_bytes: int = MIB, most: int = 100) -> Spool:
    return Spool(folder, cap_bytes, ("json",), lambda: 1000.0, most=most)


async def all_of(made: Spool) -> list[Fact]:
    return [Fact.unpacked(data) for _, data in await made.after("json", 0, 100_000)]


async def test_what_was_put_is_there_after_a_restart_and_goes_on_counting(tmp_path: Path) -> None:
    for life in range(3):
        made = spool(tmp_path)
        made.start()
        made.put(fact(life))
        await made.stop()
    made = spool(tmp_path)
    made.start()
    assert [row[0] for row in await made.after("json", None, 10)] == [1, 2, 3]
    assert [found.body["n"] for found in await all_of(made)] == [0, 1, 2]
    made.acknowledge("json", 2)
    await made.stop()
    made = spool(tmp_path)
    made.start()
    assert [row[0] for row in await made.after("json", None, 10)] == [3]
    made.acknowledge("json", 3)
    made.put(fact(3))
    await until(lambda: made.counts.stored == 1 and made.waiting == 1)
    assert [row[0] for row in await made.after("json", None, 10)] == [4], "a number is never given twice"
    await made.stop()


async def test_what_cannot_be_said_or_is_too_large_is_refused_and_counted(tmp_path: Path) -> None:
    made = spool(tmp_path)
    endless: dict[str, object] = {}
    endless["itself"] = endless
    for body in (endless, {"text": "x" * LARGEST_BYTES}, {"surrogate": "\ud800"}):
        made.put(Fact(Kind.EVENT, "1", 0.0, body))
    assert (made.counts.refused, made.counts.put) == (3, 0)


async def test_a_file_that_fails_costs_the_oldest_and_says_how_many(tmp_path: Path) -> None:
    """Nothing is kept while the folder is a file; when it is mended, the newest and one gap are there."""
    blocked = tmp_path / "data"
    blocked.write_text("")
    made = spool(blocked, most=10)
    made.start()
    for number in range(25):
        made.put(fact(number))
    await until(lambda: made.failing is not None)
    assert await made.after("json", 0, 10) == []
    blocked.unlink()
    await until(lambda: made.failing is None and made.counts.stored == 10)
    told, *kept = await all_of(made)
    await made.stop()
    assert (told.kind, told.body["lost"], told.body["from_utc_s"], told.body["to_utc_s"]) == (Kind.GAP, 15, 0.0, 14.0)
    assert [found.body["n"] for found in kept] == list(range(15, 25))
    assert made.counts.dropped_in_memory == 15


async def test_a_damaged_file_is_kept_aside_and_a_new_one_begun(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all" * 1000)
    made = spool(tmp_path)
    made.start()
    made.put(fact(0))
    await until(lambda: made.counts.stored == 1)
    found = await all_of(made)
    await made.stop()
    assert [one.kind for one in found] == [Kind.GAP, Kind.EVENT]
    assert found[0].body["lost"] is None, "nobody knows how many"
    assert (tmp_path / f"{FILE}.aside-1").read_bytes().startswith(b"no database")


async def test_a_file_of_a_newer_program_is_not_touched(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    made = spool(tmp_path)
    made.start()
    made.put(fact(0))
    await until(lambda: made.counts.stored == 1)
    await made.stop()
    with sqlite3.connect(tmp_path / f"{FILE}.aside-1") as kept:
        assert kept.execute("PRAGMA user_version").fetchone() == (99,)
    kept.close()


@pytest.mark.parametrize("size", [10, 1000, 20_000])
def test_the_cap_holds_for_every_size_of_fact(tmp_path: Path, size: int) -> None:
    store, cap, put = Store(tmp_path / FILE, MIB, ("a", "b")), MIB, 0
    store.open()
    at_once = int(cap * BATCH_SHARE) // (size + 60)
    while put < 3 * cap / (size + 60):
        store.append([fact(number, text="x" * size).packed() for number in range(put, put + at_once)])
        store.trim()
        put += at_once
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= cap
    rows = [(number, Fact.unpacked(data)) for number, data in store.after(0, 100_000)]
    store.close()
    (at, told), *kept = rows
    assert told.kind is Kind.GAP
    assert (at, told.body["lost"]) == (store.dropped, store.dropped), "its number is that of the last it stands for"
    assert [found.body["n"] for _, found in kept] == list(range(store.dropped, put))
    assert sum(len(found.packed()) for _, found in kept) > cap / 3, "the cap is used"


def test_what_one_sink_has_stays_until_the_other_has_it(tmp_path: Path) -> None:
    store = Store(tmp_path / FILE, MIB, ("a", "b"))
    store.open()
    store.append([fact(number).packed() for number in range(10)])
    store.acknowledge({"a": 7})
    assert [row[0] for row in store.after(store.cursor("a"), 100)] == [8, 9, 10]
    assert [row[0] for row in store.after(store.cursor("b"), 100)] == list(range(1, 11))
    store.acknowledge({"b": 4})
    assert [row[0] for row in store.after(0, 100)] == list(range(5, 11))
    assert store.waiting() == 6
    store.close()
