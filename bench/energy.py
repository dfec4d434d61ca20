"""What is energised now, and whether anything may still be."""

from __future__ import annotations

from collections.abc import Callable


class EnergyForbiddenError(Exception):
    """Energy was taken away for good in this run; the step that still wanted some must end."""


class Energy:
    """One run's permission to energise, and its record of what is.

    ``begin`` and ``end`` name what is energised ("psb.out"); the pollers follow: at P while anything is, else at
    rest. ``watchful`` is set in stimulus and observation, when everything is read closely whether energised or not;
    ``moving`` while a rig is armed or moves. ``forbid`` is final and takes effect before it returns: it runs what was
    registered with ``on_forbidden`` (the engine registers the cancelling of the step under way), so that a command that
    still waits in a wire's queue is dropped and none can follow the stop.
    """

    def __init__(self) -> None:
        self.forbidden = False
        self.watchful = False
        self.moving = False
        self._on: set[str] = set()
        self._changed: list[Callable[[], None]] = []
        self._when_forbidden: list[Callable[[], object]] = []

    @property
    def energised(self) -> bool:
        return bool(self._on)

    def begin(self, what: str) -> None:
        """Say that ``what`` is about to be energised. Raises EnergyForbiddenError after a stop."""
        if self.forbidden:
            raise EnergyForbiddenError(what)
        before = self.energised
        self._on.add(what)
        if not before:
            self._tell()

    def end(self, what: str) -> None:
        """Say that ``what`` is confirmed off. Idempotent."""
        before = self.energised
        self._on.discard(what)
        if before and not self._on:
            self._tell()

    def watch(self, *, closely: bool) -> None:
        """Stimulus and observation begin, or conditioning does."""
        if closely is not self.watchful:
            self.watchful = closely
            self._tell()

    def move(self, *, on: bool) -> None:
        """A rig is armed, or at rest again."""
        if on is not self.moving:
            self.moving = on
            self._tell()

    @property
    def what(self) -> frozenset[str]:
        """What is energised now, by name."""
        return frozenset(self._on)

    def forbid(self) -> None:
        """No energy from here on. Idempotent."""
        if self.forbidden:
            return
        self.forbidden = True
        for act in self._when_forbidden:
            act()

    def on_change(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` whenever ``energised``, ``watchful`` or ``moving`` changes."""
        self._changed.append(tell)

    def on_forbidden(self, act: Callable[[], object]) -> None:
        self._when_forbidden.append(act)

    def _tell(self) -> None:
        for tell in self._changed:
            tell()
