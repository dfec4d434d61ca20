"""How long something may still be silent, at a pace that changes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.rules.last_heard import LastHeard

SLOW_S, FAST_S = 30.0, 3.0


def test_at_one_pace_its_age_counts_from_when_it_was_heard() -> None:
    heard = LastHeard(10.0)
    assert heard.due_s(FAST_S, 11.0) == 13.0
    heard.since_s = 12.0
    assert heard.due_s(FAST_S, 12.5) == 15.0


def test_what_was_heard_at_a_slow_pace_is_not_late_by_the_fast_one() -> None:
    heard = LastHeard(10.0)
    heard.due_s(SLOW_S, 10.0)
    assert heard.due_s(FAST_S, 19.0) == 22.0
    heard.since_s = 20.0
    assert heard.due_s(SLOW_S, 21.0) == 50.0
    heard.since_s = 30.0
    assert heard.due_s(FAST_S, 39.0) == 42.0


def test_what_was_silent_before_stays_so_however_often_the_pace_changes() -> None:
    heard = LastHeard(10.0)
    heard.due_s(SLOW_S, 10.0)
    for now_s in range(12, 60, 2):
        assert heard.due_s(FAST_S, now_s - 1.0) <= 40.0
        assert heard.due_s(SLOW_S, float(now_s)) == 40.0
    heard.due_s(FAST_S, 39.0)
    assert heard.due_s(FAST_S, 45.0) == 40.0


AGES = st.sampled_from([0.3, 3.0, 6.0, 30.0])


@given(st.lists(st.tuples(st.floats(0.0, 5.0), AGES, st.booleans()), max_size=30))
def test_it_is_due_between_the_shortest_and_the_longest_of_its_ages(looks: list[tuple[float, float, bool]]) -> None:
    heard, now_s, ages = LastHeard(0.0), 0.0, list[float]()
    for after_s, age_s, is_heard in looks:
        now_s += after_s
        if is_heard:
            heard.since_s, ages = now_s, ages[-1:]
        ages.append(age_s)
        due_s = heard.due_s(age_s, now_s)
        assert heard.since_s + min(ages) <= due_s <= heard.since_s + max(ages) + 1e-9
