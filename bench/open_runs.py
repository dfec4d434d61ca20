"""Which runs of a data folder are open: begun on a bench that outlives them, and not sealed.

One file a run, written before the first energy and taken away by the seal. What is there when nobody writes the run any
more was interrupted: its bench comes up safe and holds until a person resumes the run or closes it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.log import EVENTS
from bench.samples import write_atomically
from drivers import BenchHeld, ConfigError, Fault, RecordError

FOLDER = "open-runs"
SCHEMA = "cellbench/open-run/1"
#: In the bundle: what a person asked for, so that the same run can be made ready again.
ORDER = "order.json"


@dataclass(frozen=True, slots=True)
class OpenRun:
    run_id: str
    bench: str
    bundle: Path


class OpenRuns:
    """The open runs of one data folder."""

    def __init__(self, data: Path) -> None:
        self.folder = data / FOLDER

    def begin(self, run_id: str, bench: str, bundle: Path) -> None:
        """A run begins. On disk when it returns. Raises RecordError."""
        path = self.folder / f"{run_id}.json"
        text = json.dumps({"schema": SCHEMA, "run_id": run_id, "bench": bench, "bundle": str(bundle)}, indent=1)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, (text + "\n").encode())
        except OSError as error:
            raise RecordError(f"the run cannot be noted: {error.strerror}", str(path), "mend the disk") from None

    def end(self, run_id: str) -> None:
        """It is sealed. Idempotent; never raises: what is left over is found closed the next time."""
        try:
            (self.folder / f"{run_id}.json").unlink(missing_ok=True)
        except OSError:
            return

    def interrupted(self, bench: str) -> tuple[OpenRun, ...]:
        """The runs of this bench that nobody writes and nobody has closed. Raises RecordError for a spoilt file."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            run = _read(path)
            if run.bench != bench or is_owned(run.bundle):
                continue
            if (run.bundle / "manifest.json").exists() or not (run.bundle / EVENTS).exists():
                self.end(run.run_id)
            else:
                found.append(run)
        return tuple(found)


def refusal(runs: tuple[OpenRun, ...], held: tuple[Fault, ...]) -> BenchHeld:
    """Why a bench holds. ``held`` is what was found on it and what became of that."""
    first = runs[0]
    error = BenchHeld(
        f"run {first.run_id} on this bench was interrupted; the bench was made safe and holds",
        str(first.bundle),
        f"`cellbench resume {first.bundle}` goes on with it; "
        f'`cellbench close {first.bundle} --by "your name"` gives it up',
    )
    error.faults = (*error.faults, *held)
    return error


def is_owned(bundle: Path) -> bool:
    """Whether a live process writes this bundle."""
    try:
        handle = os.open(bundle / EVENTS, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def order_of(bundle: Path) -> Mapping[str, Any]:
    """What was asked for when this run began. Raises ConfigError."""
    fix = "give the folder of a live run that was interrupted; a simulated run is simply run again"
    try:
        found = json.loads((bundle / ORDER).read_bytes())
    except FileNotFoundError:
        what = "holds no order" if (bundle / EVENTS).exists() else "is no bundle"
        raise ConfigError([Fault(f"it {what}: there is nothing to resume", str(bundle), fix)]) from None
    except (OSError, ValueError) as error:
        raise ConfigError([Fault(f"its order cannot be read: {error}", str(bundle / ORDER), fix)]) from None
    if not isinstance(found, dict) or found.get("schema") != "cellbench/order/1":
        raise ConfigError([Fault("its order is of another version", str(bundle / ORDER), "use the newer cellbench")])
    return found


def _read(path: Path) -> OpenRun:
    try:
        found = json.loads(path.read_bytes())
        return OpenRun(found["run_id"], found["bench"], Path(found["bundle"]))
    except (OSError, ValueError, LookupError, TypeError) as error:
        fix = "look at the bench and at the newest run; then move the file away by hand"
        raise RecordError(f"it cannot be told which run is open: {error}", str(path), fix) from None
