"""A contactor, as far as its contacts go."""

from __future__ import annotations


class Contact:
    """A contactor's main contacts: they follow the coil, unless they are stuck."""

    __slots__ = ("coil", "stuck")

    def __init__(self) -> None:
        self.coil = False
        self.stuck: bool | None = None

    @property
    def closed(self) -> bool:
        """Whether the main contacts are closed, whatever the coil was told."""
        return self.coil if self.stuck is None else self.stuck
