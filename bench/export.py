"""A run in the formats of others, written beside its bundle (a closed bundle is never written again)."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from bench import bdf, parquet, record
from bench.log import EVENTS
from drivers.errors import ConfigError, Fault, RecordError


class Format(StrEnum):
    """What ``cellbench export --format`` takes."""

    BDF_CSV = "bdf-csv"
    PARQUET = "parquet"


def export(folder: Path, format_: Format | str, out: Path | None = None) -> tuple[Path, ...]:
    """Write the run's rows under BDF labels, and the metadata sidecar; gives both paths, the data first.

    ``out`` is a file, or a folder to put it in; without it the files go beside the bundle. Raises ConfigError for an
    unknown format, a folder that is no bundle, or a place inside the bundle; RecordError if the disk refuses.
    """
    known = [choice.value for choice in Format]
    faults: list[Fault] = []
    if format_ not in known:
        faults.append(Fault(f"unknown format {str(format_)!r}", "--format", f"use one of {', '.join(known)}"))
    faults += _no_bundle(folder)
    faults += _inside(folder, out)
    if faults:
        raise ConfigError(faults)
    kept = record.load(folder, most_rows=record.SHOWN_ROWS)
    suffix = ".bdf.csv" if format_ == Format.BDF_CSV else ".bdf.parquet"
    path = _place(kept, out or folder.resolve().parent, suffix)
    sidecar = path.with_name(path.name.removesuffix(suffix) + ".bdf.metadata.json")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if format_ == Format.BDF_CSV:
            with path.open("w", encoding="utf-8", newline="") as text:
                text.writelines(bdf.csv_parts(kept))
        else:
            _parquet(kept, path)
        sidecar.write_text(bdf.metadata_text(kept), encoding="utf-8", newline="")
    except OSError as error:
        raise _refused(path, error) from error
    return path, sidecar


def _parquet(kept: record.Record, path: Path) -> None:
    names = bdf.step_names(kept)
    kinds: dict[str, type] = {label: int if label in bdf.WHOLE else float for label in bdf.labels(kept)}

    def parts() -> Iterator[dict[str, parquet.Column]]:
        for table in bdf.tables(kept):
            steps = table["Step Count / 1"]
            yield {**table, bdf.STEP_ID: [names.get(int(step or 0), "") for step in steps]}

    with path.open("wb") as file:
        about = {"bdf": bdf.metadata_text(kept)}
        parquet.write_parts(file, parts(), {**kinds, bdf.STEP_ID: str}, metadata=about)


def written_beside(folder: Path, out: Path, text: str) -> Path:
    """Write a text that was made from a bundle, anywhere but into it. Raises ConfigError, RecordError."""
    check_beside(folder, out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise _refused(out, error) from error
    return out


def check_beside(folder: Path, out: Path) -> None:
    """Raises ConfigError for a folder that is no bundle, or a place inside it."""
    faults = [*_no_bundle(folder), *_inside(folder, out)]
    if faults:
        raise ConfigError(faults)


def _no_bundle(folder: Path) -> list[Fault]:
    return [] if (folder / EVENTS).is_file() else [Fault("not a bundle", str(folder), record.NOT_A_BUNDLE_FIX)]


def _inside(folder: Path, out: Path | None) -> list[Fault]:
    if out is None or not out.resolve().is_relative_to(folder.resolve()):
        return []
    return [Fault("lies inside the bundle", str(out), "a bundle is never written again; write elsewhere")]


def _refused(path: Path, error: OSError) -> RecordError:
    return RecordError(f"cannot be written: {error.strerror or error}", str(path), "choose another place with --out")


def _place(kept: record.Record, out: Path, suffix: str) -> Path:
    return out / f"{bdf.file_stem(kept)}{suffix}" if out.is_dir() or not out.suffix else out
