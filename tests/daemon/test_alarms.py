"""Alarms by the states of ISA-18.2 (its state diagram), on a clock of their own."""

from __future__ import annotations

import pytest

from bench.daemon import alarm_texts as texts
from bench.daemon.alarms import Alarms
from bench.daemon.desk import DeskRefused
from bench.daemon.views import AlarmView, Words

TEXT = Words(en="it is warm", zh="偏热")


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def alarms() -> tuple[Alarms, Clock, list[AlarmView]]:
    clock, told = Clock(), list[AlarmView]()
    return Alarms(clock, told.append), clock, told


def test_it_stays_on_the_list_until_it_is_right_again_and_somebody_knows() -> None:
    book, clock, told = alarms()
    first = book.begin("hot", texts.WARNING, TEXT, channel="1")
    assert (first.state, book.counts()) == ("unacknowledged", ({"1": 1}, 1))
    known = book.acknowledge(first.alarm_id, by="wang")
    assert (known.state, known.acknowledged_by, book.counts()) == ("acknowledged", "wang", ({}, 0))
    clock.now_s = 1060.0
    book.end("hot", "1")
    assert book.views() == ()
    (closed,) = book.views(closed=True)
    assert (closed.state, closed.returned_utc_s) == ("normal", 1060.0)
    assert [view.state for view in told] == ["unacknowledged", "acknowledged", "normal"]


def test_one_that_returned_before_anybody_knew_waits_for_somebody() -> None:
    book, _, _ = alarms()
    first = book.begin("hot", texts.WARNING, TEXT, channel="1")
    book.end("hot", "1")
    (waiting,) = book.views()
    assert (waiting.state, book.counts()) == ("returned_unacknowledged", ({"1": 1}, 1))
    assert book.acknowledge(first.alarm_id, by="wang").state == "normal"
    with pytest.raises(DeskRefused):
        book.acknowledge(first.alarm_id, by="wang")


def test_one_that_comes_again_has_to_be_acknowledged_again() -> None:
    book, _, _ = alarms()
    first = book.begin("hot", texts.WARNING, TEXT, channel="1")
    assert book.begin("hot", texts.WARNING, TEXT, channel="1").alarm_id == first.alarm_id  # it is there already
    book.acknowledge(first.alarm_id, by="wang")
    book.end("hot", "1")
    second = book.begin("hot", texts.WARNING, TEXT, channel="1")
    assert (second.alarm_id != first.alarm_id, second.state) == (True, "unacknowledged")
    elsewhere = book.begin("hot", texts.WARNING, TEXT, channel="2")
    assert elsewhere.alarm_id != second.alarm_id


def test_a_shelved_one_is_silent_for_a_while_and_a_safety_alarm_never_is() -> None:
    book, clock, _ = alarms()
    low = book.begin("hot", texts.WARNING, TEXT, channel="1")
    shelved = book.shelve(low.alarm_id, for_s=600.0)
    assert (shelved.state, shelved.shelved_until_utc_s, book.counts()[1]) == ("shelved", 1600.0, 0)
    clock.now_s = 1600.0
    (back,) = book.views()
    assert (back.state, back.shelved_until_utc_s, book.counts()[1]) == ("unacknowledged", None, 1)
    with pytest.raises(DeskRefused) as refused:
        book.shelve(low.alarm_id, for_s=9 * 3600.0)
    assert refused.value.code == "out-of-limits"
    for meaning in (texts.FIRE, texts.UNSAFE, texts.LATCHED, texts.HELD, *texts.TRIPS.values()):
        safety = book.begin(meaning.cause.en, meaning, TEXT)
        with pytest.raises(DeskRefused) as refused:
            book.shelve(safety.alarm_id, for_s=60.0)
        assert refused.value.code == "safety-alarm"


def test_the_end_of_a_run_ends_what_only_the_run_could_have_wrong() -> None:
    book, _, _ = alarms()
    book.begin("hot", texts.WARNING, TEXT, channel="1", run_id="0001-a")
    book.begin("latched", texts.LATCHED, TEXT)
    book.end_of_run("0001-a")
    states = {view.rule: view.state for view in book.views()}
    assert states == {"hot": "returned_unacknowledged", "latched": "unacknowledged"}
