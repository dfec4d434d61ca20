"""The wall: everything that a page shows at a glance, made anew from the floor and its runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from bench.binding.shapes import BoundChannel
from bench.daemon.floor import Floor
from bench.daemon.quantities import shown
from bench.daemon.runs import Runs
from bench.daemon.tenancy import Tenancy
from bench.daemon.views import BenchView, ChannelState, ChannelView, DeviceView, ValueView, Words
from drivers.capabilities import Identity
from drivers.reading import Quality, Reading
from sequences.language import Phase

#: A value older than this many of its device's rest periods is stale.
STALE_PERIODS = 3.0

#: The lowest and the highest value of a quantity.
Bounds = Mapping[str, tuple[float | None, float | None]]

_ASKING = Words(en="a person is asked", zh="等待人员答复")
_LATCHED = Words(en="the bench tripped: acknowledge it first", zh="台架已跳闸：须先确认")


class Wall:
    """Makes BenchViews. ``held`` gives why a channel holds, by channel."""

    def __init__(self, floor: Floor, runs: Runs, mode: str) -> None:
        self._floor = floor
        self._runs = runs
        self._mode = mode
        self._bounds: dict[str, tuple[tuple[str, str, Phase], Bounds]] = {}

    def view(self, *, seq: int, held: Mapping[str, str], alarms: Mapping[str, int], open_alarms: int) -> BenchView:
        floor, bench = self._floor, self._floor.bench
        on, holders = self._runs.by_channel(), self._runs.leases.all_holders()
        latched = self._runs.latched()
        return BenchView(
            name=bench.name,
            title=bench.title,
            mode="simulated" if self._mode == "simulated" else "live",
            utc_s=floor.clock.utc_s(),
            seq=seq,
            latched=latched,
            held=tuple(f"{name}: {why}" for name, why in held.items()),
            channels=tuple(
                self._channel(name, on.get(name), held.get(name), alarms.get(name, 0), latched=latched)
                for name in bench.channels
            ),
            devices=tuple(self._device(name, holders.get(name, ())) for name in floor.devices),
            prompts=len(self._runs.prompts.open),
            alarms=open_alarms,
        )

    def _channel(
        self, name: str, tenancy: Tenancy | None, held: str | None, alarms: int, *, latched: bool
    ) -> ChannelView:
        place = self._floor.channels[name][0]
        state, why = self._state(name, tenancy, held, latched=latched)
        step = None if tenancy is None else tenancy.step_view()
        view = None if tenancy is None else tenancy.view()
        return ChannelView(
            name=name,
            place=place.place,
            zone=place.zone,
            state=state,
            needs_me=state in ("asking", "held", "latched", "lost"),
            why=why,
            run_id=None if view is None else view.run_id,
            sequence=None if view is None else view.sequence,
            sample=None if view is None else view.sample,
            operator=None if view is None else view.operator,
            step=step,
            values=tuple(self._values(name, tenancy)),
            alarms=alarms,
        )

    def _state(
        self, name: str, tenancy: Tenancy | None, held: str | None, *, latched: bool
    ) -> tuple[ChannelState, Words | None]:
        if tenancy is not None:
            if tenancy.state == "waiting":
                return "waiting", tenancy.why
            if self._runs.prompts.of(tenancy.run_id) is not None:
                return "asking", _ASKING
            if tenancy.state == "running":
                return ("running" if tenancy.passed_preflight else "preflight"), None
            return ("observing" if tenancy.state == "observing" else _ENDS.get(tenancy.state, "ending")), None
        if self._floor.bench.maintenance is not None:
            said = self._floor.bench.maintenance
            return "maintenance", Words(en=said, zh=said)
        if held is not None:
            return "held", Words(en=held, zh=f"保持：{held}")
        lost = self._lost(name)
        if lost is not None:
            return "lost", Words(en=lost, zh=f"设备无应答：{lost}")
        return ("latched", _LATCHED) if latched else ("idle", None)

    def _lost(self, name: str) -> str | None:
        """What of a channel's own devices does not answer."""
        for device in _devices_of(self._floor.channels[name]):
            error = self._floor.devices[device].lost
            if error is not None:
                return f"{device}: {error.faults[0].error}"
        return None

    def _values(self, name: str, tenancy: Tenancy | None) -> Iterator[ValueView]:
        here = self._floor.channels[name][0]
        if tenancy is not None:
            here = tenancy.place
        bounds = {} if tenancy is None else self._bounds_of(tenancy)
        for quantity, channels in shown(here).items():
            found = [reading for channel in channels if (reading := self._latest(channel, tenancy)) is not None]
            if found:
                yield self._value(quantity, found, bounds.get(quantity, (None, None)))

    def _bounds_of(self, tenancy: Tenancy) -> Bounds:
        """Worked out once for each place and phase of a run."""
        about = (tenancy.run_id, tenancy.place.place, tenancy.phase)
        known = self._bounds.get(tenancy.channel)
        if known is None or known[0] != about:
            known = self._bounds[tenancy.channel] = (about, _bounds(tenancy))
        return known[1]

    def _value(self, quantity: str, found: list[Reading], bounds: tuple[float | None, float | None]) -> ValueView:
        """Of several thermocouples the warmest good one."""
        good = [reading for reading in found if reading.quality is Quality.GOOD and math.isfinite(reading.value)]
        reading = max(good, key=lambda it: it.value) if good else found[0]
        age_s = max(0.0, self._floor.clock.mono_s() - reading.mono_s)
        return ValueView(
            quantity=quantity,
            value=reading.value if good else None,
            quality=reading.quality.value,
            age_s=age_s,
            stale=age_s > STALE_PERIODS * self._rest_s(reading.channel.partition(".")[0]),
            low=bounds[0],
            high=bounds[1],
        )

    def _latest(self, channel: str, tenancy: Tenancy | None) -> Reading | None:
        if tenancy is not None and tenancy.stream is not None and channel in tenancy.stream.latest:
            return tenancy.stream.latest[channel]
        device = self._floor.devices.get(channel.partition(".")[0])
        return None if device is None else device.latest.get(channel)

    def _rest_s(self, device: str) -> float:
        bench = self._floor.bench
        return bench.devices[device].poll.rest_s or bench.polling.rest_s

    def _device(self, name: str, holders: tuple[str, ...]) -> DeviceView:
        device = self._floor.devices[name]
        return DeviceView(
            name=name,
            model=self._floor.bench.devices[name].model,
            serial=_serial(device.identity),
            connected=device.identity is not None and device.lost is None,
            error=None if device.lost is None else device.lost.faults[0].error,
            leased_by=", ".join(holders) or None,
            queue=self._runs.leases.waiting_for(name),
        )


_ENDS: Mapping[str, ChannelState] = {"paused": "paused", "observing": "observing", "ending": "ending"}


def _bounds(tenancy: Tenancy) -> Bounds:
    """What the guard holds each quantity to, where the sample is and in the phase under way: a trip outside."""
    limits: dict[str, list[tuple[float | None, float | None]]] = {}
    for limit in tenancy.plan.limits_in(tenancy.place.place, tenancy.phase):
        if limit.tier == "trip":
            limits.setdefault(limit.channel, []).append((limit.low, limit.high))
    return {
        quantity: _tightest([bound for channel in channels for bound in limits.get(channel, ())])
        for quantity, channels in shown(tenancy.place).items()
    }


def _tightest(bounds: list[tuple[float | None, float | None]]) -> tuple[float | None, float | None]:
    lows = [low for low, _ in bounds if low is not None and math.isfinite(low)]
    highs = [high for _, high in bounds if high is not None and math.isfinite(high)]
    return max(lows, default=None), min(highs, default=None)


def _serial(identity: Identity | None) -> str | None:
    return None if identity is None else identity.serial or None


def _devices_of(places: tuple[BoundChannel, ...]) -> tuple[str, ...]:
    """The devices of a channel at its own place."""
    here = places[0]
    names = [here.voltage, here.cell_voltage, here.contactor_feedback, *here.surface, *here.interlocks.values()]
    return tuple(dict.fromkeys((here.contactor.device, *(name.partition(".")[0] for name in names))))
