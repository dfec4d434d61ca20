"""How a record stands with its disk: good, suspect (it went on in a new file) or failed, and who was told of it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from bench.append_file import FULL, UnsyncedError
from bench.trouble import Trouble, TroubleKind
from drivers.errors import RecordError

_RECORD_FIX = "free space or mend the disk, then run again; `cellbench verify` says how far this record is good"
#: There a new file would fare no better.
NO_NEW_FILE = FULL | {errno.EROFS}


class Standing:
    """``failed``: nothing is kept any more. ``suspect``: the run is to end. ``suspects``: the files that are good only
    as far as events say. Each is raised once, by whichever call can raise next; ``quiet`` puts that off."""

    def __init__(self, folder: Path) -> None:
        self.failed: RecordError | None = None
        self.suspect: RecordError | None = None
        self.suspects: list[str] = []
        self.on_trouble: Callable[[Trouble], object] | None = None
        self.quiet = False
        self._folder = folder
        self._untold: RecordError | None = None

    def may_go_on(self, error: OSError) -> bool:
        """Whether a new file is worth trying: once, and not where the whole disk is full or read-only."""
        return self.suspect is None and (isinstance(error, UnsyncedError) or error.errno not in NO_NEW_FILE)

    def now_suspect(self, error: Exception, name: str, *, confirmed: bool = False) -> None:
        """The run is to end. ``confirmed``: what the file holds is good all the same."""
        if not confirmed:
            self.suspects.append(name)
        if self.suspect is not None:
            return
        self.suspect = RecordError(
            f"the disk failed: {said(error)} while writing {name}; the record goes on in a new file, the run ends",
            str(self._folder),
            "replace the disk; what the disk did not confirm stands in the new file too",
        )
        self.trouble(Trouble(TroubleKind.SUSPECT, str(self.suspect.faults[0].error)))
        self._untold = self.suspect

    def trouble(self, trouble: Trouble) -> None:
        """Call whoever wants to know."""
        if self.on_trouble is not None:
            self.on_trouble(trouble)

    def fail(self, error: Exception, what: str) -> NoReturn:
        """Nothing can be kept from now on. Raises RecordError."""
        self.failed = record_error(f"kept: {said(error)} while writing {what}", self._folder)
        raise self.failed from error

    def put_off(self, error: RecordError) -> None:
        """What was met where nobody could be told (a timer): it is raised by the next call."""
        self._untold = error

    def forget(self) -> None:
        """What was not told yet need not be: the record is being closed."""
        self._untold = None

    def tell(self) -> None:
        """Raise, once, what could not be raised where it was met."""
        if self._untold is not None and not self.quiet:
            untold, self._untold = self._untold, None
            raise untold

    def is_mute(self) -> bool:
        """Whether nothing can be kept any more; where a timer met that, it is raised here, once."""
        if self.failed is not None:
            self.tell()
        return self.failed is not None


def record_error(what: str, folder: Path) -> RecordError:
    """The record cannot be ``what``: begun, reopened, kept."""
    return RecordError(f"the record cannot be {what}", str(folder), _RECORD_FIX)


def said(error: Exception) -> str:
    """An error in words."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
