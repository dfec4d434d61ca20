"""A list of faults and warnings that the parts of binding add to."""

from __future__ import annotations

from drivers import Fault


class Findings:
    """Everything wrong (``faults``) and everything to be told (``warnings``), each once."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._warnings: dict[str, None] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self._warnings)

    def fault(self, error: str, where: str, fix: str) -> None:
        found = Fault(error, where, fix)
        if found not in self.faults:
            self.faults.append(found)

    def need(self, fine: object, error: str, where: str, fix: str) -> bool:
        """Add the fault unless ``fine``; gives whether it was."""
        if not fine:
            self.fault(error, where, fix)
        return bool(fine)

    def warn(self, text: str) -> None:
        self._warnings[text] = None
