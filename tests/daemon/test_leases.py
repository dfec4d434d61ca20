"""The book of leases: nobody has what another has for itself, and nobody waits for ever."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bench.daemon.leases import Leases, Need

CHAMBER = "ch1"


def air(setpoint_c: float) -> tuple[Need, ...]:
    return (Need(CHAMBER, setpoint_c),)


def test_runs_of_one_temperature_share_the_chamber_and_others_wait_in_turn() -> None:
    leases = Leases()
    for run, setpoint_c in (("a", 25.0), ("b", 25.0), ("c", 45.0), ("d", 45.0)):
        leases.ask(run, air(setpoint_c), takes_s=100.0)
    assert leases.grant(0.0) == ("a", "b")
    blocked = leases.blocked("c")
    assert blocked is not None
    assert (blocked.by, blocked.setpoint_c, blocked.until_s, blocked.queued) == ("a", 25.0, 100.0, False)
    leases.leave("a")
    assert leases.grant(90.0) == ()
    leases.leave("b")
    assert leases.grant(95.0) == ("c", "d")


def test_one_joins_past_the_queue_only_if_that_costs_nobody_anything() -> None:
    leases = Leases()
    leases.ask("long", air(25.0), takes_s=1000.0)
    assert leases.grant(0.0) == ("long",)
    leases.ask("hot", air(45.0), takes_s=10.0)
    leases.ask("short", air(25.0), takes_s=900.0)
    leases.ask("later", air(25.0), takes_s=901.0)
    assert leases.grant(100.0) == ("short",)  # through at 1000 s, with the long one; the other at 1001 s
    later = leases.blocked("later")
    assert later is not None
    assert (later.by, later.queued) == ("hot", True)


def test_the_last_one_who_needs_it_puts_it_to_rest() -> None:
    leases = Leases()
    for run in ("a", "b"):
        leases.ask(run, air(25.0), takes_s=1.0)
    leases.grant(0.0)
    assert not leases.lay_down("a", CHAMBER)
    assert leases.lay_down("b", CHAMBER)
    assert leases.lay_down("b", CHAMBER)  # asked again, the answer is the same
    assert not leases.lay_down("stranger", CHAMBER)


def test_who_needs_several_things_holds_none_while_waiting() -> None:
    leases = Leases()
    leases.ask("a", (Need("rig"),), takes_s=1.0)
    leases.ask("b", (Need("rig"), Need(CHAMBER)), takes_s=1.0)
    leases.ask("c", air(25.0), takes_s=1.0)
    assert leases.grant(0.0) == ("a",)  # c stands behind b, who wants the chamber too
    leases.leave("a")
    assert leases.grant(1.0) == ("b",)
    leases.leave("b")
    assert leases.grant(2.0) == ("c",)


_NEED = st.one_of(
    st.builds(Need, st.sampled_from(["rig", CHAMBER])),
    st.builds(Need, st.just(CHAMBER), st.sampled_from([25.0, 45.0])),
)


class Book(RuleBasedStateMachine):
    """Any order of asking, ending and leaving the queue."""

    def __init__(self) -> None:
        super().__init__()
        self.leases = Leases()
        self.now_s = 0.0
        self.asked: list[str] = []
        self.overtaken_until_s: dict[str, float] = {}

    @rule(
        needs=st.lists(_NEED, min_size=1, max_size=2, unique_by=lambda need: need.resource), takes_s=st.floats(1, 1e4)
    )
    def ask(self, needs: list[Need], takes_s: float) -> None:
        run = f"r{len(self.asked)}"
        self.asked.append(run)
        self.leases.ask(run, needs, takes_s=takes_s)
        self.grant()

    @rule(passes_s=st.floats(0, 1e4))
    def time(self, passes_s: float) -> None:
        self.now_s += passes_s
        self.grant()

    @precondition(lambda self: self.leases.held)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        self.leases.leave(data.draw(st.sampled_from(sorted(self.leases.held))))
        self.grant()

    @precondition(lambda self: self.leases.queue)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        self.leases.leave(data.draw(st.sampled_from([waits.run for waits in self.leases.queue])))
        self.grant()

    def grant(self) -> None:
        """Nobody who joins makes the time at which the first in the queue is due any later."""
        before = self.due_s()
        self.leases.grant(self.now_s)
        first = self.leases.queue[0].run if self.leases.queue else None
        if before is not None and first == before[0]:
            assert max(self.due_of(first), self.now_s) <= max(before[1], self.now_s)

    def due_s(self) -> tuple[str, float] | None:
        return (self.leases.queue[0].run, self.due_of(self.leases.queue[0].run)) if self.leases.queue else None

    def due_of(self, run: str) -> float:
        waits = next(waits for waits in self.leases.queue if waits.run == run)
        return max(
            (
                held.until_s
                for held in self.leases.held.values()
                if any(not need.goes_with(theirs) for need in waits.needs for theirs in held.needs)
            ),
            default=self.now_s,
        )

    @invariant()
    def nobody_has_what_another_has_for_itself(self) -> None:
        held = list(self.leases.held.values())
        for at, one in enumerate(held):
            for other in held[at + 1 :]:
                assert all(need.goes_with(theirs) for need in one.needs for theirs in other.needs)

    @invariant()
    def the_first_in_the_queue_waits_for_somebody_who_has_it(self) -> None:
        for at, waits in enumerate(self.leases.queue):
            blocked = self.leases.blocked(waits.run)
            assert blocked is not None
            if at == 0:
                assert blocked.by in self.leases.held

    def teardown(self) -> None:
        """Once everybody who has something leaves, everybody gets a turn."""
        turns = 0
        while self.leases.queue:
            for run in tuple(self.leases.held):
                self.leases.leave(run)
            assert self.leases.grant(self.now_s)
            turns += 1
            assert turns <= len(self.asked)


TestBook = Book.TestCase
TestBook.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
