"""One guardian for several runs: which plan it holds, and when it hears a beat."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from bench.daemon.supervision import Supervision, together
from bench.safe_plan import OwedObservation, SafeDevice, SafePlan, steps_for
from drivers.capabilities import DeviceKind
from drivers.errors import DeviceError
from simulators.virtual_time import run_virtual


class Guardian:
    """What goes over the link."""

    name = "process 1"
    every_s = 0.5

    def __init__(self) -> None:
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.said: list[str] = []
        self.refuses = False

    def holding(self, handles: Sequence[int]) -> None:
        self.said.append(f"holding {len(handles)}")

    def beat(self) -> None:
        self.said.append("beat")

    def ending(self, within_s: float = 120.0) -> None:
        self.said.append(f"ending {within_s:g}")

    def stimulated(self) -> None:
        self.said.append("stimulated")

    def observed(self) -> None:
        self.said.append("observed")

    async def arm(self, plan: SafePlan, folder: Path) -> None:
        assert folder.name.startswith("000")
        if self.refuses:
            raise DeviceError("guardian", "handing over the safe plan", "it is gone", "start the run again")
        self.said.append(f"arm {plan.channel}")

    async def release(self) -> None:
        self.said.append("release")


def plan(channel: str, cycler: str, *, points: tuple[str, ...], owed_s: float | None = None) -> SafePlan:
    kinds = {cycler: DeviceKind.CYCLER, "io1": DeviceKind.SWITCHES}
    return SafePlan(
        bench="line",
        channel=channel,
        devices=(
            SafeDevice(cycler, "ea-psb10000", "tcp://a:1"),
            SafeDevice("io1", "icpdas-m-7002", "b", points=points),
        ),
        steps=steps_for(kinds),
        feedbacks=(f"io1.{points[0]}.on",),
        contactors=("io1",),
        observation=None if owed_s is None else OwedObservation(owed_s, 2 * owed_s, 60.0, 0.01),
    )


ONE = plan("1", "psb1", points=("di0",), owed_s=3600.0)
TWO = plan("2", "psb2", points=("di1",))


def test_the_plans_of_all_become_one_in_which_every_cycler_goes_first() -> None:
    both = together([ONE, TWO])
    assert [device.name for device in both.devices] == ["psb1", "io1", "psb2"]
    assert {device.name: device.points for device in both.devices}["io1"] == ("di0", "di1")
    (switches,) = [step for step in both.steps if step.device == "io1"]
    assert set(switches.after) == {"psb1", "psb2"}
    assert both.feedbacks == ("io1.di0.on", "io1.di1.on")
    assert both.observation == ONE.observation
    assert SafePlan.of(both.document()) == both


def test_it_is_armed_anew_as_runs_come_and_go_and_released_with_the_last(tmp_path: Path) -> None:
    async def main() -> None:
        guardian = Guardian()
        supervision = Supervision(guardian, tmp_path)
        one, two = supervision.share("0001-a"), supervision.share("0002-b")
        await one.arm(ONE, tmp_path)
        await two.arm(TWO, tmp_path)
        await one.release()
        await two.release()
        await two.release()
        assert guardian.said == ["arm 1", "holding 0", "arm 1, 2", "arm 2", "release"]

    run_virtual(main())


def test_a_guardian_that_is_gone_keeps_no_run_from_its_end(tmp_path: Path) -> None:
    async def main() -> None:
        guardian = Guardian()
        supervision = Supervision(guardian, tmp_path)
        one, two = supervision.share("0001-a"), supervision.share("0002-b")
        await one.arm(ONE, tmp_path)
        await two.arm(TWO, tmp_path)
        guardian.refuses = True
        await one.release()
        await two.release()
        assert guardian.said[-1] == "release"

    run_virtual(main())


def test_the_beats_of_an_end_do_not_last_into_the_next_run(tmp_path: Path) -> None:
    async def main() -> None:
        guardian = Guardian()
        supervision = Supervision(guardian, tmp_path)
        one, two = supervision.share("0001-a"), supervision.share("0002-b")
        await one.arm(ONE, tmp_path)
        one.ending(60.0)
        await two.arm(TWO, tmp_path)
        assert guardian.said[-3:] == ["ending 60", "arm 1, 2", "ending 0"]

    run_virtual(main())


def test_it_hears_a_beat_only_once_every_run_has_looked(tmp_path: Path) -> None:
    async def main() -> None:
        guardian = Guardian()
        supervision = Supervision(guardian, tmp_path)
        one, two = supervision.share("0001-a"), supervision.share("0002-b")
        one.beat()  # not armed: nobody waits for it
        await one.arm(ONE, tmp_path)
        await two.arm(TWO, tmp_path)
        guardian.said.clear()
        for _ in range(3):
            one.beat()
        assert guardian.said == []
        two.beat()
        assert guardian.said == ["beat"]
        one.ending(60.0)
        two.beat()  # the one that ends is not waited for
        assert guardian.said == ["beat", "beat"]
        two.ending(30.0)
        assert guardian.said == ["beat", "beat", "ending 60"]
        await asyncio.sleep(61.0)
        one.beat()
        assert guardian.said[3:] == []  # both should watch again, and only one does

    run_virtual(main())


def test_every_run_hears_that_the_guardian_is_gone_and_a_stimulus_of_any_counts(tmp_path: Path) -> None:
    async def main() -> None:
        guardian = Guardian()
        supervision = Supervision(guardian, tmp_path)
        one, two = supervision.share("0001-a"), supervision.share("0002-b")
        await one.arm(ONE, tmp_path)
        await two.arm(TWO, tmp_path)
        guardian.said.clear()
        one.stimulated()
        two.stimulated()
        one.observed()
        assert guardian.said == ["stimulated"]
        two.observed()
        assert guardian.said == ["stimulated", "observed"]
        guardian.lost.set_result("no heartbeat")
        assert [await one.lost, await two.lost] == ["no heartbeat", "no heartbeat"]

    run_virtual(main())
