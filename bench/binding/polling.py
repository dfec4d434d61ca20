"""How often each device is read, its host watchdog, and what takes energy away when the host falls silent."""

from __future__ import annotations

from bench.binding.faults import Findings
from bench.binding.points import Equipment
from bench.binding.shapes import BoundChannel, GuardLimit, Poll
from bench.config import BenchFile
from bench.config.bench_file import LONGEST_WATCHDOG_S
from drivers.capabilities import DeviceKind, DriverModel, OnCommLoss

#: Slowest poll of a channel that feeds a hard limit or an interlock, while something is energised.
HARD_POLL_S = 1.0


def polls(equipment: Equipment, used: tuple[str, ...], findings: Findings) -> dict[str, Poll]:
    """The periods of the used devices. A period the file does not give is raised to what the driver can do; one that
    it does give is refused below that."""
    bench = equipment.bench
    return {name: _poll(bench, name, equipment.models[name], findings) for name in used if name in equipment.models}


def _poll(bench: BenchFile, name: str, model: DriverModel, findings: Findings) -> Poll:
    own, common, floor_s = bench.devices[name].poll, bench.polling, model.min_poll_s
    for key, given_s in (("energised", own.energised_s), ("rest", own.rest_s)):
        findings.need(
            given_s is None or given_s >= floor_s,
            f"{name}: polled every {given_s} s, faster than {model.name} can be read ({floor_s:g} s)",
            bench.where("devices", name, "poll", key),
            f"write {floor_s:g} s or more",
        )
    energised_s = own.energised_s if own.energised_s is not None else max(common.energised_s, floor_s)
    rest_s = own.rest_s if own.rest_s is not None else max(common.rest_s, energised_s)
    findings.need(
        rest_s >= energised_s,
        f"{name}: read more often at rest ({rest_s:g} s) than energised ({energised_s:g} s)",
        bench.where("devices", name, "poll"),
        "the period at rest is the longer one",
    )
    return Poll(energised_s, rest_s)


def check_hard_polls(
    bench: BenchFile, periods: dict[str, Poll], limits: tuple[GuardLimit, ...], findings: Findings
) -> None:
    """A channel that feeds a hard limit or an interlock is read at least once a second while energised."""
    fed: dict[str, str] = {}
    for limit in limits:
        if limit.hard:
            fed.setdefault(limit.channel.partition(".")[0], limit.rule)
    for device, rule in fed.items():
        poll = periods.get(device)
        if poll is not None:
            findings.need(
                poll.energised_s <= HARD_POLL_S,
                f"{device} feeds {rule}, but is read only every {poll.energised_s:g} s while energised",
                bench.where("devices", device, "poll", "energised"),
                f"poll it every {HARD_POLL_S:g} s or faster; a device that cannot must not carry a hard limit",
            )


def watchdogs(
    equipment: Equipment, channel: BoundChannel, periods: dict[str, Poll], findings: Findings
) -> dict[str, float]:
    """The host watchdog of each used device that has one, in seconds, and the rules about them."""
    bench = equipment.bench
    found: dict[str, float] = {}
    for name in periods:
        model, given_s = equipment.models[name], bench.devices[name].watchdog_s
        where = bench.where("devices", name, "watchdog")
        longest_s = min(LONGEST_WATCHDOG_S, model.watchdog_max_s or LONGEST_WATCHDOG_S)
        if given_s is None:
            findings.need(
                model.on_comm_loss is not OnCommLoss.DEVICE_WATCHDOG,
                f"{name} has a host watchdog, but the bench file gives it no time",
                where,
                f'add watchdog = "{min(4.0, longest_s):g} s": without it the device goes on when this program is gone',
            )
        elif findings.need(
            model.on_comm_loss is OnCommLoss.DEVICE_WATCHDOG,
            f"{name}: {model.name} has no host watchdog",
            where,
            "remove the key; nothing would watch the host there",
        ) and findings.need(
            given_s <= longest_s,
            f"{name}: a watchdog of {given_s:g} s is too long (at most {longest_s:g} s)",
            where,
            f"energy must be gone within {LONGEST_WATCHDOG_S:g} s of the host: write {longest_s:g} s or less",
        ):
            found[name] = given_s
    _comm_loss(equipment, channel, found, findings)
    _often_enough(bench, periods, found, findings)
    return found


def _often_enough(bench: BenchFile, periods: dict[str, Poll], found: dict[str, float], findings: Findings) -> None:
    """A device with a watchdog is read at least twice within the shortest watchdog, at rest too."""
    if not found:
        return
    shortest_s = min(found.values())
    for name in found:
        for key, period_s in (("energised", periods[name].energised_s), ("rest", periods[name].rest_s)):
            findings.need(
                period_s <= shortest_s / 2,
                f"{name} is read every {period_s:g} s ({key}), slower than half of the shortest watchdog "
                f"({shortest_s:g} s): it would trip on a healthy host",
                bench.where("devices", name, "poll", key)
                if getattr(bench.devices[name].poll, f"{key}_s") is not None
                else bench.where("polling", key),
                f"poll it every {shortest_s / 2:g} s or faster, or lengthen the watchdog",
            )


def _comm_loss(equipment: Equipment, channel: BoundChannel, found: dict[str, float], findings: Findings) -> None:
    """Something takes energy away when the host falls silent: the device itself, or the contactor by its module."""
    bench, relay, cycler = equipment.bench, channel.contactor.device, channel.cycler.device
    findings.need(
        relay in found or relay not in equipment.models or bench.devices[relay].watchdog_s is not None,
        f"the contactor is driven by {relay}, which has no host watchdog armed",
        bench.where("channels", channel.name, "contactor"),
        "drive it from a module that drops its outputs by itself when the host falls silent",
    )
    model = equipment.models.get(cycler)
    if model is not None and model.on_comm_loss is OnCommLoss.NONE:
        findings.need(
            relay in found,
            f"{cycler} goes on delivering energy when the host falls silent, and no relay of this channel opens by "
            "itself",
            bench.where("channels", channel.name, "cycler"),
            "drive the contactor from a module with a watchdog, or use a cycler that has one",
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
