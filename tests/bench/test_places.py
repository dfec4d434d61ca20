"""Binding of a run that goes from place to place: roles, limits, periods, and what a stimulus needs where it is."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from bench.config import BenchFile, load_bench, load_cell, read_bench
from bench.plan import Plan, bind
from drivers import ConfigError
from drivers.capabilities import DriverModel, OnCommLoss
from drivers.profiles import builtin
from sequences import Sequence
from sequences.language import Heat, Phase
from tests.bench.sequences_of_ours import AFTER, CAPACITY, NAIL, REST, TRANSFER, abuse
from tests.bench.stand_ins import CELLS, CHAMBER, DEMO, POINT_LIST, RIG, edited, models

CHARGE = "charge: {mode: cc, voltage: 4.2 V, current: 1 I3, timeout: 6 h}"
SHORT = "short: {phase: stimulus, duration: 10 min}"
CRUSH = (
    "crush: {phase: stimulus, speed: 2 mm/s, deformation: 15 %, force: '1000 * cell.weight', voltage: 0 V, "
    "timeout: 60 s}"
)
HEAT = "heat: {phase: stimulus, temperature: 130 degC, ramp: 5 K/min, tolerance: 2 K, timeout: 2 h}"
#: Two lines of the file that differ only in what is said about them.
PSB_POLL = 'poll = { stimulus = "0.8 s" }   # rows'
TH1_POLL = 'poll = { stimulus = "0.8 s" }   # eight'


def bench(*changes: tuple[str, str]) -> BenchFile:
    return read_bench(edited(DEMO, *changes), "bench.toml")


def bound(sequence: Sequence, on: BenchFile | None = None, **more: Any) -> Plan:
    given = {"mode": "simulated", "models": models(), **more}
    return bind(sequence, on or load_bench(DEMO), load_cell(CELLS / "nmc-25ah.toml"), **given)


def refused(sequence: Sequence, on: BenchFile | None = None, **more: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        bound(sequence, on, **more)
    assert all(fault.fix and fault.where for fault in caught.value.faults)
    return [f"{fault.where}: {fault.error} | {fault.fix}" for fault in caught.value.faults]


def only(faults: list[str]) -> str:
    assert len(faults) == 1, faults
    return faults[0]


NAILED = abuse(CHARGE, TRANSFER, NAIL)


# Places


def test_the_start_comes_first_and_a_transfer_leads_to_the_place_of_its_kind() -> None:
    plan = bound(NAILED)
    assert list(plan.places) == ["chamber1", "rig1"]
    assert plan.channel is plan.places["chamber1"]
    assert plan.channel.kind == "chamber"
    rig = plan.places["rig1"]
    assert (rig.kind, rig.zone, rig.name) == ("rig", "cell-a", "1")
    assert list(bound(REST).places) == ["chamber1"]


def test_a_place_has_contactor_sensors_and_tools_of_its_own_and_the_same_cycler() -> None:
    start, rig = bound(NAILED).places.values()
    assert (rig.voltage, rig.current) == (start.voltage, start.current) == ("psb.out.voltage_v", "psb.out.current_a")
    assert (str(start.contactor), start.contactor_feedback) == ("io1.do0", "io1.di0.on")
    assert (str(rig.contactor), rig.contactor_feedback) == ("io2.sample", "io2.sample_closed.on")
    assert (start.cell_voltage, rig.cell_voltage) == ("v1.ai0.voltage_v", "v1.ai1.voltage_v")
    assert rig.surface == tuple(f"th1.ai{number}.temperature_c" for number in (4, 5, 6))
    assert rig.ambient == "th1.ai7.temperature_c"
    assert (str(rig.rig), str(rig.exhaust), rig.heater) == ("rig.nail", "io2.exhaust", None)
    assert (str(rig.short), rig.short_feedback) == ("io2.short", "io2.short_closed.on")
    assert rig.pressure == "io2.pressure.pressure_kpa"
    assert rig.interlocks["door_locked"] == "rig.door_locked.on"
    assert (start.rig, start.short, start.pressure) == (None, None, None)
    assert dict(rig.detectors) == {name: f"io2.{name}_clear.on" for name in ("smoke", "flame", "gas")}


def test_only_the_devices_and_points_of_visited_places_take_part() -> None:
    assert bound(abuse(CHARGE, HEAT)).devices == ("psb", "io1", "ch1", "th1", "v1")
    plan = bound(NAILED)
    assert plan.devices == ("psb", "io1", "ch1", "th1", "v1", "rig", "io2")
    assert plan.points["th1"] == tuple(f"ai{number}" for number in range(8))
    assert plan.points["v1"] == ("ai0", "ai1")
    assert plan.points["rig"] == ("door_closed", "door_locked", "estop_released", "nail")
    assert len(plan.points["io2"]) == 10
    assert {"sample", "sample_closed", "short", "short_closed", "exhaust", "pressure"} < set(plan.points["io2"])


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ((TRANSFER.replace("rig", "position"), NAIL), "reaches no place of kind position"),
        ((TRANSFER, TRANSFER, NAIL), "in rig1 already"),
        ((f"repeat: {{count: 2, steps: [{TRANSFER}]}}".replace("[transfer", "[{transfer").replace("}]", "}}]"), NAIL),
         "repeat of several turns"),
    ],
)  # fmt: skip
def test_a_transfer_that_leads_nowhere_is_refused(steps: tuple[str, ...], words: str) -> None:
    assert any(words in fault for fault in refused(abuse(*steps)))


def test_a_kind_of_place_that_the_channel_reaches_twice_is_no_destination() -> None:
    place = '[places.rig2]\nkind = "rig"\nrig = "rig.nail"\nzone = "a"\n\n[channels.1]'
    reach = '[channels.1.reaches.rig2]\ncell_voltage = "v1.ai2"\ncontactor = "io1.do1"\n'
    on = bench(("[channels.1]", place), ("[limits]", f'{reach}contactor_feedback = "io1.di1"\n[limits]'))
    assert any("several places of kind rig: rig1, rig2" in fault for fault in refused(NAILED, on))


# Roles


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('rig = "rig.nail"', 'rig = "rig.door_closed"', "wanted a nail or a platen"),
        ('rig = "rig.nail"', 'rig = "rag.nail"', "did you mean rig"),
        ('pressure = "io2.pressure"', 'pressure = "io9.pressure"', "no device 'io9'"),
        ('short_contactor = "io2.short"', 'short_contactor = "io9.short"', "no device 'io9'"),
        ('rig = "rig.nail"\n', "", "place rig1 is a rig without a rig"),
        ('exhaust = "io2.exhaust"', 'exhaust = "io2.short"', "io2.short is bound twice"),
        ('exhaust = "io2.exhaust"', 'exhaust = "io2.exhaust_flow"', "wanted a two-state output"),
        ('exhaust = "io2.exhaust"', 'heater = "io2.sample"', "io2.sample is bound twice"),
        ('pressure = "io2.pressure"', 'pressure = "io2.gas_clear"', "wanted a pressure input"),
        ('pressure = "io2.pressure"\n', "", "limits a pressure that nothing measures"),
        ('gas_clear = "io2.gas_clear"', 'gas_clear = "io2.gas"', "no point 'gas'"),
        ("[channels.1.reaches.rig1]", "[channels.1.reaches.rig9]", "reaches no place 'rig9'"),
        ("[channels.1.reaches.rig1]", "[channels.1.reaches.chamber1]", "which is its own place"),
        ('contactor = "io2.sample"', 'contactor = "io1.do0"', "io1.do0 is bound twice"),
        ('cell_voltage = "v1.ai1"', 'cell_voltage = "v1.ai0"', "v1.ai0 is bound twice"),
        ('contactor_feedback = "io2.short_closed"', 'contactor_feedback = "io2.sample_closed"', "bound twice"),
        ('short_contactor_feedback = "io2.short_closed"\n', "", "come together"),
        ('short_contactor = "io2.short"\n', "", "come together"),
        ('profile = "reference"\n', "", "needs a profile"),
        ('profile = "reference"', 'profile = "referense"', "referense"),
        ('model = "icpdas-m-7018"', 'model = "icpdas-m-7018"\nprofile = "reference"', "no profile"),
        ('stroke = "300 mm", ', "", "the rating has no stroke"),
    ],
)  # fmt: skip
def test_a_slip_at_the_rig_is_refused_with_its_line(old: str, new: str, words: str) -> None:
    faults = refused(NAILED, bench((old, new)))
    assert any(words in fault and fault.startswith("bench.toml:") for fault in faults), faults


def test_a_profile_of_ones_own_stands_beside_the_bench_file(tmp_path: Path) -> None:
    (tmp_path / "bench.toml").write_text(edited(DEMO, ('profile = "rig1-points"', 'profile = "lists/mine.toml"')))
    (said,) = refused(NAILED, load_bench(tmp_path / "bench.toml"))[:1]
    assert str(tmp_path / "lists" / "mine.toml") in said
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "mine.toml").write_text(builtin("rig1-points"))
    plan = bound(NAILED, load_bench(tmp_path / "bench.toml"))
    assert plan.points == bound(NAILED).points


# Limits


def limits(plan: Plan, place: str, phase: Phase) -> dict[tuple[str, str], tuple[float | None, float | None, str]]:
    return {(each.rule, each.channel): (each.low, each.high, each.subject) for each in plan.limits_in(place, phase)}


def test_conditioning_is_held_to_the_cells_operating_limits_in_every_place() -> None:
    plan = bound(NAILED)
    assert plan.limits == plan.limits_in("chamber1", Phase.CONDITIONING)
    for place, surface, air in (("chamber1", "th1.ai0", "th1.ai3"), ("rig1", "th1.ai4", "th1.ai7")):
        held = limits(plan, place, Phase.CONDITIONING)
        assert held["sample.temperature", f"{surface}.temperature_c"] == (-11.0, 61.0, "sample")  # -10 to 60 and 1 K
        assert held["bench.surface_temperature", f"{surface}.temperature_c"] == (None, 130.0, "bench")
        assert held["bench.place_temperature", f"{air}.temperature_c"] == (-45.0, 120.0, "bench")


@pytest.mark.parametrize("phase", [Phase.STIMULUS, Phase.OBSERVATION])
def test_from_the_stimulus_on_the_abuse_ceilings_and_what_the_place_is_built_for_count(phase: Phase) -> None:
    plan = bound(NAILED)
    held = limits(plan, "rig1", phase)
    assert held["sample.temperature", "th1.ai5.temperature_c"] == (None, 1101.0, "sample")
    assert held["sample.cell_voltage", "v1.ai1.voltage_v"][:2] == pytest.approx((0.0 - 0.047, 6.3 + 0.047))
    assert held["bench.surface_temperature", "th1.ai4.temperature_c"] == (None, 1200.0, "bench")
    assert held["bench.place_temperature", "th1.ai7.temperature_c"] == (None, 400.0, "bench")
    assert held["bench.cell_voltage", "v1.ai1.voltage_v"] == (-0.5, 5.0, "bench")  # no place widens it
    own = limits(plan, "chamber1", phase)
    assert own["bench.place_temperature", "th1.ai3.temperature_c"] == (-45.0, 148.0, "bench")


def test_a_test_that_is_no_abuse_never_gets_wider_limits() -> None:
    plan = bound(REST)
    assert plan.limits_in("chamber1", Phase.STIMULUS) == plan.limits_in("chamber1", Phase.CONDITIONING)
    with pytest.raises(KeyError):
        plan.limits_in("rig1", Phase.CONDITIONING)


@pytest.mark.parametrize("phase", list(Phase))
def test_pressure_rig_detectors_and_interlocks_are_held_in_every_phase(phase: Phase) -> None:
    held = limits(bound(NAILED), "rig1", phase)
    assert held["bench.pressure", "io2.pressure.pressure_kpa"] == (None, 150.0, "bench")
    assert held["bench.force", "rig.nail.force_n"] == (None, 150e3, "bench")
    assert held["bench.position", "rig.nail.position_mm"] == (None, 300.0, "bench")
    for name, device, subject in (
        ("door_closed", "rig", "interlock"),
        ("door_locked", "rig", "interlock"),
        ("estop_released", "rig", "interlock"),
        ("exhaust_flow", "io2", "interlock"),
        ("smoke_clear", "io2", "detector"),
        ("flame_clear", "io2", "detector"),
        ("gas_clear", "io2", "detector"),
    ):
        low, high, found = held[f"interlock.{name}", f"{device}.{name}.on"]
        assert low is not None
        assert 0.0 < low < 1.0
        assert (high, found) == (None, subject)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('high = "148 degC"', 'high = "151 degC"', "places.chamber1.limits.place_temperature.high = 151 degC"),
        ('{ high = "400 degC" }', '{ high = "1400 degC" }', "places.rig1.limits.place_temperature.high"),
        ('pressure = { high = "150 kPa" }', 'pressure = { high = "700 kPa" }', "outside the range of io2"),
    ],
)  # fmt: skip
def test_a_places_limit_that_could_never_trip_is_refused(old: str, new: str, words: str) -> None:
    assert words in only(refused(NAILED, bench((old, new))))


def test_the_instruments_own_limits_leave_room_only_for_what_is_driven() -> None:
    # 4.2 V, two margins of 60 mV; 75 A, two of 1 % + 0.17 A + 0.03 A
    nailed = bound(NAILED).device_limits
    assert (nailed.over_voltage_v, nailed.over_current_a) == pytest.approx((4.32, 76.9))
    over = "charge: {phase: stimulus, mode: cc, voltage: 1.1 * cell.v_max, current: 1 I1, timeout: 2 h}"
    assert bound(abuse(CHARGE, over)).device_limits.over_voltage_v == 5.0  # 6.3 V, pulled in to the bench's limit


# Steps and their place


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ((CHARGE, NAIL), "place chamber1 has no rig"),
        ((CHARGE, CRUSH), "place chamber1 has no rig"),
        ((CHARGE, SHORT), "no short contactor with feedback"),
        ((TRANSFER, HEAT), "place rig1 has no chamber"),
        ((TRANSFER, HEAT.replace("ramp: 5 K/min", "by: heater")), "place rig1 has no heater"),
        ((TRANSFER, "chamber: {temperature: 25 degC}", NAIL), "no chamber"),
        ((TRANSFER, NAIL.replace("25 mm/s", "51 mm/s")), "speed 51 mm/s is outside the rating of rig"),
        ((TRANSFER, NAIL.replace("10 mm,", "280 mm,")), "depth 307 mm is outside the rating of rig"),
        ((TRANSFER, NAIL.replace("20 kN", "151 kN")), "force 151000 N is outside the rating of rig"),
        ((TRANSFER, CRUSH.replace("15 %", "101 %")), "no part of the sample's thickness"),
        ((CHARGE, HEAT.replace("130 degC", "149 degC")), "149 degC is looser than the bench's limits"),
    ],
)  # fmt: skip
def test_a_step_needs_its_tool_where_the_sample_is(steps: tuple[str, ...], words: str) -> None:
    assert any(words in fault for fault in refused(abuse(*steps)))


def test_steps_with_their_tool_and_within_its_rating_bind() -> None:
    assert bound(abuse(TRANSFER, NAIL))
    assert bound(abuse(TRANSFER, CRUSH))
    assert bound(abuse(TRANSFER, SHORT))
    assert bound(abuse(CHARGE, HEAT))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"speed": "0 mm/s"}, "speed 0 mm/s is outside the rating of rig"),
        ({"speed": "50.1 mm/s"}, "speed 50.1 mm/s is outside the rating of rig"),
        ({"patience": "0 s"}, "timeout"),
        ({"watched": "7 h"}, "cut short"),
    ],
)
def test_what_a_parameter_makes_of_a_step_is_checked_as_well(overrides: dict[str, str], words: str) -> None:
    sequence = abuse(
        TRANSFER,
        NAIL.replace("25 mm/s", "param.speed").replace("60 s", "param.patience"),
        after=AFTER.replace("duration: 1 h", "duration: param.watched"),
        more="parameters: {speed: {default: 25 mm/s}, patience: {default: 60 s}, watched: {default: 1 h}}\n",
    )
    assert bound(sequence)
    assert words in only(refused(sequence, overrides=overrides))


def test_a_set_value_is_judged_by_the_place_and_phase_of_its_step() -> None:
    plan = bound(abuse(CHARGE, HEAT))
    heat = plan.sequence.steps[1]
    assert isinstance(heat, Heat)
    assert plan.check_setpoints(heat, 148.0) == []
    assert len(plan.check_setpoints(heat, 148.5)) == 1  # the chamber itself goes to 150 degC


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('surface = ["th1.ai4", "th1.ai5", "th1.ai6"]', 'surface = ["th1.ai4"]', "an abuse test needs 2"),
        ('ambient = "th1.ai7"\n', "", "nothing measures the air of place rig1"),
    ],
)
def test_a_stimulus_is_watched_by_two_surface_points_and_one_of_the_enclosure(old: str, new: str, words: str) -> None:
    assert any(words in fault for fault in refused(NAILED, bench((old, new))))


def test_weight_and_thickness_have_their_names() -> None:
    values = bound(NAILED).values
    assert values["cell.weight"] == pytest.approx(0.7189 * 9.80665)
    assert values["cell.thickness"] == 27.0
    with_round = bind(REST, load_bench(DEMO), load_cell(CELLS / "nmc-21700.toml"), mode="simulated", models=models())
    assert with_round.values["cell.thickness"] == 21.0  # across the jelly roll


# Periods, watchdogs


def test_a_rig_is_read_closely_only_while_it_is_armed_or_moves() -> None:
    poll = bound(NAILED).polls["rig"]
    assert (poll.moving_s, poll.energised_s, poll.rest_s, poll.stimulus_s) == (0.1, 5.0, 5.0, 1.0)
    plain = bench(('poll = { energised = "0.1 s", rest = "5 s" }\n', ""))
    assert bound(NAILED, plain).polls["rig"].moving_s == 0.1
    beside = bound(abuse(TRANSFER, CHARGE, NAIL)).polls["rig"]  # its door counts while a cell is charged beside it
    assert (beside.moving_s, beside.energised_s) == (0.1, 1.0)


def test_from_the_stimulus_on_everything_is_read_at_the_common_period_or_its_own_faster_one() -> None:
    unsaid = bench(
        (PSB_POLL, "# rows"),
        (', stimulus = "5 s" }', " }"),
        (TH1_POLL, 'poll = { energised = "0.9 s" }   # eight'),
    )
    polls = bound(NAILED, unsaid).polls
    assert {name: poll.stimulus_s for name, poll in polls.items()} == {
        "psb": 1.0, "io1": 1.0, "ch1": 1.0, "th1": 0.9, "v1": 1.0, "rig": 1.0, "io2": 1.0,
    }  # fmt: skip
    assert (polls["ch1"].energised_s, polls["v1"].energised_s) == (5.0, 5.0)
    assert all(poll.moving_s is None for name, poll in polls.items() if name != "rig")


def test_a_period_for_the_stimulus_that_the_file_gives_counts_whether_faster_or_slower() -> None:
    polls = bound(NAILED).polls
    assert {name: polls[name].stimulus_s for name in ("psb", "ch1", "th1")} == {"psb": 0.8, "ch1": 5.0, "th1": 0.8}
    assert polls["psb"].energised_s == 1.0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('energised = "0.1 s", rest = "5 s"', 'energised = "0.2 s", rest = "5 s"', "every 0.1 s or faster"),
        ('energised = "0.1 s", rest = "5 s"', 'energised = "0.01 s", rest = "5 s"', "faster than penetration-rig"),
        ('energised = "0.1 s", rest = "5 s"', 'energised = "0.1 s", rest = "0.08 s"', "more often at rest"),
        (TH1_POLL, 'poll = { stimulus = "0.5 s" }   # eight', "faster than icpdas-m-7018"),
        (TH1_POLL, 'poll = { stimulus = "1.5 s" }   # eight', "from the stimulus on"),
        ('profile = "rig1-points"\nwatchdog = "4 s"', 'profile = "rig1-points"', "io2 has a host watchdog"),
        ('profile = "reference"', 'profile = "reference"\nwatchdog = "4 s"', "set with each stroke"),
    ],
)  # fmt: skip
def test_periods_and_watchdogs_at_the_rig_have_their_rules(old: str, new: str, words: str) -> None:
    fault = only(refused(NAILED, bench((old, new))))
    assert words in fault
    assert fault.startswith("bench.toml:")


def test_every_module_that_drives_an_output_is_watched() -> None:
    assert bound(NAILED).watchdogs == {"psb": 4.0, "io1": 4.0, "io2": 4.0}
    deaf = dataclasses.replace(
        POINT_LIST,
        on_comm_loss=OnCommLoss.NONE,
        watchdog_max_s=None,
        with_profile=lambda text, where: dataclasses.replace(
            (POINT_LIST.with_profile or (lambda *_: POINT_LIST))(text, where),
            on_comm_loss=OnCommLoss.NONE,
            watchdog_max_s=None,
        ),
    )
    on = bench(('profile = "rig1-points"\nwatchdog = "4 s"', 'profile = "rig1-points"'))
    said = " ".join(refused(NAILED, on, models=models(deaf)))
    assert "the contactor is driven by io2" in said
    assert "the short contactor is driven by io2" in said


@pytest.mark.parametrize("loss", [OnCommLoss.NONE, OnCommLoss.EXTERNAL_RELAY])
@pytest.mark.parametrize(
    ("model", "sequence", "words"),
    [
        (CHAMBER, abuse(CHARGE, HEAT), "ch1 (espec-p300) goes on heating when the host falls silent"),
        (RIG, NAILED, "rig (penetration-rig) goes on driving its tool when the host falls silent"),
        (RIG, abuse(CHARGE, TRANSFER, CRUSH), "rig (penetration-rig) goes on driving its tool"),
    ],
)
def test_a_tool_that_nothing_stops_without_the_host_is_refused(
    loss: OnCommLoss, model: DriverModel, sequence: Sequence, words: str
) -> None:
    """Another maker's driver may say so; the sample's contactor takes nothing away from a chamber or a press."""
    endless = dataclasses.replace(model, on_comm_loss=loss)
    if model is RIG:
        endless = dataclasses.replace(
            endless,
            with_profile=lambda text, where: dataclasses.replace(
                (RIG.with_profile or (lambda *_: RIG))(text, where), on_comm_loss=loss
            ),
        )
    fault = only(refused(sequence, models=models(endless)))
    assert words in fault
    assert f"on_comm_loss {loss.value}" in fault
    bound(sequence)  # with a watchdog, or limits of its own
    bound(abuse(CHARGE, TRANSFER, SHORT), models=models(endless))  # neither is asked to do anything


# The rest


def test_the_plans_document_holds_every_place_with_its_limits_by_phase() -> None:
    plan = bound(NAILED)
    read = json.loads(json.dumps(plan.document(), allow_nan=False))
    assert set(read["places"]) == {"chamber1", "rig1"}
    rig = read["places"]["rig1"]
    assert rig["channel"]["contactor"] == {"device": "io2", "point": "sample"}
    assert set(rig["limits"]) == {"conditioning", "stimulus", "observation"}
    assert any(each["rule"] == "bench.force" and each["high"] == 150e3 for each in rig["limits"]["stimulus"])
    assert read["channel"]["place"] == "chamber1"
    assert read["polls"]["rig"]["moving_s"] == 0.1


def test_the_estimate_counts_the_stroke_and_the_observation() -> None:
    # 37 mm at 25 mm/s, and an hour; carrying takes a person some minutes
    quick = bound(abuse(TRANSFER, NAIL)).estimate_s
    assert 3600.0 + 37.0 / 25.0 < quick < 3600.0 + 900.0
    slow = bound(abuse(TRANSFER, NAIL.replace("25 mm/s", "1 mm/s"))).estimate_s
    assert slow - quick == pytest.approx(37.0 - 37.0 / 25.0)
    heated = bound(abuse(CHARGE, HEAT)).estimate_s
    assert heated - bound(abuse(CHARGE, HEAT.replace("5 K/min", "10 K/min"))).estimate_s == pytest.approx(107 / 10 * 60)


def test_certificates_of_every_visited_place_count() -> None:
    watching_air = NAILED.model_copy(update={"watch": CAPACITY.watch})
    points = [point for point, _, _ in bound(watching_air).evidence.points]
    assert points == ["psb.out", "th1.ai3", "th1.ai7"]
