"""Whatever disturbs a run, and whenever: nothing stays energised. The plant is the oracle, not the controller.

Each disturbance is tried at many exchanges (requests that leave a wire) and at many turns of the walk, from the first
poll of preflight to the release of the cycler after the safe state.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cause import EndKind
from bench.observing import Observation
from bench.run import Prepared
from sequences import Verdict
from simulators.faults import late, no_reply
from tests.scenarios.interrupted import Act, Disturbance, Disturbed, disturbed, prepared_brief

pytestmark = pytest.mark.scenario

#: Every so many exchanges or awaits; 1 tries them all, in some two minutes.
EVERY = 7


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepared_brief(tmp_path_factory.mktemp("brief"))


@pytest.fixture(scope="module")
def whole(brief: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Disturbed:
    """The run that nothing disturbs."""
    return disturbed(brief, tmp_path_factory.mktemp("whole"), None)


def test_undisturbed_it_passes_and_the_bench_ends_safe(whole: Disturbed) -> None:
    assert whole.outcome is not None
    assert whole.outcome.verdict is Verdict.PASS
    assert whole.left_on == []
    assert whole.exchanges > 150
    assert whole.awaits > 100


def cancel(found: Disturbed) -> None:
    found.cancel()


def person(found: Disturbed) -> None:
    found.stop.set()


def both(found: Disturbed) -> None:
    found.stop.set()
    found.cancel()


def crash(_: Disturbed) -> None:
    raise RuntimeError("a slip in a wire")


def door(found: Disturbed) -> None:
    found.bench.scene.plant.set_input("chamber1", "door_closed", 0.0)


def full_disk(found: Disturbed) -> None:
    fill_disk(found.log.folder)


def fill_disk(folder: Path) -> None:
    """From now on no byte of the record can be written: its open files are the device that is always full."""
    full = os.open("/dev/full", os.O_WRONLY)
    for entry in Path("/proc/self/fd").iterdir():
        if entry.is_symlink() and str(entry.readlink()).startswith(str(folder)):
            os.dup2(full, int(entry.name))
    os.close(full)


@pytest.mark.fault("F56", "T24", "H13")
@pytest.mark.parametrize(
    ("act", "always"),
    [(cancel, False), (cancel, True), (person, False), (both, True), (crash, False), (door, False), (full_disk, False)],
    ids=["cancelled", "cancelled again and again", "stop", "Ctrl-C again and again", "crash", "door", "disk full"],
)
def test_nothing_stays_on_whenever_it_comes_between_two_exchanges(
    brief: Prepared, whole: Disturbed, tmp_path: Path, act: Act, always: bool
) -> None:
    for at in range(1, whole.exchanges + 1, EVERY):
        found = disturbed(brief, tmp_path, Disturbance(act, at_exchange=at, always=always))
        assert found.left_on == [], f"exchange {at}"
        if found.outcome is not None:
            assert found.outcome.safe_state.confirmed, f"exchange {at}"


@pytest.mark.fault("F56")
@pytest.mark.parametrize("act", [cancel, person, both, full_disk], ids=["cancelled", "stop", "both", "disk full"])
def test_nothing_stays_on_whichever_await_of_the_walk_it_comes_at(
    brief: Prepared, whole: Disturbed, tmp_path: Path, act: Act
) -> None:
    for at in range(1, whole.awaits + 1, EVERY):
        found = disturbed(brief, tmp_path, Disturbance(act, at_await=at))
        assert found.left_on == [], f"await {at}"


def lost(device: str) -> Act:
    return lambda found: found.bench.scene.personality(device).faults.push(no_reply)


def belated(device: str) -> Act:
    return lambda found: found.bench.scene.personality(device).faults.push(late(0.7))


@pytest.mark.fault("F24", "F3")
@pytest.mark.parametrize("device", ["psb", "io1", "ch1"])
@pytest.mark.parametrize("fault", [lost, belated])
def test_one_reply_that_is_lost_or_late_never_costs_the_proof_of_the_safe_state(
    brief: Prepared, whole: Disturbed, tmp_path: Path, device: str, fault: Callable[[str], Act]
) -> None:
    for at in range(1, whole.exchanges + 1, EVERY):
        found = disturbed(brief, tmp_path, Disturbance(fault(device), at_exchange=at))
        assert found.left_on == [], f"exchange {at}"
        assert found.outcome is not None
        assert found.outcome.safe_state.confirmed, f"exchange {at}: {found.outcome.safe_state.failures}"
        assert found.outcome.verdict in (Verdict.PASS, Verdict.ERROR)


def mute(device: str) -> Act:
    def act(found: Disturbed) -> None:
        found.bench.scene.personality(device).faults.always = no_reply

    return act


@pytest.mark.fault("F2")
@pytest.mark.parametrize("device", ["psb", "io1", "ch1", "th1"])
def test_a_device_that_is_no_longer_heard_is_made_safe_all_the_same(
    brief: Prepared, whole: Disturbed, tmp_path: Path, device: str
) -> None:
    """It still obeys: the commands must leave although no answer comes, and the run must say what is not proven."""
    for at in range(1, whole.exchanges - 20, EVERY):
        found = disturbed(brief, tmp_path, Disturbance(mute(device), at_exchange=at))
        assert found.left_on == [], f"exchange {at}"
        assert found.outcome is not None
        if not found.outcome.safe_state.confirmed:
            assert found.outcome.verdict is Verdict.ERROR, f"exchange {at}"
            assert any(device in (fault.where, found.outcome.ended_by.device) for fault in found.outcome.faults)


@pytest.mark.parametrize("device", ["psb", "io1"])
def test_a_wire_that_is_cut_leaves_nothing_on_once_the_watchdogs_have_acted(
    brief: Prepared, whole: Disturbed, tmp_path: Path, device: str
) -> None:
    for at in range(1, whole.exchanges - 20, 7 * EVERY):
        found = disturbed(brief, tmp_path, Disturbance(lambda it: it.bench.scene.cut(device), at_exchange=at))
        assert [what for what in found.left_on if "later" in what or "flowed" in what] == [], f"exchange {at}"
        assert not any("A when" in what for what in found.left_on), f"exchange {at}: {found.left_on}"
        assert found.outcome is not None
        assert found.outcome.verdict is Verdict.ERROR


@pytest.mark.fault("F60", "F74")
def test_a_screen_that_fails_ends_nothing_and_hides_no_safe_state(brief: Prepared, tmp_path: Path) -> None:
    heard: list[Observation] = []

    def closed(observation: Observation) -> None:
        heard.append(observation)
        raise BrokenPipeError("the terminal is gone")

    found = disturbed(brief, tmp_path, None, observer=closed)
    assert found.left_on == []
    assert found.outcome is not None
    assert found.outcome.verdict is Verdict.PASS
    assert len(heard) == 1


@pytest.mark.fault("F67")
def test_a_record_that_cannot_be_kept_ends_the_run_by_the_host(
    brief: Prepared, whole: Disturbed, tmp_path: Path
) -> None:
    found = disturbed(brief, tmp_path, Disturbance(full_disk, at_exchange=whole.exchanges // 2))
    assert found.left_on == []
    assert found.outcome is not None
    assert found.outcome.verdict is Verdict.ERROR
    assert found.outcome.ended_by.kind is EndKind.HOST
    assert any("No space left" in fault.error for fault in found.outcome.faults)
