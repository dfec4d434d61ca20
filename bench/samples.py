"""Sample records: one JSON file a sample, written whole or not at all.

A sample is a thing with a life: received, weighed, conditioned, charged, tested, perhaps destroyed. Its record outlives
every run; a run's bundle holds a copy as it was at the start.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from drivers import ConfigError, Fault, RecordError

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: Names that some file systems keep for themselves, whatever follows the dot.
_RESERVED = re.compile(r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")


class SampleState(StrEnum):
    RECEIVED = "received"
    CONDITIONED = "conditioned"
    CHARGED = "charged"
    UNDER_TEST = "under_test"
    AWAITING_JUDGEMENT = "awaiting_judgement"
    DESTROYED = "destroyed"
    QUARANTINED = "quarantined"


#: A sample in one of these is never energised again.
ENDED = frozenset(
    {SampleState.UNDER_TEST, SampleState.AWAITING_JUDGEMENT, SampleState.DESTROYED, SampleState.QUARANTINED}
)


class SampleDimensions(BaseModel):
    """As measured, in millimetres."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, json_schema_serialization_defaults_required=True
    )

    length_mm: float | None = Field(default=None, gt=0)
    width_mm: float | None = Field(default=None, gt=0)
    thickness_mm: float | None = Field(default=None, gt=0)
    diameter_mm: float | None = Field(default=None, gt=0)


class Sample(BaseModel):
    """One sample. ``mass_kg`` is weighed, on ``balance``; None until somebody has. ``soc`` is 0 to 1.

    ``nominal_mass_kg`` is its type's, and stands only in the record that a simulated run makes for itself: what was
    not weighed never looks as if it had been.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        populate_by_name=True,
        json_schema_serialization_defaults_required=True,
    )

    schema_: Literal["cellbench/sample/1"] = Field(default="cellbench/sample/1", alias="schema")
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    type: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)]
    serial: str = Field(default="", max_length=100)
    batch: str = Field(default="", max_length=100)
    mass_kg: float | None = Field(default=None, gt=0)
    balance: str = Field(default="", max_length=100)
    nominal_mass_kg: float | None = Field(default=None, gt=0)
    dimensions: SampleDimensions = SampleDimensions()
    ocv_v: float | None = None
    acir_ohm: float | None = Field(default=None, gt=0)
    fixture: str = Field(default="", max_length=200)
    stack_pressure_kpa: float | None = Field(default=None, ge=0)
    actual_capacity_ah: float | None = Field(default=None, gt=0)
    soc: float | None = None
    charged_at: datetime | None = None
    runs: tuple[str, ...] = ()
    state: SampleState = SampleState.RECEIVED


def check_sample_id(sample_id: str) -> str:
    """The id, if it can be a file's name anywhere. Raises ConfigError."""
    if not _ID.fullmatch(sample_id) or _RESERVED.fullmatch(sample_id) or sample_id.endswith("."):
        fix = "use letters, digits, '.', '_' and '-', beginning with a letter or digit, for example C25-0007"
        raise ConfigError([Fault(f"{sample_id!r} cannot be the id of a sample", "sample", fix)])
    return sample_id


class SampleStore:
    """The sample records in one folder. Two processes may use it at once: each change holds a lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, sample: Sample) -> Sample:
        """Keep a new sample. Raises ConfigError (its id is taken, or no file's name), RecordError."""
        path = self._path(sample.id)
        with self._changing():
            if os.path.lexists(path):
                fix = "choose another id; `cellbench sample show` prints the one that is there"
                raise ConfigError([Fault(f"there is a sample {sample.id} already", str(path), fix)])
            self._write(path, sample)
        return sample

    def show(self, sample_id: str) -> Sample:
        """One sample. Raises ConfigError if there is none, or if its record cannot be read."""
        path = self._path(sample_id)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            known = ", ".join(sample.id for sample in self.list()[:20]) or "none yet"
            fix = (
                f'add it with `cellbench sample add {sample_id} --cell CELL --mass "998.6 g" --balance B`; '
                f"samples here: {known}"
            )
            raise ConfigError([Fault(f"no sample {sample_id!r}", str(self.folder), fix)]) from None
        except OSError as error:
            raise ConfigError([_unreadable(path, error.strerror or "cannot be opened")]) from None
        with os.fdopen(handle, "rb") as file:
            return _read(path, file.read())

    def list(self) -> tuple[Sample, ...]:
        """Every sample, by id. Raises ConfigError with every record that cannot be read."""
        samples: list[Sample] = []
        faults: list[Fault] = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                samples.append(_read(path, path.read_bytes()))
            except ConfigError as error:
                faults += error.faults
        if faults:
            raise ConfigError(faults)
        return tuple(samples)

    def update(self, sample_id: str, **changes: Any) -> Sample:
        """Change fields of a sample and keep it. Raises ConfigError, also for bringing a destroyed sample back."""
        return self._change(sample_id, lambda _: changes)

    def weigh(self, sample_id: str, mass_kg: float, balance: str) -> Sample:
        """Keep a weighed mass and the balance that it was weighed on, in place of an earlier one. As :meth:`update`."""
        return self.update(sample_id, mass_kg=mass_kg, balance=balance, nominal_mass_kg=None)

    def add_run(self, sample_id: str, run_id: str, **changes: Any) -> Sample:
        """Note that a run was made with it, and what that changed. No run noted by another process is lost."""
        return self._change(sample_id, lambda before: {**changes, "runs": (*before.runs, run_id)})

    def _change(self, sample_id: str, change: Callable[[Sample], Mapping[str, Any]]) -> Sample:
        path = self._path(sample_id)
        with self._changing():
            before = self.show(sample_id)
            changes = change(before)
            state = changes.get("state", before.state)
            if before.state is SampleState.DESTROYED and state != before.state:
                fix = "a destroyed sample cannot be tested again; add the next sample"
                raise ConfigError([Fault(f"sample {sample_id} is destroyed", str(path), fix)])
            try:
                after = Sample.model_validate({**before.model_dump(by_alias=True), **changes})
            except ValidationError as error:
                raise ConfigError(_faults(path, error)) from None
            self._write(path, after)
        return after

    def _path(self, sample_id: str) -> Path:
        return self.folder / f"{check_sample_id(sample_id)}.json"

    @contextmanager
    def _changing(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise _unwritable(self.folder, error) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _write(self, path: Path, sample: Sample) -> None:
        text = json.dumps(sample.model_dump(mode="json", by_alias=True), indent=2, ensure_ascii=False) + "\n"
        try:
            write_atomically(path, text.encode())
        except OSError as error:
            raise _unwritable(path, error) from None


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file by rename: afterwards it holds the old content or the new, whatever happens. Raises OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(beside, flags, 0o644)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path, content: bytes) -> Sample:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise ConfigError([_unreadable(path, f"not JSON ({error})")]) from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != "cellbench/sample/1":
        fix = "install a newer cellbench, or move the file away"
        raise ConfigError([Fault(f"schema {schema!r} is not cellbench/sample/1", str(path), fix)])
    try:
        sample = Sample.model_validate(document)
    except ValidationError as error:
        raise ConfigError(_faults(path, error)) from None
    if sample.id != path.stem:
        raise ConfigError([_unreadable(path, f"it says that it is sample {sample.id}")])
    return sample


def _faults(path: Path, error: ValidationError) -> list[Fault]:
    fix = "correct the value; docs/cell-file.md lists what a sample record holds"
    return [
        Fault(f"`{'.'.join(map(str, detail['loc']))}`: {detail['msg']}", str(path), fix)
        for detail in error.errors(include_url=False)
    ]


def _unreadable(path: Path, why: str) -> Fault:
    return Fault(f"the sample's record cannot be used: {why}", str(path), "restore it from a bundle's sample.json")


def _unwritable(path: Path, error: OSError) -> RecordError:
    return RecordError(f"the sample's record cannot be written: {error.strerror}", str(path), "free or mend the disk")
