"""What a run's folder becomes: inputs put in at the start, then the seal.

Order of sealing: logs closed, Parquet, BDF and the tables of the strokes made, report written, ``SHA256SUMS`` (every
file but itself and the manifest), the manifest's signature, then ``manifest.json`` last, by rename. What a folder with
a manifest holds is closed and never written again; what comes later is put beside it, in ``amendments/``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import bdf, record, schemas, signature, stroke_table
from bench.log import EVENTS_SCHEMA, READINGS, READINGS_SCHEMA, Heads, RunLog
from bench.results import RunResult
from bench.seal_key import SealKey
from bench.signature import Sealed
from drivers.errors import RecordError

MANIFEST = "manifest.json"
#: The manifest's signature. It is written before the manifest, which is what closes a bundle.
MANIFEST_SIG = f"{MANIFEST}{signature.SUFFIX}"
SUMS = "SHA256SUMS"
RESULT = "result.json"
#: Every name that an expression may use, as it stood at the end of the run.
VALUES = "values.json"
REPORT = "report.html"
#: The folder in a closed bundle that grows.
AMENDMENTS = "amendments"
MANIFEST_SCHEMA = schemas.newest("manifest")


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


def seal(log: RunLog, result: RunResult, *, key: SealKey | None = None) -> Path:
    """Close the log and the bundle, sign it, and give the manifest. Raises RecordError; the bundle is then not closed.

    Without a ``key`` the manifest says that nobody signs, and so does verify. ``result.json`` in the bundle says "."
    for its own place, so that a moved bundle stays true. A sealing that was broken off may be repeated.
    """
    heads = log.close()
    if log.failed is not None:
        raise log.failed
    return finish(log.folder, heads, result, durable=log.durable, key=key)


def finish(folder: Path, heads: Heads, result: RunResult, *, durable: bool, key: SealKey | None) -> Path:
    """What :func:`seal` does once the log is closed: it needs nothing but the folder. Raises RecordError."""
    from bench.report import render  # the report reads a bundle, and so imports this module

    _derive(folder, RESULT, result.model_copy(update={"bundle": "."}).model_dump_json(by_alias=True, indent=1) + "\n")
    kept = record.load(folder, most_rows=record.SHOWN_ROWS)
    stem = bdf.file_stem(kept)
    _derive(folder, f"{stem}.bdf.csv", bdf.csv_parts(kept))
    _derive(folder, f"{stem}.bdf.metadata.json", bdf.metadata_text(kept))
    try:
        for stroke in stroke_table.strokes(kept):
            stroke_table.write(folder, stroke)
    except OSError as error:
        raise _cannot(folder, "the table of a stroke", error) from error
    _derive(folder, REPORT, render(folder))
    try:
        return _close(folder, kept.header, heads, durable=durable, key=key)
    except OSError as error:
        raise _cannot(folder, MANIFEST, error) from error


def _derive(folder: Path, name: str, text: str | Iterable[str]) -> None:
    """Write what is made from the record, in parts if it is long; a sealing that was broken off may have left it."""
    try:
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            file.writelines([text] if isinstance(text, str) else text)
    except OSError as error:
        raise _cannot(folder, name, error) from error


def files_of(folder: Path) -> Iterable[str]:
    """Every file that a bundle's seal covers but the manifest itself, by its path inside, in a fixed order."""
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return sorted(it for it in paths if it not in {MANIFEST, MANIFEST_SIG} and not it.startswith(f"{AMENDMENTS}/"))


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


def _close(folder: Path, header: Mapping[str, Any], heads: Heads, *, durable: bool, key: SealKey | None) -> Path:
    for left in (folder / SUMS, folder / MANIFEST_SIG, folder / f"{MANIFEST}.part"):
        left.unlink(missing_ok=True)
    hashes = {name: sha256_of(folder / name) for name in files_of(folder)}
    sums = "".join(f"{sha256}  {name}\n" for name, sha256 in hashes.items())
    (folder / SUMS).write_text(sums, encoding="utf-8")
    hashes[SUMS] = hashlib.sha256(sums.encode()).hexdigest()
    manifest: dict[str, Any] = {
        "schema": MANIFEST_SCHEMA,
        "run_id": header.get("run_id"),
        "mode": header.get("mode"),
        "durable": durable,
        "schemas": {"events": EVENTS_SCHEMA, "readings": READINGS_SCHEMA},
        "chains": {name: value for name, value in asdict(heads).items() if name != "suspect"},
        "suspect": list(heads.suspect),
        "signer": None if key is None else key.public,
        "files": [
            {"path": name, "size": (folder / name).stat().st_size, "sha256": sha256}
            for name, sha256 in sorted(hashes.items())
        ],
        "digest": "",
    }
    manifest["digest"] = digest_of(manifest)
    text = manifest_text(manifest).encode()
    part = folder / f"{MANIFEST}.part"
    part.write_bytes(text)
    if key is not None:
        (folder / MANIFEST_SIG).write_bytes(key.sign(text))
        own = hashlib.sha256(text).hexdigest()
        key.remember(own, Sealed(0, own))
    if durable:
        signed = () if key is None else (MANIFEST_SIG,)
        for path in (*(folder / name for name in (*hashes, *signed)), part, folder / READINGS, folder):
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
