"""Which data folders have had live runs on which wires, kept for this account outside all of them.

A latch and the note of an open run lie in the data folder of their run. A run of the same bench with another
``--data``, or from another working folder, would not see them: so every live run is noted here first, and looks into
every folder that was noted for a bench that shares a wire with its own. One file a bench and data folder, written
before the first energy and never taken away. It lies in ``$CELLBENCH_STATE``, else ``$XDG_STATE_HOME/cellbench``, else
``~/.local/state/cellbench``. A run in virtual time has a bench of its own and does not come here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench import latch, open_runs
from bench.config import BenchFile
from bench.latch import Latches
from bench.open_runs import OpenRuns
from bench.samples import write_atomically
from drivers.errors import BenchHeld, ConfigError, Fault, RecordError
from drivers.wires.url import UrlError, wire_key

VARIABLE = "CELLBENCH_STATE"
SCHEMA: Literal["cellbench/bench-used/1"] = "cellbench/bench-used/1"
FOLDER = "benches"


class Used(BaseModel):
    """A bench that had a live run, and the data folder of that. ``urls`` are as the bench file had them: what wire is
    behind one is asked anew each time, since a port that was plugged in again has another name."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Literal["cellbench/bench-used/1"] = Field(default=SCHEMA, alias="schema")
    bench: str
    file: str
    data: str
    urls: tuple[str, ...]

    @property
    def wires(self) -> frozenset[str]:
        """The keys of its wires, now. Raises UrlError."""
        return frozenset(wire_key(url) for url in self.urls)


def used_by(bench: BenchFile, file: Path, data: Path) -> Used:
    """This bench with this data folder."""
    urls = tuple(sorted({entry.url for entry in bench.devices.values()}))
    return Used(bench=bench.name, file=str(file.resolve()), data=str(data.resolve()), urls=urls)


class Whereabouts:
    """The register of one account. Nothing is made before the first note."""

    def __init__(self, state: Path) -> None:
        self.folder = state / FOLDER

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Whereabouts:
        return cls(state_folder(environment))

    def path(self, used: Used) -> Path:
        """The file that notes this."""
        named = "\n".join((used.data, used.bench, used.file, *used.urls))
        return self.folder / f"{hashlib.sha256(named.encode()).hexdigest()[:24]}.json"

    def note(self, used: Used) -> None:
        """On disk when it returns. Idempotent. Raises RecordError."""
        path = self.path(used)
        text = used.model_dump_json(by_alias=True, indent=1) + "\n"
        try:
            if path.exists() and path.read_text() == text:
                return
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, text.encode())
        except (OSError, ValueError) as error:
            what = error.strerror if isinstance(error, OSError) else error
            fix = f"make the folder writable, or name another one in ${VARIABLE}, the same for every run on this bench"
            raise RecordError(f"the use of the bench cannot be noted: {what}", str(path), fix) from None

    def sharing(self, used: Used) -> tuple[Used, ...]:
        """Every bench with its data folder that shares a wire with this one, itself among them if it was noted; those
        whose folder is not there now are left out (:meth:`not_there`). Raises RecordError for what cannot be read."""
        return tuple(it for it in self._sharing(used) if _is_there(it.data))

    def not_there(self, used: Used) -> tuple[Used, ...]:
        """The same, of those whose folder is not there now, but for this one's own: what lies in it is not known.
        Raises RecordError for what cannot be read."""
        return tuple(it for it in self._sharing(used) if it.data != used.data and not _is_there(it.data))

    def _sharing(self, used: Used) -> Iterable[Used]:
        wires = used.wires
        return [it for it in self._all() if wires & it.wires]

    def _all(self) -> Iterable[Used]:
        try:
            paths = sorted(path for path in self.folder.iterdir() if path.suffix == ".json")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _spoilt(self.folder, error) from None
        return [_read(path) for path in paths]


def refuse_elsewhere(register: Whereabouts, used: Used, *, resuming: Path | None = None) -> None:
    """Raises BenchHeld if a bench that shares a wire with this one is latched, or has an interrupted run, in a noted
    data folder: with the folder, and the command that ends it. Raises RecordError if that cannot be told.

    What this bench has in its own data folder is looked at by whoever uses that. ``resuming`` is the bundle that is
    being taken up.
    """
    faults: list[Fault] = []
    for it in register.sharing(used):
        own = (it.bench, it.data) == (used.bench, used.data)
        faults += [] if own else _held_in(it, resuming)
    if faults:
        error = BenchHeld(faults[0].error, faults[0].where, faults[0].fix)
        error.faults = tuple(dict.fromkeys(faults))
        raise error


def unseen(register: Whereabouts, used: Used) -> tuple[Fault, ...]:
    """What a person must be told before a run: noted data folders that are not there, in which a latch or an
    interrupted run of this bench may lie. Raises RecordError if that cannot be told."""
    return tuple(
        Fault(
            f"data folder {it.data} of bench {it.bench}, which shares a wire with this one, is not there: "
            "a latch or an interrupted run that lies in it is not seen",
            it.data,
            f"mount its disk and start again; if it was deleted for good, delete {register.path(it)}",
        )
        for it in register.not_there(used)
    )


def latched_elsewhere(register: Whereabouts, used: Used) -> tuple[Used, ...]:
    """The other noted data folders in which a bench that shares a wire is latched. Raises RecordError."""
    others = (it for it in register.sharing(used) if (it.bench, it.data) != (used.bench, used.data))
    return tuple(it for it in others if Latches(Path(it.data)).of(it.bench) is not None)


def state_folder(environment: Mapping[str, str]) -> Path:
    """Where this account keeps what belongs to no data folder. A relative $XDG_STATE_HOME counts as none, as the XDG
    base directory specification has it; one of our own would be another folder for each working folder: ConfigError."""
    said = environment.get(VARIABLE, "")
    if said:
        if not Path(said).is_absolute():
            raise ConfigError([Fault(f"{said!r} is no absolute path", f"${VARIABLE}", "write it from / on")])
        return Path(said)
    state = Path(environment.get("XDG_STATE_HOME", ""))
    if state.is_absolute():
        return state / "cellbench"
    home = Path(environment.get("HOME", ""))
    if not home.is_absolute():
        fix = f"say in ${VARIABLE} where the register of benches lies, the same for every run on this bench"
        raise ConfigError([Fault("this account has no home", "$HOME", fix)])
    return home / ".local" / "state" / "cellbench"


def acknowledged_by(used: Used) -> str:
    """The command that takes its latch away."""
    return f'`cellbench ack --bench {used.file} --data {used.data} --by "your name"`'


def _held_in(used: Used, resuming: Path | None) -> list[Fault]:
    data = Path(used.data)
    tripped = Latches(data).of(used.bench)
    found = []
    if tripped is not None:
        what = f"bench {used.bench}, which shares a wire with this one, tripped, and nobody has acknowledged it"
        what = f"{what}: {tripped.text()}"
        found.append(Fault(what, str(Latches(data).path(used.bench)), f"mend the cause, then {acknowledged_by(used)}"))
    for run in OpenRuns(data).interrupted(used.bench):
        if resuming is not None and run.bundle.resolve() == resuming.resolve():
            continue
        found.append(
            Fault(
                f"run {run.run_id} of bench {used.bench}, which shares a wire with this one, was interrupted",
                str(run.bundle),
                f"`cellbench resume {run.bundle} --data {data}` goes on with it; "
                f'`cellbench close {run.bundle} --data {data} --by "your name"` gives it up',
            )
        )
    return found


def _is_there(data: str) -> bool:
    """Whether a data folder still exists. Raises RecordError where that, or what is in it, cannot be seen."""
    there = False
    for folder in (data, f"{data}/{latch.FOLDER}", f"{data}/{open_runs.FOLDER}"):
        try:
            os.listdir(folder)  # noqa: PTH208 - whether it can be read, not what is there
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            fix = "give this account the right to read it: a latch of this bench may lie there"
            raise RecordError(f"a data folder of this bench cannot be read: {error.strerror}", folder, fix) from None
        there = True
    return there


def _read(path: Path) -> Used:
    try:
        used = Used.model_validate_json(path.read_bytes())
        _ = used.wires
    except (OSError, ValidationError, UrlError) as error:
        raise _spoilt(path, error) from None
    return used


def _spoilt(path: Path, error: Exception) -> RecordError:
    said = (error.strerror if isinstance(error, OSError) else None) or str(error).partition("\n")[0]
    fix = "look at the benches of this machine: one may be latched; then move the file away by hand"
    return RecordError(f"which data folders the benches have cannot be told: {said}", str(path), fix)
