"""Bundles of an older program are read, those of a newer one are refused by name and left as they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bench import bundle, record, schemas
from bench.chain import encode
from bench.log import RunLog
from bench.results import VerifyStatus
from bench.schemas import NewerSchema
from bench.verify import check_sound, verify, verify_result
from drivers.errors import RecordError
from tests.bench.synthetic_run import Time, record_run, sealed_run

pytestmark = pytest.mark.fault("F77")


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sealed_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def copy(sealed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sealed, tmp_path / "copy"))


def rewrite_manifest(folder: Path, change: dict[str, Any], without: tuple[str, ...] = ()) -> None:
    manifest = {**json.loads((folder / "manifest.json").read_text()), **change}
    manifest = {name: value for name, value in manifest.items() if name not in without}
    manifest["digest"] = bundle.digest_of(manifest)
    (folder / "manifest.json").write_text(bundle.manifest_text(manifest))


def test_a_manifest_of_version_1_is_read_and_nobody_signed_it(copy: Path) -> None:
    rewrite_manifest(copy, {"schema": "cellbench/manifest/1"}, without=("signer", "suspect"))
    found = verify(copy)
    assert (found.status, found.said) == (VerifyStatus.INTACT, VerifyStatus.UNSIGNED)


def test_a_manifest_of_a_newer_program_is_named_and_not_judged(copy: Path) -> None:
    rewrite_manifest(copy, {"schema": "cellbench/manifest/3"})
    found = verify(copy)
    assert (found.said, verify_result(found).exit_code) == (VerifyStatus.NEWER, 2)
    assert "'cellbench/manifest/3'" in found.problems[0].error
    assert "cellbench/manifest/2" in found.problems[0].error
    with pytest.raises(RecordError, match="cannot be judged"):
        check_sound(copy)


def test_a_version_that_was_scribbled_into_the_manifest_is_damage(copy: Path) -> None:
    path = copy / "manifest.json"
    path.write_text(path.read_text().replace("cellbench/manifest/2", "cellbench/manifest/3"))
    assert verify(copy).said is VerifyStatus.ALTERED


def newer_events(folder: Path) -> bytes:
    """A record whose header a newer program wrote."""
    record_run(folder).abandon()
    path = folder / "events.jsonl"
    first = json.loads(path.read_bytes().split(b"\n")[0])
    first["data"]["schema"] = "cellbench/events/2"
    path.write_bytes(encode(first) + b"\n")
    return path.read_bytes()


def test_a_record_of_a_newer_program_is_neither_read_nor_gone_on_with(tmp_path: Path) -> None:
    before = newer_events(tmp_path / "run")
    with pytest.raises(NewerSchema, match="cellbench/events/2"):
        RunLog.reopen(tmp_path / "run", Time().clock, durable=False)
    with pytest.raises(NewerSchema, match="cellbench/events/2"):
        record.load(tmp_path / "run")
    assert (tmp_path / "run" / "events.jsonl").read_bytes() == before
    assert verify(tmp_path / "run").said is VerifyStatus.NEWER


@pytest.mark.parametrize("schema", ["cellbench/manifest/01", "cellbench/manifest/x", "cellbench/bench/1", None, 2])
def test_what_is_no_such_schema_is_not_taken_for_one(schema: object) -> None:
    with pytest.raises(RecordError, match="not cellbench/manifest"):
        schemas.migrated({"schema": schema}, "manifest", "manifest.json")


def test_every_kind_migrates_step_by_step_to_what_is_written_now() -> None:
    for kind, steps in schemas.STEPS.items():
        for version in range(1, len(steps) + 2):
            document = schemas.migrated({"schema": f"cellbench/{kind}/{version}"}, kind, kind)
            assert document["schema"] == schemas.newest(kind)
