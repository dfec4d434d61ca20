"""What a run's folder becomes: inputs put in at the start, then the seal.

Order of sealing: logs closed, Parquet, BDF and the tables of the strokes made, report written, ``SHA256SUMS`` (every
file but itself and the manifest), then ``manifest.json`` last, by rename. What a folder with a manifest holds is closed
and never written again; what comes later is put beside it, in ``amendments/``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import bdf, record, stroke_table
from bench.log import EVENTS_SCHEMA, READINGS_SCHEMA, Heads, RunLog
from bench.results import RunResult
from drivers.errors import RecordError

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
RESULT = "result.json"
#: Every name that an expression may use, as it stood at the end of the run.
VALUES = "values.json"
REPORT = "report.html"
#: The folder in a closed bundle that grows.
AMENDMENTS = "amendments"
MANIFEST_SCHEMA = "cellbench/manifest/1"


def put(folder: Path, name: str, content: str | Mapping[str, Any]) -> Path:
    """Write one input of the run (``bench.toml``, ``plan.json``, ...): text as it is, a mapping as JSON.

    Raises RecordError, also if the bundle is closed or the name is taken.
    """
    text = content if isinstance(content, str) else json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    if (folder / MANIFEST).exists():
        raise RecordError("the bundle is closed", str(folder), "write beside it, not into it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise _cannot(folder, name, error) from error
    return folder / name


def seal(log: RunLog, result: RunResult) -> Path:
    """Close the log and the bundle, and give the manifest. Raises RecordError; the bundle is then not closed.

    ``result.json`` in the bundle says "." for its own place, so that a moved bundle stays true.
    """
    folder = log.folder
    heads = log.close()
    if log.failed is not None:
        raise log.failed
    from bench.report import render  # the report reads a bundle, and so imports this module

    put(folder, RESULT, result.model_copy(update={"bundle": "."}).model_dump_json(by_alias=True, indent=1) + "\n")
    kept = record.load(folder)
    stem = bdf.file_stem(kept)
    put(folder, f"{stem}.bdf.csv", bdf.csv_text(kept))
    put(folder, f"{stem}.bdf.metadata.json", bdf.metadata(kept))
    try:
        for stroke in stroke_table.strokes(kept):
            stroke_table.write(folder, stroke)
    except OSError as error:
        raise _cannot(folder, "the table of a stroke", error) from error
    put(folder, REPORT, render(folder))
    try:
        return _close(folder, kept.header, heads, durable=log.durable)
    except OSError as error:
        raise _cannot(folder, MANIFEST, error) from error


def files_of(folder: Path) -> Iterable[str]:
    """Every file that a bundle's seal covers but the manifest itself, by its path inside, in a fixed order."""
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return sorted(path for path in paths if path != MANIFEST and not path.startswith(f"{AMENDMENTS}/"))


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest_text(manifest: Mapping[str, Any]) -> str:
    """A manifest as it stands in the file, byte for byte; ``digest`` must be its last key.

    ``digest`` is the sha256 of this very text with ``digest`` empty, so that the manifest vouches for itself.
    """
    return json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"


def digest_of(manifest: Mapping[str, Any]) -> str:
    """What ``digest`` must be."""
    return hashlib.sha256(manifest_text({**manifest, "digest": ""}).encode()).hexdigest()


def _close(folder: Path, header: Mapping[str, Any], heads: Heads, *, durable: bool) -> Path:
    sums = "".join(f"{sha256_of(folder / name)}  {name}\n" for name in files_of(folder))
    (folder / SUMS).write_text(sums, encoding="utf-8")
    manifest: dict[str, Any] = {
        "schema": MANIFEST_SCHEMA,
        "run_id": header.get("run_id"),
        "mode": header.get("mode"),
        "durable": durable,
        "schemas": {"events": EVENTS_SCHEMA, "readings": READINGS_SCHEMA},
        "chains": asdict(heads),
        "files": [
            {"path": name, "size": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)}
            for name in files_of(folder)
        ],
        "digest": "",
    }
    manifest["digest"] = digest_of(manifest)
    part = folder / f"{MANIFEST}.part"
    part.write_text(manifest_text(manifest), encoding="utf-8")
    if durable:
        for path in (*(folder / name for name in files_of(folder)), folder):
            sync(path)
    part.rename(folder / MANIFEST)
    if durable:
        sync(folder)
    return folder / MANIFEST


def sync(path: Path) -> None:
    """A file's or folder's content is on disk when this returns. Raises OSError."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _cannot(folder: Path, name: str, error: OSError) -> RecordError:
    return RecordError(
        f"the bundle cannot be closed: {error.strerror or error} while writing {name}",
        str(folder),
        "free space or mend the disk; the logs in the folder are good, the run can be read but is not sealed",
    )
