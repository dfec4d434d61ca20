"""The oracle sees every planted bug: in a world made for it here, within 2 000 seeds in the soak."""

from __future__ import annotations

import os
from collections.abc import Mapping
from random import Random

import pytest

from simulators.strikes import Strike
from tests.simulation.planted import BUGS, Bug, planted
from tests.simulation.sweep import Folder
from tests.simulation.worlds import World

pytestmark = pytest.mark.scenario

SEED = int(os.environ.get("CELLBENCH_SEED", "20261123"))
#: So many bugs a run of the tests; the rest, and the seeds that each takes, are the soak's.
DRAWN = len(BUGS) if os.environ.get("CELLBENCH_ALL") else 9

_DOOR = Strike("door_opens", "chamber1", step="charge", after_s=2.0)
_STOP = Strike("person_stops", step="charge", after_s=2.0)
_TOO_MUCH = Strike("current_drifts", "psb", step="charge", after_s=2.0, params={"factor": 1.3})
_WELDED = Strike("contactor_welded", "1", step="charge", after_s=1.0)

#: What makes each bug show.
WORLDS: Mapping[str, tuple[Strike, ...]] = {
    "limits are not looked at": (_DOOR,),
    "an upper limit is reversed": (),
    "limits are ten times as wide": (_TOO_MUCH,),
    "NaN counts as a reading": (Strike("sensor_open", "th1.ai0", step="discharge", after_s=1.0),),
    "silence is not noticed": (Strike("half_open", "th1", step="discharge", after_s=1.0),),
    "silence is noticed late": (Strike("half_open", "th1", step="discharge", after_s=1.0),),
    "the safe state begins late": (_DOOR,),
    "interlocks are not looked at": (_DOOR,),
    "the cycler's output is left on": (),
    "the cycler is not made safe": (_DOOR,),
    "the cycler's stop is not read back": (Strike("output_stays_on", "psb", step="charge", after_s=1.0), _DOOR),
    "the cycler's watchdog is not armed": (Strike("killed", step="charge", after_s=2.0),),
    "the cycler's limits are not read back": (),
    "the contactor is not opened": (),
    "the contactor's feedback is not read": (_WELDED,),
    "an unproven safe state counts as proven": (_WELDED,),
    "the contactor waits for the cycler": (Strike("output_stays_on", "psb", step="charge", after_s=1.0), _DOOR),
    "a safe state is not waited for": (_DOOR,),
    "a person's stop is not heard": (_STOP,),
    "a stop waits for the step to end": (_STOP,),
    "a late line is taken for an answer": (
        Strike("late_reply", "psb", step="discharge", after_s=1.0, params={"by": 0.8, "count": 1.0}),
    ),
    "a device is polled too seldom": (),
    "charge is counted twice": (),
    "a row has the wrong sign": (),
    "a record is not made lasting": (),
    "the chain forgets its last record": (),
}


#: The same of those that show only where a nail is driven: whose people (0: quick and willing ones), and strikes.
NAIL_WORLDS: Mapping[str, tuple[int, tuple[Strike, ...]]] = {
    "one person starts the nail": (1, ()),
    "a no counts as leave": (7, ()),
    "an arming never expires": (4, ()),
    "a stop leaves the tool to the rig": (0, (Strike("person_stops", step="start", after_s=1.8),)),
    "what has not made contact is not stopped": (0, (Strike("smoke", "chamber1", step="start", after_s=0.1),)),
    "the rig does not miss its host": (0, (Strike("killed", step="start", after_s=0.3),)),
    "making safe pulls the nail out": (0, ()),
    "a trip ends the observation": (0, (Strike("person_stops", step="observe", after_s=10.0),)),
    "the exhaust is switched off with the rest": (0, ()),
}


def _world(name: str) -> World:
    if name in WORLDS:
        return World(1, 0.5, 0.6, 0, WORLDS[name], again=False)
    people, strikes = NAIL_WORLDS[name]
    return World(people or 1, 0.5, 1.0, 0, strikes, again=False, nailed="lfp-block", awkward=people > 0)


def test_each_bug_has_a_world() -> None:
    assert len(BUGS) >= 20
    assert set(WORLDS) == {bug.name for bug in BUGS if not bug.nailed}
    assert set(NAIL_WORLDS) == {bug.name for bug in BUGS if bug.nailed}


def test_every_bug_can_be_planted() -> None:
    for bug in BUGS:
        with planted(bug):
            pass


@pytest.mark.parametrize("bug", Random(SEED).sample(BUGS, DRAWN), ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Bug) -> None:
    folder = Folder()
    world = _world(bug.name)
    try:
        assert folder.tried(world)[1].findings == [], "without the bug"
        with planted(bug):
            assert folder.tried(world)[1].findings != []
    finally:
        folder.close()
