"""How often each device is read, its host watchdog, and what takes energy away when the host falls silent."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from collections.abc import Sequence as Several
from typing import Literal

from bench.binding.faults import Findings
from bench.binding.points import Equipment
from bench.binding.route import Route
from bench.binding.shapes import BoundChannel, GuardLimit, Poll
from bench.binding.steps import where_is
from bench.config import BenchFile
from bench.config.bench_file import LONGEST_WATCHDOG_S
from drivers.capabilities import DeviceKind, OnCommLoss, PointKind
from sequences.language import ChamberSet, Crush, Heat, Penetrate, Sequence
from sequences.tree import numbered

#: Slowest poll of a channel that feeds a hard limit or an interlock, while something is energised.
HARD_POLL_S = 1.0
#: Slowest poll of a rig that is armed or moves: a stroke lasts 0.5 to 1.6 s.
MOVING_POLL_S = 0.1


def polls(
    equipment: Equipment, used: Iterable[str], findings: Findings, *, energised: Container[str]
) -> dict[str, Poll]:
    """The periods of the used devices. A period the file does not give is raised to what the driver can do; one that
    it does give is refused below that. ``energised`` are the rigs beside which a cell is charged or discharged in
    conditioning."""
    return {
        name: _poll(equipment, name, findings, beside_energy=name in energised)
        for name in used
        if name in equipment.models
    }


def _poll(equipment: Equipment, name: str, findings: Findings, *, beside_energy: bool) -> Poll:
    bench, model = equipment.bench, equipment.models[name]
    own, common, floor_s = bench.devices[name].poll, bench.polling, model.min_poll_s
    for key, given_s in (("energised", own.energised_s), ("rest", own.rest_s), ("stimulus", own.stimulus_s)):
        findings.need(
            given_s is None or given_s >= floor_s,
            f"{name}: polled every {given_s} s, faster than {model.name} can be read ({floor_s:g} s)",
            bench.where("devices", name, "poll", key),
            f"write {floor_s:g} s or more",
        )
    if model.kind is DeviceKind.RIG:
        return _rig_poll(bench, name, floor_s, findings, beside_energy=beside_energy)
    energised_s = own.energised_s if own.energised_s is not None else max(common.energised_s, floor_s)
    rest_s = own.rest_s if own.rest_s is not None else max(common.rest_s, energised_s)
    findings.need(
        rest_s >= energised_s,
        f"{name}: read more often at rest ({rest_s:g} s) than energised ({energised_s:g} s)",
        bench.where("devices", name, "poll"),
        "the period at rest is the longer one"
        if own.energised_s is not None
        else f"the period at rest is the longer one; {energised_s:g} s come from {bench.where('polling', 'energised')}",
    )
    stimulus_s = own.stimulus_s if own.stimulus_s is not None else max(min(common.energised_s, energised_s), floor_s)
    return Poll(energised_s, rest_s, stimulus_s)


def _rig_poll(bench: BenchFile, name: str, floor_s: float, findings: Findings, *, beside_energy: bool) -> Poll:
    """A rig's own ``energised`` is its period while it is armed or moves. Elsewhere something may be energised for
    hours, so that the rig is read as at rest then; beside a cell under current it is read as a hard limit is."""
    own, common = bench.devices[name].poll, bench.polling
    moving_s = own.energised_s if own.energised_s is not None else max(min(common.energised_s, MOVING_POLL_S), floor_s)
    rest_s = own.rest_s if own.rest_s is not None else max(common.rest_s, moving_s)
    findings.need(
        moving_s <= MOVING_POLL_S,
        f"{name}: a rig that is armed or moves is read every {MOVING_POLL_S:g} s or faster, not every {moving_s:g} s",
        bench.where("devices", name, "poll", "energised"),
        f'write energised = "{max(MOVING_POLL_S, floor_s):g} s", or leave it out',
    )
    findings.need(
        rest_s >= moving_s,
        f"{name}: read more often at rest ({rest_s:g} s) than while it moves ({moving_s:g} s)",
        bench.where("devices", name, "poll"),
        "the period at rest is the longer one",
    )
    energised_s = min(rest_s, HARD_POLL_S) if beside_energy else rest_s
    stimulus_s = own.stimulus_s if own.stimulus_s is not None else max(min(common.energised_s, rest_s), floor_s)
    return Poll(energised_s, rest_s, stimulus_s, moving_s)


def check_hard_polls(
    bench: BenchFile,
    periods: Mapping[str, Poll],
    limits: Iterable[GuardLimit],
    findings: Findings,
    *,
    key: Literal["energised", "stimulus"] = "energised",
) -> None:
    """A channel that feeds a hard limit or an interlock is read at least once a second while energised, and in the
    stimulus and the observation of an abuse test."""
    fed: dict[str, str] = {}
    for limit in limits:
        if limit.hard:
            fed.setdefault(limit.channel.partition(".")[0], limit.rule)
    when = "while energised" if key == "energised" else "from the stimulus on"
    for device, rule in fed.items():
        poll = periods.get(device)
        if poll is not None:
            period_s = poll.energised_s if key == "energised" or poll.stimulus_s is None else poll.stimulus_s
            findings.need(
                period_s <= HARD_POLL_S,
                f"{device} feeds {rule}, but is read only every {period_s:g} s {when}",
                bench.where("devices", device, "poll", key),
                f"poll it every {HARD_POLL_S:g} s or faster; a device that cannot must not carry a hard limit",
            )


def watchdogs(
    equipment: Equipment,
    channels: Several[BoundChannel],
    used: Mapping[str, tuple[str, ...]],
    periods: Mapping[str, Poll],
    findings: Findings,
) -> dict[str, float]:
    """The host watchdog of each used device that has one, in seconds, and the rules about them.

    A rig's link watchdog is written with each stroke and is none of these. A module of which only inputs are used
    needs none: it holds nothing that could go on.
    """
    bench = equipment.bench
    found: dict[str, float] = {}
    for name in periods:
        model, given_s = equipment.models[name], bench.devices[name].watchdog_s
        where = bench.where("devices", name, "watchdog")
        longest_s = min(LONGEST_WATCHDOG_S, model.watchdog_max_s or LONGEST_WATCHDOG_S)
        watched = model.on_comm_loss is OnCommLoss.DEVICE_WATCHDOG and model.kind is not DeviceKind.RIG
        drives = model.kind is not DeviceKind.SWITCHES or any(
            model.points.get(point) is PointKind.OUTPUT for point in used[name]
        )
        if given_s is None:
            findings.need(
                not (watched and drives),
                f"{name} has a host watchdog, but the bench file gives it no time",
                where,
                f'add watchdog = "{min(4.0, longest_s):g} s": without it the device goes on when this program is gone',
            )
        elif findings.need(
            watched,
            f"{name}: {model.name} has no host watchdog",
            where,
            "remove the key; a rig's link watchdog is set with each stroke"
            if model.kind is DeviceKind.RIG
            else "remove the key; nothing would watch the host there",
        ) and findings.need(
            given_s <= longest_s,
            f"{name}: a watchdog of {given_s:g} s is too long (at most {longest_s:g} s)",
            where,
            f"energy must be gone within {LONGEST_WATCHDOG_S:g} s of the host: write {longest_s:g} s or less",
        ):
            found[name] = given_s
    for channel in channels:
        _comm_loss(equipment, channel, found, findings)
    _often_enough(bench, periods, found, findings)
    return found


def _often_enough(
    bench: BenchFile, periods: Mapping[str, Poll], found: Mapping[str, float], findings: Findings
) -> None:
    """A device with a watchdog is read at least twice within the shortest watchdog, at rest too."""
    if not found:
        return
    shortest_s = min(found.values())
    for name in found:
        poll = periods[name]
        stimulus_s = poll.energised_s if poll.stimulus_s is None else poll.stimulus_s
        for key, period_s in (("energised", poll.energised_s), ("rest", poll.rest_s), ("stimulus", stimulus_s)):
            where = _written(bench, name, key, poll)
            findings.need(
                period_s <= shortest_s / 2 or where is None,
                f"{name} is read every {period_s:g} s ({key}), slower than half of the shortest watchdog "
                f"({shortest_s:g} s): it would trip on a healthy host",
                where or "",
                f"poll it every {shortest_s / 2:g} s or faster, or lengthen the watchdog",
            )


def _written(bench: BenchFile, name: str, key: str, poll: Poll) -> str | None:
    """Where a period of a device was written; None for one that only follows its energised period, told by that."""
    if getattr(bench.devices[name].poll, f"{key}_s") is not None:
        return bench.where("devices", name, "poll", key)
    follows = key == "stimulus" or (key == "rest" and bench.polling.rest_s < poll.energised_s)
    return None if follows else bench.where("polling", key)


def _comm_loss(equipment: Equipment, channel: BoundChannel, found: Mapping[str, float], findings: Findings) -> None:
    """Something takes energy away when the host falls silent: the device itself, or the contactor by its module."""
    bench, relay, cycler = equipment.bench, channel.contactor.device, channel.cycler.device
    path: tuple[str, ...] = ("channels", channel.name)
    if channel.place != bench.channels[channel.name].place:
        path = (*path, "reaches", channel.place)
    for what, point, where in (
        ("contactor", channel.contactor, bench.where(*path, "contactor")),
        ("short contactor", channel.short, bench.where(*path, "short_contactor")),
        ("heater", channel.heater, bench.where("places", channel.place, "heater")),
    ):
        findings.need(
            point is None
            or point.device in found
            or point.device not in equipment.models
            or equipment.models[point.device].on_comm_loss is OnCommLoss.DEVICE_WATCHDOG  # its time is missing: told
            or bench.devices[point.device].watchdog_s is not None,
            f"the {what} is driven by {point.device if point else ''}, which has no host watchdog armed",
            where,
            "drive it from a module that drops its outputs by itself when the host falls silent",
        )
    model = equipment.models.get(cycler)
    # Its own limits bound what it delivers and end nothing; a relay that it counts on is the sample's contactor.
    if model is not None and model.on_comm_loss is not OnCommLoss.DEVICE_WATCHDOG:
        findings.need(
            relay in found,
            f"{cycler} goes on delivering energy when the host falls silent, and no relay of this channel opens by "
            "itself",
            bench.where("channels", channel.name, "cycler"),
            "drive the contactor from a module with a watchdog, or use a cycler that has one",
        )


def check_tools(
    sequence: Sequence,
    equipment: Equipment,
    route: Route,
    places: Mapping[str, BoundChannel],
    findings: Findings,
) -> None:
    """A chamber that a step sets, and a rig that a step drives, end by themselves when the host falls silent: by a
    watchdog, or by limits of their own. The sample's contactor stops neither."""
    told: set[str] = set()
    for number, step in numbered(sequence.steps):
        channel = places[route.at[number]]
        match step:
            case ChamberSet() | Heat(by="chamber"):
                point, key, does = channel.chamber, "chamber", "goes on heating"
            case Penetrate() | Crush():
                point, key, does = channel.rig, "rig", "goes on driving its tool"
            case _:
                continue
        model = None if point is None else equipment.models.get(point.device)
        if point is None or model is None or point.device in told:
            continue
        told.add(point.device)
        findings.need(
            model.on_comm_loss in (OnCommLoss.DEVICE_WATCHDOG, OnCommLoss.DEVICE_LIMITS),
            f"{where_is(sequence, number, step)}: {point.device} ({model.name}) {does} when the host falls silent: its "
            f"driver says on_comm_loss {model.on_comm_loss.value}",
            equipment.bench.where("places", channel.place, key),
            f"use a {key} with a watchdog or limits of its own; a driver whose device has them says device_watchdog or "
            "device_limits",
        )


def heater_without_host(equipment: Equipment, channel: BoundChannel) -> str | None:
    """A warning for a chamber that nothing stops without the host: its own over-temperature cut-out is hardware."""
    device = channel.chamber_device
    model = equipment.models.get(device) if device is not None else None
    if model is None or model.kind is not DeviceKind.CHAMBER or model.on_comm_loss is OnCommLoss.DEVICE_WATCHDOG:
        return None
    return (
        f"{device} ({model.name}) holds its last setpoint when the host falls silent; "
        "its own over-temperature cut-out must be set for this cell"
    )
