"""The arithmetic of the pairs, by numbers worked out by hand."""

from __future__ import annotations

import pytest

from tests.benchmark.pairs import Pair, compare, take_pairs


def test_median_and_spread_are_of_the_ratios_not_of_the_figures() -> None:
    # Ratios 2, 3, 1. The medians of the figures, 20 and 8, would give 2.5.
    row = compare("a", "b", "us", [Pair(20.0, 10.0), Pair(24.0, 8.0), Pair(6.0, 6.0)], goal=2.0)
    assert (row.ratio, row.lowest, row.highest) == (2.0, 1.0, 3.0)
    assert (row.ours, row.reference, row.pairs) == (20.0, 8.0, 3)


def test_a_drift_that_slows_both_sides_leaves_the_ratio() -> None:
    pairs = [Pair(1.5 * drift, 1.0 * drift) for drift in (1.0, 2.5, 0.7, 1.3, 2.0, 0.9, 1.1)]
    row = compare("a", "b", "us", pairs, goal=1.6)
    assert [row.ratio, row.lowest, row.highest] == pytest.approx([1.5, 1.5, 1.5])


@pytest.mark.parametrize(("goal", "met"), [(2.0, True), (1.99, False), (None, None)])
def test_a_goal_is_met_up_to_and_including_its_value(goal: float | None, met: bool | None) -> None:
    row = compare("a", "b", "us", [Pair(2.0, 1.0)], goal=goal)
    assert row.met is met
    assert row.document()["met"] is met


def test_no_pairs_make_no_row() -> None:
    with pytest.raises(ValueError, match="at least one pair"):
        compare("a", "b", "us", [], goal=None)


def test_pairs_are_adjacent_their_order_swapped_the_first_thrown_away() -> None:
    order: list[str] = []

    def side(name: str) -> float:
        order.append(name)
        return float(len(order))

    pairs = take_pairs(3, lambda: side("ours"), lambda: side("bare"))
    assert order == ["ours", "bare", "ours", "bare", "bare", "ours", "ours", "bare"]
    assert pairs == [Pair(3.0, 4.0), Pair(6.0, 5.0), Pair(7.0, 8.0)]
