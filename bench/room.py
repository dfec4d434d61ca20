"""Room on the disk for a record: what a run wants at its start, what is held back for its end, and low water."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from bench.disk import Disk
from bench.trouble import Trouble, TroubleKind
from drivers.errors import RecordError

#: A run does not start with less room than this.
ROOM_BYTES = 32 << 20
#: A live record holds so much of the disk back, to end the run with when the rest is full.
RESERVE = ".reserve"
RESERVE_BYTES = 16 << 20
#: With less room than this, and what the tables of the rows will take, the run is to end.
LOW_WATER_BYTES = 8 << 20
TABLE_BYTES_A_ROW = 200


class Room:
    """The room of one record."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self._disk = disk
        self._folder = folder
        self.low = False

    def check(self) -> None:
        """Raises RecordError if a run had better not start here, OSError if that cannot be told."""
        free = self._disk.free_bytes(self._folder)
        if free < ROOM_BYTES:
            said = f"only {free >> 20} MiB are free, a run wants {ROOM_BYTES >> 20} MiB"
            raise RecordError(said, str(self._folder), "free some space")

    def hold_back(self) -> None:
        """Raises OSError."""
        self._disk.reserve(self._folder / RESERVE, RESERVE_BYTES)

    def give_back(self) -> bool:
        """Free what was held back; says whether there was anything."""
        path = self._folder / RESERVE
        if not path.exists():
            return False
        with suppress(OSError):
            self._disk.remove(path)
            return True
        return False

    def ebbed(self, rows: int) -> Trouble | None:
        """Low water, the first time that it is met: the reserve is given back then. ``rows`` are to become tables."""
        if self.low:
            return None
        wanted = LOW_WATER_BYTES + TABLE_BYTES_A_ROW * rows
        try:
            free = self._disk.free_bytes(self._folder)
        except OSError:
            return None  # what cannot be asked is met by the next write
        if free >= wanted:
            return None
        self.low = True
        self.give_back()
        return Trouble(TroubleKind.LOW_WATER, f"{free >> 20} MiB are free", float(free), float(wanted))
