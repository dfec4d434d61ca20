"""Who has what is there only once: a chamber for a temperature, an enclosure for itself; and who waits for it.

Pure logic: no device, no loop. A run names all it needs when it asks and is given all of it at once, so that nobody
holds one thing while waiting for another.

First come, first served, with one exception that costs nobody anything: a run that wants a chamber at the temperature
it has anyway joins those who hold it, past runs that wait for another temperature, if it will be through no later than
they are. So the estimated time at which the first in the queue gets its turn never moves because somebody joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Need:
    """One resource by name. ``setpoint_c`` is the one temperature that a run wants of a chamber all along; None: it
    wants the resource for itself."""

    resource: str
    setpoint_c: float | None = None

    def goes_with(self, other: Need) -> bool:
        """Whether two runs may have the resource at once."""
        return self.resource != other.resource or (self.setpoint_c is not None and self.setpoint_c == other.setpoint_c)


@dataclass(slots=True)
class Held:
    """A run that has what it needs, until about ``until_s``. ``laid_down`` names what it needs no longer."""

    run: str
    needs: tuple[Need, ...]
    until_s: float
    laid_down: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Waits:
    """A run in the queue, with the seconds that it will take."""

    run: str
    needs: tuple[Need, ...]
    takes_s: float


@dataclass(frozen=True, slots=True)
class Blocked:
    """What a waiting run waits for: ``by`` has it, or stands before it in the queue (``queued``)."""

    resource: str
    by: str
    setpoint_c: float | None
    until_s: float | None
    queued: bool


class Leases:
    """The book of one floor."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._queue: list[Waits] = []

    @property
    def held(self) -> Mapping[str, Held]:
        return self._held

    @property
    def queue(self) -> tuple[Waits, ...]:
        return tuple(self._queue)

    def ask(self, run: str, needs: Iterable[Need], *, takes_s: float) -> None:
        """Stand in the queue. Raises ValueError for a run that is known already."""
        if run in self._held or any(waits.run == run for waits in self._queue):
            raise ValueError(f"run {run} has asked already")
        self._queue.append(Waits(run, tuple(needs), takes_s))

    def grant(self, now_s: float) -> tuple[str, ...]:
        """Give to whoever can be given to; the runs that were."""
        granted: list[str] = []
        passed: list[Waits] = []
        for waits in self._queue:
            if self._fits(waits) and all(self._may_pass(waits, other, now_s) for other in passed):
                self._held[waits.run] = Held(waits.run, waits.needs, now_s + waits.takes_s)
                granted.append(waits.run)
            else:
                passed.append(waits)
        self._queue = passed
        return tuple(granted)

    def leave(self, run: str) -> None:
        """Give back everything, or step out of the queue. Idempotent."""
        self._held.pop(run, None)
        self._queue = [waits for waits in self._queue if waits.run != run]

    def lay_down(self, run: str, resource: str) -> bool:
        """This run needs the resource no longer, though it stays there until it leaves. True if nobody else does: then
        it is for this run to put it to rest. A run that never had it has nothing to put to rest."""
        held = self._held.get(run)
        if held is None or all(need.resource != resource for need in held.needs):
            return False
        held.laid_down.add(resource)
        return not any(resource not in other.laid_down for other in self._holding(resource))

    def take_up(self, run: str, resource: str) -> None:
        """It needs it again after all. Idempotent."""
        held = self._held.get(run)
        if held is not None:
            held.laid_down.discard(resource)

    def holders(self, resource: str) -> tuple[str, ...]:
        return tuple(held.run for held in self._holding(resource))

    def all_holders(self) -> dict[str, tuple[str, ...]]:
        """:meth:`holders` of every resource that anybody holds."""
        found: dict[str, tuple[str, ...]] = {}
        for held in self._held.values():
            for resource in dict.fromkeys(need.resource for need in held.needs):
                found[resource] = (*found.get(resource, ()), held.run)
        return found

    def waiting_for(self, resource: str) -> tuple[str, ...]:
        """Who waits for it, in the order of the queue."""
        return tuple(waits.run for waits in self._queue if any(need.resource == resource for need in waits.needs))

    def blocked(self, run: str) -> Blocked | None:
        """Why a run waits; None if it does not."""
        before: list[Waits] = []
        for waits in self._queue:
            if waits.run == run:
                return self._blocked(waits, before)
            before.append(waits)
        return None

    def _blocked(self, waits: Waits, before: Iterable[Waits]) -> Blocked | None:
        for need in waits.needs:
            for held in self._holding(need.resource):
                theirs = next(its for its in held.needs if its.resource == need.resource)
                if not need.goes_with(theirs):
                    return Blocked(need.resource, held.run, theirs.setpoint_c, held.until_s, queued=False)
        for other in before:
            for need in waits.needs:
                theirs_too = next((its for its in other.needs if not need.goes_with(its)), None)
                if theirs_too is not None:
                    return Blocked(need.resource, other.run, theirs_too.setpoint_c, None, queued=True)
        return None

    def _holding(self, resource: str) -> tuple[Held, ...]:
        return tuple(held for held in self._held.values() if any(need.resource == resource for need in held.needs))

    def _fits(self, waits: Waits) -> bool:
        """Whether what it needs is free, or held by runs that it may join: some of them still need it."""
        return all(
            need.goes_with(theirs)
            for need in waits.needs
            for held in self._holding(need.resource)
            for theirs in held.needs
        )

    def _may_pass(self, waits: Waits, other: Waits, now_s: float) -> bool:
        """Whether ``waits`` may go before ``other``, who waits longer: they do not meet, or it costs ``other``
        nothing."""
        met = {need.resource for need in waits.needs for theirs in other.needs if not need.goes_with(theirs)}
        ends_s = now_s + waits.takes_s
        return all(
            any(held.until_s >= ends_s and resource not in held.laid_down for held in self._holding(resource))
            for resource in met
        )
