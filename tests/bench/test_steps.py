"""What each kind of step does and leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from bench.answers import Answer, GivenAnswers, Judged, Permission
from bench.answers_file import Asked, answers_from_file
from bench.cause import EndKind
from bench.observing import StepStarted
from drivers import ConfigError
from sequences import Verdict
from sequences.expressions import as_expression
from sequences.language import Confirm, Entry, Question, Text
from tests.bench.benchtop import World
from tests.bench.small_bench import Ran, Scene, energised, run_small


def tail(unit: str, value: str = "result.x", *, more: str = "") -> str:
    """One result, named with its unit, and no criterion."""
    return f"\nresults: {{x_{unit}: '{value}'}}\n{more}"


def the_result(ran: Ran) -> float:
    (value,) = ran.outcome.results.values()
    return value


def waits(ran: Ran) -> list[str]:
    return [data["why"] for data in ran.data("step_ended")]


def test_a_rest_lasts_its_duration_with_the_output_off(tmp_path: Path) -> None:
    ran = run_small(tmp_path, "steps:\n  - rest: {duration: 90 s, results: {x: duration}}\n", tail=tail("s"))
    assert the_result(ran) == pytest.approx(90.0, abs=1e-6)
    assert waits(ran) == ["duration"]
    assert "output on" not in ran.world.acts


def test_a_rest_may_end_earlier_by_its_condition(tmp_path: Path) -> None:
    async def meanwhile(scene: Scene) -> None:
        await asyncio.sleep(100.0)
        scene.world.surface_c = [22.0, 22.0, 22.0]

    steps = "steps:\n  - rest: {duration: 1 h, end: 'temperature < 23 degC for 10 s', results: {x: duration}}\n"
    ran = run_small(tmp_path, steps, tail=tail("s"), meanwhile=meanwhile)
    assert waits(ran) == ["temperature < 23 degC for 10 s"]
    assert 100.0 < the_result(ran) < 115.0


def test_cccv_holds_the_voltage_until_the_current_has_fallen(tmp_path: Path) -> None:
    steps = (
        "steps:\n  - charge: {mode: cccv, voltage: 3.6 V, current: 1 I3, end: 'current <= 3 A', timeout: 5 h,"
        " results: {x: charge}}\n"
    )
    ran = run_small(tmp_path, steps, tail=tail("ah"))
    assert waits(ran) == ["current <= 3 A"]
    # from OCV 3.5 V to 3.6 V - 3 A x 1 mohm = 3.597 V, at 0.1 V/Ah
    assert the_result(ran) == pytest.approx(0.97, abs=0.005)
    assert ran.outcome.plant_truth is not None
    assert the_result(ran) == pytest.approx(ran.outcome.plant_truth["x_ah"], rel=1e-3)


def test_cv_without_a_current_is_limited_by_the_sample(tmp_path: Path) -> None:
    steps = "steps:\n  - charge: {mode: cv, voltage: 3.6 V, end: 'current <= 3 A', timeout: 5 h}\n"
    ran = run_small(tmp_path, steps, tail="\nresults: {}\n")
    assert "apply 3.6 V +60 -0 A" in ran.world.acts  # the cell file's operating charge current


def test_cp_sets_the_power(tmp_path: Path) -> None:
    steps = (
        "steps:\n  - discharge: {mode: cp, voltage: 3.3 V, power: 70 W, end: 'charge >= 1 Ah', timeout: 5 h,"
        " results: {x: charge}}\n"
    )
    ran = run_small(tmp_path, steps, tail=tail("ah"))
    settings = [data for data in ran.data("setpoint") if data.get("sink_power_w")]
    assert settings[0]["sink_power_w"] == 70.0
    assert settings[0]["source_power_w"] == 0.0
    assert the_result(ran) == pytest.approx(1.0, abs=0.02)


def test_a_set_value_that_comes_out_beyond_a_limit_never_leaves(tmp_path: Path) -> None:
    steps = (
        "steps:\n  - rest: {duration: 1 s, results: {x: voltage}}\n"
        "  - charge: {mode: cc, voltage: 'result.x + 1 V', current: 1 I3, timeout: 5 h}\n"
    )
    ran = run_small(tmp_path, steps, tail=tail("v"))
    assert ran.outcome.verdict is Verdict.ERROR
    assert isinstance(ran.outcome.error, ConfigError)
    assert "output on" not in ran.world.acts


def test_a_measure_takes_means(tmp_path: Path) -> None:
    async def meanwhile(scene: Scene) -> None:
        while not any(isinstance(one, StepStarted) for one in scene.seen):
            assert not scene.task.done()
            await asyncio.sleep(0.01)
        await asyncio.sleep(50.0)
        scene.world.surface_c = [26.0, 25.0, 25.0]  # by a kelvin: ten at once are a rate that trips

    steps = "steps:\n  - measure: {duration: 100 s, results: {x: temperature}}\n"
    ran = run_small(tmp_path, steps, tail=tail("c"), meanwhile=meanwhile)
    assert the_result(ran) == pytest.approx(25.5, abs=0.03)


def test_a_repeat_keeps_one_value_a_turn(tmp_path: Path) -> None:
    steps = """
steps:
  - repeat:
      count: 3
      steps:
        - charge: {mode: cc, voltage: 3.8 V, current: 1 I3, end: 'charge >= 0.5 Ah', timeout: 5 h, results: {x: charge}}
        - discharge: {mode: cc, voltage: 3.3 V, current: 1 I3, end: 'charge >= 0.25 Ah', timeout: 5 h}
"""
    ran = run_small(tmp_path, steps, tail=tail("ah", "mean(last(result.x, 3))"))
    assert the_result(ran) == pytest.approx(0.5, abs=0.01)
    taken = [data["results"]["x"] for data in ran.data("step_ended") if data["results"]]
    assert len(taken) == 3
    assert [data["path"] for data in ran.data("step_started")] == [
        f"1/{turn}/{n}" for turn in (1, 2, 3) for n in (1, 2)
    ]


@pytest.mark.parametrize(("within", "turns", "stable"), [("100 mV", 2, 1.0), ("1 mV", 4, 0.0)])
def test_repeat_until_stable_ends_when_the_last_agree_or_at_its_most(
    tmp_path: Path, within: str, turns: int, stable: float
) -> None:
    steps = f"""
steps:
  - repeat_until_stable:
      id: settle
      stable: {{result: x, last: 2, within: {within}}}
      at_most: 4
      steps:
        - charge:
            {{mode: cc, voltage: 3.8 V, current: 1 I3, end: 'charge >= 0.2 Ah', timeout: 5 h, results: {{x: voltage}}}}
        - rest: {{duration: 7 s}}
"""
    ran = run_small(tmp_path, steps, tail="\nresults: {turns: result.settle_turns, stable: result.settle_stable}\n")
    assert ran.outcome.results == {"turns": float(turns), "stable": stable}


def test_a_watch_covers_only_its_steps(tmp_path: Path) -> None:
    async def meanwhile(scene: Scene) -> None:
        await energised(scene)
        scene.world.surface_c = [33.0, 31.0, 30.0]
        while scene.world.output:
            assert not scene.task.done()
            await asyncio.sleep(0.01)
        scene.world.surface_c = [40.0, 40.0, 40.0]

    steps = """
steps:
  - charge: {id: fill, mode: cc, voltage: 3.8 V, current: 1 I3, end: 'charge >= 0.5 Ah', timeout: 5 h}
  - rest: {duration: 1 min}
"""
    more = "watch:\n  - {name: peak, of: temperature, take: max, during: [fill]}\n"
    ran = run_small(tmp_path, steps, tail=tail("c", "watch.peak", more=more), meanwhile=meanwhile)
    assert the_result(ran) == 33.0


CONFIRM = """
steps:
  - confirm:
      text: {en: Is the fixture mounted?, zh: 夹具已安装？}
      entries:
        - {name: humidity, prompt: {en: Humidity, zh: 湿度}, example: 45 %}
  - rest: {duration: 1 s}
"""
HUMID = "\nresults: {}\ncriteria:\n  - {id: humid, kind: condition, title: {en: h, zh: h}, value: entry.humidity, at_most: 75 %, source: {standard: t, edition: '1', grade: ours}}\n"  # noqa: E501


def test_the_simulated_operator_enters_the_bench_file_s_values_and_is_named(tmp_path: Path) -> None:
    ran = run_small(tmp_path, CONFIRM, tail=HUMID)
    assert ran.data("answered")[0] == {"by": "simulated operator", "values": {"humidity": 0.45}}
    (row,) = ran.outcome.criteria
    assert row.verdict is Verdict.PASS
    assert row.value == pytest.approx(45.0)


def test_an_entry_without_an_answer_leaves_its_condition_open(tmp_path: Path) -> None:
    ran = run_small(tmp_path, CONFIRM, tail=HUMID, answers=GivenAnswers("nobody", {}, confirms_hazard=False))
    assert ran.outcome.ended_by.kind is EndKind.COMPLETED
    assert ran.outcome.verdict is Verdict.INCONCLUSIVE


def test_a_confirmation_that_is_not_given_ends_the_run(tmp_path: Path) -> None:
    class Nobody:
        by = "nobody"

        async def ask(self, step: Confirm) -> Mapping[str, Answer] | None:
            return None

        async def permit(self, permission: Permission) -> str | None:
            return None

        async def judge(self, question: Question, shown: Iterable[str], /) -> Judged | None:
            return None

    ran = run_small(tmp_path, CONFIRM, tail=HUMID, answers=Nobody())
    assert ran.outcome.ended_by.kind is EndKind.PERSON
    assert ran.outcome.verdict is Verdict.ABORTED
    assert "unanswered" in ran.kinds


def test_hazards_are_confirmed_only_where_that_was_allowed(tmp_path: Path) -> None:
    hazardous = CONFIRM.replace("      entries:", "      hazardous: true\n      entries:")
    values = {"humidity": 0.45}
    ran = run_small(tmp_path / "a", hazardous, tail=HUMID, answers=GivenAnswers("f", values, confirms_hazard=False))
    assert ran.outcome.verdict is Verdict.ABORTED
    ran = run_small(tmp_path / "b", hazardous, tail=HUMID, answers=GivenAnswers("f", values, confirms_hazard=True))
    assert ran.outcome.verdict is Verdict.PASS


def test_answers_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "answers.yaml"
    path.write_text("schema: cellbench/answers/1\nanswers: {humidity: 51 %}\n")
    humidity = Entry(name="humidity", prompt=Text(en="h", zh="h"), example=as_expression("45 %"))
    answers = answers_from_file(path, Asked({"humidity": humidity}, {}, scans=False), simulated=True)
    ran = run_small(tmp_path / "run", CONFIRM, tail=HUMID, answers=answers)
    assert ran.data("answered")[0]["by"] == "answers.yaml"
    assert ran.outcome.criteria[0].value == pytest.approx(51.0)


def test_an_answer_of_another_dimension_is_none(tmp_path: Path) -> None:
    answers = GivenAnswers("f", {"humidity": "45 degC"}, confirms_hazard=False)
    assert run_small(tmp_path, CONFIRM, tail=HUMID, answers=answers).outcome.verdict is Verdict.INCONCLUSIVE


def test_readings_thin_at_rest_do_not_count_as_log_gaps(tmp_path: Path) -> None:
    steps = """
steps:
  - charge: {mode: cc, voltage: 3.8 V, current: 1 I3, end: 'charge >= 0.5 Ah', timeout: 5 h}
  - rest: {duration: 1 h, log: {every: 5 min}}
"""
    ran = run_small(tmp_path, steps, tail=tail("s", "run.longest_log_interval"))
    assert the_result(ran) <= 10.5


def test_the_world_of_these_tests_sums_what_flows() -> None:
    world = World()
    world.contactor = world.output = True
    world.setpoints = world.setpoints.__class__(9.0, 36.0, 0.0, 1e3, 0.0)
    world.advance(100.0)
    assert world.charged_ah == pytest.approx(1.0)
