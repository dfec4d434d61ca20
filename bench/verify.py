"""Whether a bundle is what it was when it was closed.

Checked: the manifest's own bytes, every file against manifest and SHA256SUMS, files that are missing or extra, both
hash chains, every segment against its event and its rows against the chain, the heads, and what was added since
(bench/amendments.py). What an attacker gains who alters files *and* makes a new manifest is said in docs/bundle.md:
hashes find damage, only a signature finds forgery.
"""

from __future__ import annotations

import fcntl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from bench import amendments, bdf, parquet, record
from bench.bundle import MANIFEST, MANIFEST_SCHEMA, SUMS, digest_of, files_of, manifest_text, sha256_of
from bench.chain import GENESIS, Checked, check, digest, read_lines
from bench.log import EVENTS, READINGS, open_windows
from bench.results import Problem, VerifyResult, VerifyStatus
from drivers.errors import ConfigError, Fault, RecordError

EXIT_CODES = {
    VerifyStatus.INTACT: 0,
    VerifyStatus.ALTERED: 1,
    VerifyStatus.NOT_A_BUNDLE: 2,
    VerifyStatus.NOT_CLOSED: 5,
}


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found. ``owned``: a live process writes it still. ``durable``: whether every write was synced.

    ``amendments``: how many hold, from the seal on.
    """

    folder: Path
    status: VerifyStatus
    problems: tuple[Problem, ...]
    owned: bool = False
    durable: bool | None = None
    amendments: int = 0


@dataclass(slots=True)
class _Findings:
    folder: Path
    problems: list[Problem] = field(default_factory=list)

    def add(self, file: str, error: str, at: int | None = None) -> None:
        self.problems.append(Problem(file=file, record=at, error=error))

    @property
    def files(self) -> set[str]:
        return {problem.file for problem in self.problems}


def verify(folder: Path) -> Verification:
    """Check a bundle, closed or not. Never raises for what the bundle holds; changes nothing."""
    has = {name: (folder / name).is_file() for name in (EVENTS, MANIFEST, SUMS)}
    if not has[MANIFEST] and not has[EVENTS] and not has[SUMS]:
        problem = Problem(file=str(folder), record=None, error=f"holds neither {EVENTS} nor {MANIFEST}")
        return Verification(folder, VerifyStatus.NOT_A_BUNDLE, (problem,))
    found = _Findings(folder)
    if not has[MANIFEST]:
        return _unclosed(found)
    manifest = _manifest(found)
    if manifest is not None:
        _files(found, manifest)
        _sums(found)
        _chains(found, manifest)
    added = amendments.read(folder, files=True)
    found.problems += added.problems
    status = VerifyStatus.ALTERED if found.problems else VerifyStatus.INTACT
    durable = manifest["durable"] if manifest else None
    return Verification(folder, status, tuple(found.problems), durable=durable, amendments=len(added.amendments))


def check_sound(folder: Path) -> None:
    """Raises RecordError unless the bundle is closed and intact; ConfigError if it is none."""
    found = verify(folder)
    if found.status is VerifyStatus.NOT_A_BUNDLE:
        raise ConfigError([Fault("not a bundle", str(folder), record.NOT_A_BUNDLE_FIX)])
    if found.status is VerifyStatus.NOT_CLOSED:
        fix = "only a closed run is amended; what belongs to an interrupted one stays beside it"
        raise RecordError("the run was never closed", str(folder), fix)
    if found.status is VerifyStatus.ALTERED:
        said = "; ".join(map(str, found.problems))
        raise RecordError(f"the bundle was altered: {said}", str(folder), "restore it: nothing may rest on it as it is")


def verify_result(found: Verification) -> VerifyResult:
    """What ``verify`` says, with its exit code: 0 intact, 1 altered, 2 not a bundle, 5 not closed."""
    return VerifyResult(
        exit_code=EXIT_CODES[found.status],
        bundle=str(found.folder),
        status=found.status,
        problems=list(found.problems),
        owned=found.owned,
        durable=found.durable,
        amendments=found.amendments,
    )


def _unclosed(found: _Findings) -> Verification:
    """Open or interrupted: the logs must hold up to the last whole record, a torn tail is no alteration."""
    folder = found.folder
    checked = _events(found)
    torn = [path.name for path in (folder / EVENTS, *open_windows(folder)) if path.is_file() and read_lines(path).torn]
    if checked is not None:
        _readings(found, checked)
    altered = bool(found.problems)
    found.add(MANIFEST, "is missing: the run was never closed, its logs are good to the last whole record")
    for name in torn:
        found.add(name, "ends in a torn record")
    durable = checked.records[0]["data"].get("durable") if checked and checked.records else None
    status = VerifyStatus.ALTERED if altered else VerifyStatus.NOT_CLOSED
    return Verification(folder, status, tuple(found.problems), owned=_is_owned(folder), durable=durable)


def _is_owned(folder: Path) -> bool:
    try:
        with (folder / EVENTS).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _manifest(found: _Findings) -> dict[str, Any] | None:
    """The manifest if it can be trusted for itself; None if not, and nothing else can be judged then."""
    raw = (found.folder / MANIFEST).read_bytes()
    try:
        manifest = orjson.loads(raw)
        wanted = {"schema", "durable", "chains", "files", "digest"}
        if not isinstance(manifest, dict) or wanted - manifest.keys():
            raise ValueError("keys are missing")
    except ValueError:
        found.add(MANIFEST, "is not a whole manifest")
        return None
    if manifest["schema"] != MANIFEST_SCHEMA:
        found.add(MANIFEST, f"has schema {manifest['schema']!r}; this program knows {MANIFEST_SCHEMA}")
        return None
    if manifest_text(manifest).encode() != raw or digest_of(manifest) != manifest["digest"]:
        found.add(MANIFEST, "does not agree with its own digest")
        return None
    return manifest


def _files(found: _Findings, manifest: Mapping[str, Any]) -> None:
    listed = {entry["path"]: entry for entry in manifest["files"]}
    here = set(files_of(found.folder))
    for name in sorted(here - listed.keys()):
        found.add(name, "is not in the manifest: it was added after the bundle was closed")
    for name, entry in listed.items():
        path = found.folder / name
        if name not in here:
            found.add(name, "is missing")
        elif path.is_symlink():
            found.add(name, "is a link, not the file that was sealed")
        elif path.stat().st_size != entry["size"]:
            found.add(
                name, f"has {path.stat().st_size} bytes, the manifest says {entry['size']}", _first_line(found, name)
            )
        elif sha256_of(path) != entry["sha256"]:
            found.add(name, "was altered: its sha256 is not that of the manifest", _first_line(found, name))


def _first_line(found: _Findings, name: str) -> int | None:
    """The first row of the BDF file that is not what the segments give; None where that cannot be told."""
    if not name.endswith(".bdf.csv"):
        return None
    try:
        whole = bdf.csv_text(record.load(found.folder)).encode().split(b"\n")
    except RecordError:
        return None
    lines = (found.folder / name).read_bytes().split(b"\n")
    pairs = enumerate(zip(whole, lines, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(whole), len(lines)))


def _sums(found: _Findings) -> None:
    """SHA256SUMS is for people without this program; if it is whole it must say what the files say."""
    path = found.folder / SUMS
    if SUMS in found.files or not path.is_file():
        return
    for at, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        sha256, _, name = line.partition("  ")
        if name not in found.files and sha256_of(found.folder / name) != sha256:
            found.add(SUMS, f"gives another sha256 for {name}", at)


def _events(found: _Findings) -> Checked | None:
    path = found.folder / EVENTS
    if not path.is_file():
        if EVENTS not in found.files:
            found.add(EVENTS, "is missing")
        return None
    checked = check(read_lines(path).lines, GENESIS, lambda it: it["prev"])
    if checked.broken is not None:
        _broken(found, EVENTS, checked)
    return checked


def _broken(found: _Findings, name: str, checked: Checked) -> None:
    at = checked.broken or 0
    if "hash" in checked.why and at > 0:
        found.add(name, f"was altered: record {at} does not carry its hash", at - 1)
    else:
        found.add(name, checked.why, at)


def _chains(found: _Findings, manifest: Mapping[str, Any]) -> None:
    heads = manifest["chains"]
    checked = _events(found)
    if checked is None or checked.broken is not None:
        return
    if read_lines(found.folder / EVENTS).torn or (len(checked.records), checked.head) != (
        heads["events"],
        heads["events_head"],
    ):
        found.add(EVENTS, "does not end where the manifest says", max(len(checked.records) - 1, 0))
    elif _readings(found, checked) != (heads["readings"], heads["readings_head"]):
        found.add(READINGS, "the readings do not end where the manifest says")


def _readings(found: _Findings, events: Checked) -> tuple[int, str]:
    """Follow the readings' chain through segments and open windows; gives its length and head."""
    rows, head = 0, GENESIS
    names: list[str] = []
    segments = 0
    for event in events.records:
        data = event["data"]
        if event["kind"] == "readings":
            names = data["columns"]
        elif event["kind"] == "segment":
            segments += 1
            rows += data["rows"]
            head = _segment(found, data, names, head, event["n"])
    for window in open_windows(found.folder):
        if int(window.stem[-4:]) <= segments:
            continue  # its segment stands already, only its removal did not come about
        checked = check(read_lines(window).lines, head, lambda it: it[-1])
        if checked.broken is not None:
            _broken(found, f"{READINGS}/{window.name}", checked)
        rows, head = rows + len(checked.records), checked.head
    return rows, head


def _segment(found: _Findings, data: Mapping[str, Any], names: list[str], prev: str, event: int) -> str:
    """Check one segment against its event and its rows against the chain; gives the head that the event states."""
    name = data["path"]
    path = found.folder / name
    stated: str = data["head"]
    if name in found.files:
        return stated
    if not path.is_file():
        found.add(name, f"is missing; event {event} announced it")
        return stated
    if sha256_of(path) != data["sha256"]:
        found.add(name, f"was altered: its sha256 is not that of event {event}")
        return stated
    columns, _ = parquet.read(path)
    head = prev if data["prev"] == prev else ""
    for row in zip(*(columns[column] for column in names), strict=True):
        head = digest(orjson.dumps([*row, head]))
    if head != stated:
        found.add(name, f"its rows do not make the chain that event {event} states")
    return stated
