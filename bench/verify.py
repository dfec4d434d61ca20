"""Whether a bundle is what it was when it was closed.

Checked: the manifest's own bytes, every file against manifest and SHA256SUMS, files that are missing or extra, both
hash chains, every segment against its event and its rows against the chain, the heads, what was added since
(bench/amendments.py), and every signature. Hashes find damage; who alters files *and* makes a new manifest is found by
the signature alone, and only where the key is known: an unknown key, or none, is never called intact.
"""

from __future__ import annotations

import fcntl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from bench import amendments, bdf, parquet, record, schemas, signature
from bench.bundle import MANIFEST, MANIFEST_SIG, SUMS, digest_of, files_of, manifest_text, sha256_of
from bench.chain import GENESIS, Checked, check, digest, read_lines
from bench.event_files import EVENTS, Events, read_events
from bench.results import Problem, SignatureRow, VerifyResult, VerifyStatus
from bench.row_files import READINGS, row_parts, window_lines
from bench.schemas import NewerSchema
from bench.signature import Trust
from drivers.errors import ConfigError, Fault, RecordError

#: How often a run that goes on is looked at before what does not agree in it is an alteration.
_GOES = 4
EXIT_CODES = {
    VerifyStatus.INTACT: 0,
    VerifyStatus.ALTERED: 1,
    VerifyStatus.NOT_A_BUNDLE: 2,
    VerifyStatus.UNKNOWN_KEY: 3,
    VerifyStatus.UNSIGNED: 3,
    VerifyStatus.NEWER: 2,
    VerifyStatus.NOT_CLOSED: 5,
}


@dataclass(frozen=True, slots=True)
class Signed:
    """Who signed a file of the bundle: the key in hex ("": nobody), and the name it is known by ("": unknown)."""

    file: str
    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found. ``status`` speaks of damage alone; ``said`` is what may be said of the bundle as a whole.

    ``owned``: a live process writes it still. ``durable``: whether every write was synced. ``amendments``: how many
    hold, from the seal on. ``signed``: by whom the manifest is, then each amendment.
    """

    folder: Path
    status: VerifyStatus
    problems: tuple[Problem, ...]
    owned: bool = False
    durable: bool | None = None
    amendments: int = 0
    signed: tuple[Signed, ...] = ()

    @property
    def said(self) -> VerifyStatus:
        """Intact only if nothing is damaged and every signature is that of a known key."""
        if self.status is not VerifyStatus.INTACT or all(it.name for it in self.signed):
            return self.status
        unsigned = any(not it.key for it in self.signed)
        return VerifyStatus.UNSIGNED if unsigned else VerifyStatus.UNKNOWN_KEY


@dataclass(slots=True)
class _Findings:
    folder: Path
    problems: list[Problem] = field(default_factory=list)

    def add(self, file: str, error: str, at: int | None = None) -> None:
        self.problems.append(Problem(file=file, record=at, error=error))

    @property
    def files(self) -> set[str]:
        return {problem.file for problem in self.problems}


def verify(folder: Path, trust: Trust | None = None) -> Verification:
    """Check a bundle, closed or not, by the keys of ``trust`` and what it remembers. Never raises for what the bundle
    holds; changes nothing."""
    trust = trust or Trust()
    has = {name: (folder / name).is_file() for name in (EVENTS, MANIFEST, SUMS)}
    if not has[MANIFEST] and not has[EVENTS] and not has[SUMS]:
        problem = Problem(file=str(folder), record=None, error=f"holds neither {EVENTS} nor {MANIFEST}")
        return Verification(folder, VerifyStatus.NOT_A_BUNDLE, (problem,))
    if not has[MANIFEST]:
        return _unclosed(folder, trust)
    found = _Findings(folder)
    try:
        manifest, key = _manifest(found)
    except NewerSchema as error:
        found.add(MANIFEST, error.faults[0].error)
        return Verification(folder, VerifyStatus.NEWER, tuple(found.problems))
    if manifest is not None:
        _files(found, manifest)
        _sums(found)
        _chains(found, manifest)
    added = amendments.read(folder, files=True)
    found.problems += added.problems
    _compare_with_memory(found, trust, added)
    signed = [Signed(MANIFEST, key, trust.names.get(key, ""))]
    signed += [Signed(it.path, it.key, trust.names.get(it.key, "")) for it in added.amendments]
    return Verification(
        folder,
        VerifyStatus.ALTERED if found.problems else VerifyStatus.INTACT,
        tuple(found.problems),
        durable=manifest["durable"] if manifest else None,
        amendments=len(added.amendments),
        signed=tuple(signed),
    )


def _compare_with_memory(found: _Findings, trust: Trust, added: amendments.Chain) -> None:
    """An earlier state of the bundle agrees with itself; only who remembers the later one can tell."""
    known = trust.sealed.get(sha256_of(found.folder / MANIFEST))
    if known is not None and known.amendments > len(added.amendments) and not added.problems:
        name = amendments.path_of(known.amendments)
        found.add(name, f"is missing: {known.amendments} amendments were added, by the register of this data folder")


def check_sound(folder: Path) -> None:
    """Raises RecordError unless the bundle is closed and intact; ConfigError if it is none."""
    found = verify(folder)
    if found.status is VerifyStatus.NOT_A_BUNDLE:
        raise ConfigError([Fault("not a bundle", str(folder), record.NOT_A_BUNDLE_FIX)])
    if found.status is VerifyStatus.NOT_CLOSED:
        fix = "only a closed run is amended; what belongs to an interrupted one stays beside it"
        raise RecordError("the run was never closed", str(folder), fix)
    if found.status is not VerifyStatus.INTACT:
        said = "; ".join(map(str, found.problems))
        how = "cannot be judged" if found.status is VerifyStatus.NEWER else "was altered"
        raise RecordError(f"the bundle {how}: {said}", str(folder), "restore it: nothing may rest on it as it is")


def verify_result(found: Verification) -> VerifyResult:
    """What ``verify`` says, with its exit code: 0 intact, 1 altered, 2 not a bundle or a newer one, 3 whole but of an
    unknown key or unsigned, 5 not closed."""
    return VerifyResult(
        exit_code=EXIT_CODES[found.said],
        bundle=str(found.folder),
        status=found.said,
        problems=list(found.problems),
        owned=found.owned,
        durable=found.durable,
        amendments=found.amendments,
        signatures=[SignatureRow(file=it.file, key=it.key or None, name=it.name or None) for it in found.signed],
    )


def _unclosed(folder: Path, trust: Trust) -> Verification:
    """Open or interrupted. What a run that goes on seems to be altered in is looked at again: a window may have become
    a segment, or the run a closed one, since its events were read."""
    for _ in range(_GOES):
        owned = _is_owned(folder)
        said = _as_it_stands(_Findings(folder), owned=owned)
        if said.status is not VerifyStatus.ALTERED or not owned:
            break
        if (folder / MANIFEST).is_file():
            return verify(folder, trust)
    return said


def _as_it_stands(found: _Findings, *, owned: bool) -> Verification:
    """The logs must hold up to the last whole record, a torn tail is no alteration."""
    folder = found.folder
    events = _events(found)
    if events is not None and events.records:
        version = schemas.version_of(events.records[0]["data"].get("schema"), "events")
        if version is not None and version > len(schemas.STEPS["events"]) + 1:
            found.add(EVENTS, f"has schema cellbench/events/{version}; this program knows {schemas.newest('events')}")
            return Verification(folder, VerifyStatus.NEWER, tuple(found.problems), owned=owned)
    torn: list[str] = []
    if events is not None:
        torn += [events.file.name] if events.torn else []
        _readings(found, events)
        parts = row_parts(folder, ((it["kind"], it["data"]) for it in events.records))
        open_ = [it.path for it in parts if it.segment is None and it.limit is None and it.path.is_file()]
        torn += [path.name for path in open_ if read_lines(path).torn]
    altered = bool(found.problems)
    found.add(MANIFEST, "is missing: the run was never closed, its logs are good to the last whole record")
    for name in torn:
        found.add(name, "ends in a torn record")
    durable = events.records[0]["data"].get("durable") if events and events.records else None
    status = VerifyStatus.ALTERED if altered else VerifyStatus.NOT_CLOSED
    return Verification(folder, status, tuple(found.problems), owned=owned, durable=durable)


def _is_owned(folder: Path) -> bool:
    try:
        with (folder / EVENTS).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _manifest(found: _Findings) -> tuple[dict[str, Any] | None, str]:
    """The manifest in its newest form and the key that signed it. None if it cannot be trusted for itself, and nothing
    else can be judged then. Raises NewerSchema."""
    raw = (found.folder / MANIFEST).read_bytes()
    try:
        manifest = orjson.loads(raw)
        wanted = {"schema", "durable", "chains", "files", "digest"}
        if not isinstance(manifest, dict) or wanted - manifest.keys():
            raise ValueError("keys are missing")
        own = manifest_text(manifest).encode() == raw and digest_of(manifest) == manifest["digest"]
    except ValueError:
        found.add(MANIFEST, "is not a whole manifest")
        return None, ""
    if not own:
        found.add(MANIFEST, "does not agree with its own digest")
        return None, ""
    try:
        manifest = schemas.migrated(manifest, "manifest", MANIFEST)
    except NewerSchema:
        raise
    except RecordError as error:
        found.add(MANIFEST, error.faults[0].error)
        return None, ""
    return manifest, _signer(found, raw, manifest["signer"])


def _signer(found: _Findings, raw: bytes, signer: str | None) -> str:
    """The key that signed the manifest, which must be the one that it names; "" if nobody did."""
    path = found.folder / MANIFEST_SIG
    if signer is None:
        if path.exists():
            found.add(MANIFEST_SIG, "is not wanted: the manifest says that nobody signs")
        return ""
    if path.is_symlink() or not path.is_file():
        found.add(MANIFEST_SIG, "is missing: the manifest is signed")
        return ""
    key, why = signature.check(raw, path.read_bytes())
    if key and key != signer:
        why = "is another key's than the manifest says"
    if why:
        found.add(MANIFEST_SIG, why)
    return key


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


def _events(found: _Findings) -> Events | None:
    if not (found.folder / EVENTS).is_file():
        if EVENTS not in found.files:
            found.add(EVENTS, "is missing")
        return None
    events = read_events(found.folder)
    if events.at is not None:
        _broken(found, events.file.name, Checked(events.records, events.head, events.at, events.why))
    return events


def _broken(found: _Findings, name: str, checked: Checked) -> None:
    at = checked.broken or 0
    if "hash" in checked.why and at > 0:
        found.add(name, f"was altered: record {at} does not carry its hash", at - 1)
    else:
        found.add(name, checked.why, at)


def _chains(found: _Findings, manifest: Mapping[str, Any]) -> None:
    heads = manifest["chains"]
    events = _events(found)
    if events is None or events.at is not None:
        return
    if events.torn or (len(events.records), events.head) != (heads["events"], heads["events_head"]):
        found.add(EVENTS, "does not end where the manifest says", max(len(events.records) - 1, 0))
    elif _readings(found, events) != (heads["readings"], heads["readings_head"]):
        found.add(READINGS, "the readings do not end where the manifest says")


def _readings(found: _Findings, events: Events) -> tuple[int, str]:
    """Follow the readings' chain through segments and open windows; gives its length and head."""
    rows, head = 0, GENESIS
    names: list[str] = []
    numbers = {str(it["data"]["path"]): int(it["n"]) for it in events.records if it["kind"] == "segment"}
    for event in events.records:
        if event["kind"] == "readings":
            names = event["data"]["columns"]
    for part in row_parts(found.folder, ((it["kind"], it["data"]) for it in events.records)):
        if part.segment is not None:
            rows += part.segment["rows"]
            head = _segment(found, part.segment, names, head, numbers[part.segment["path"]])
        else:
            name = f"{READINGS}/{part.path.name}"
            try:
                checked = check(window_lines(part.path, part.limit), head, lambda it: it[-1])
            except FileNotFoundError:
                found.add(name, "is missing, or became a segment while it was read")
                continue
            if checked.broken is not None:
                _broken(found, name, checked)
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
    head = prev if data["prev"] == prev else ""
    for columns in parquet.read_parts(path, names):
        for row in zip(*columns, strict=True):
            head = digest(orjson.dumps([*row, head]))
    if head != stated:
        found.add(name, f"its rows do not make the chain that event {event} states")
    return stated
