"""Garbage in cycles: of an ended run it goes, and nobody is stopped for it while others run."""

from __future__ import annotations

import gc
import weakref

import pytest

from bench.daemon import garbage
from bench.daemon.garbage import Garbage, looked_for_apart
from bench.daemon.views import RunView


class Knot:
    """Garbage that only a look at cycles finds."""

    def __init__(self) -> None:
        self.own = self


def run(state: str) -> RunView:
    return RunView.model_validate(
        {"run_id": "r", "sequence": "s", "channel": "1", "cell": "c", "sample": None, "operator": "lin"}
        | {"mode": "live", "state": state, "begun_utc_s": None}
    )


def dropped() -> weakref.ref[Knot]:
    return weakref.ref(Knot())


def test_what_an_ended_run_left_goes_once_nothing_runs() -> None:
    with looked_for_apart():
        quiet = False
        feed = Garbage(lambda: quiet)
        knot = Knot()
        left = weakref.ref(knot)
        feed.changed(run("running"))  # set aside
        del knot
        gc.collect()
        assert left() is not None
        feed.changed(run("closed"))
        feed.look()
        assert left() is not None  # others run
        quiet = True
        feed.look()
        assert left() is None
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0


def test_so_many_ended_runs_wait_for_no_quiet_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "MOST_ENDED", 3)
    with looked_for_apart():
        feed = Garbage(lambda: False)
        knot = Knot()
        left = weakref.ref(knot)
        gc.freeze()
        del knot
        for _ in range(2):
            feed.changed(run("closed"))
            feed.look()
        assert left() is not None
        feed.changed(run("closed"))
        feed.look()
        assert left() is None


def test_what_is_new_is_looked_through_at_its_own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1000.0
    monkeypatch.setattr(garbage, "real_elapsed_s", lambda: now_s)
    with looked_for_apart():
        feed = Garbage(lambda: True)
        left = dropped()
        feed.look()
        assert left() is not None
        now_s += garbage.LOOK_S
        feed.look()
        assert left() is None


def test_the_interpreter_makes_no_full_look_of_its_own() -> None:
    before = gc.get_threshold()
    with looked_for_apart():
        full = gc.get_stats()[2]["collections"]
        kept = [[Knot()] for _ in range(200_000)]
        assert gc.get_stats()[2]["collections"] == full
        del kept
    assert gc.get_threshold() == before
