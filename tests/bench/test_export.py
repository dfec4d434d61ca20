"""A run in the formats of others, beside its bundle."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bench.export import check_beside, export, written_beside
from bench.verify import verify
from drivers.errors import ConfigError, RecordError
from tests.bench.synthetic_run import record_run, sealed_run


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    return sealed_run(tmp_path / "runs" / "run")


def test_bdf_csv_goes_beside_the_bundle_and_is_the_one_inside(sealed: Path) -> None:
    data, sidecar = export(sealed, "bdf-csv")
    assert data.parent == sidecar.parent == sealed.parent
    assert data.read_bytes() == (sealed / data.name).read_bytes()
    assert sidecar.read_bytes() == (sealed / sidecar.name).read_bytes()
    assert verify(sealed).problems == ()


def test_a_folder_that_is_no_bundle_is_a_slip_of_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a bundle"):
        check_beside(tmp_path, tmp_path / "report.html")
    with pytest.raises(ConfigError, match="not a bundle"):
        export(tmp_path, "bdf-csv")


def test_parquet_holds_the_rows_of_the_csv(sealed: Path, tmp_path: Path) -> None:
    data, _ = export(sealed, "parquet", tmp_path / "out.parquet")
    table = pq.read_table(data).to_pydict()
    head, *rows = list(csv.reader(next(sealed.glob("*.bdf.csv")).read_text().splitlines()))
    assert list(table) == head
    for name, column in zip(head, zip(*rows, strict=True), strict=True):
        given = [str(value) for value in table[name]] if name == "Step ID" else [float(it) for it in table[name]]
        assert given == (list(column) if name == "Step ID" else [float(cell) for cell in column])


def test_a_folder_takes_the_file_under_its_own_name(sealed: Path, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    data, _ = export(sealed, "parquet", tmp_path / "here")
    assert data.parent == tmp_path / "here"
    assert data.name.endswith(".bdf.parquet")


def test_an_interrupted_run_is_exported_as_far_as_it_goes(tmp_path: Path) -> None:
    log = record_run(tmp_path / "run")
    log.flush()
    log.abandon()
    data, _ = export(tmp_path / "run", "bdf-csv")
    assert len(data.read_text().splitlines()) > 100


def test_every_fault_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        export(tmp_path, "xlsx", tmp_path / "x")
    assert len(told.value.faults) == 3
    assert "bdf-csv, parquet" in str(told.value)


def test_nothing_is_written_into_a_bundle(sealed: Path) -> None:
    with pytest.raises(ConfigError, match="inside the bundle"):
        export(sealed, "parquet", sealed / "again.parquet")
    with pytest.raises(ConfigError, match="inside the bundle"):
        written_beside(sealed, sealed / "report2.html", "x")


def test_a_place_that_cannot_be_written_is_told(sealed: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="cannot be written"):
        export(sealed, "bdf-csv", tmp_path / "file" / "out.csv")


def test_an_altered_record_is_told_and_verify_named(sealed: Path) -> None:
    segment = sealed / "readings" / "0001.parquet"
    segment.write_bytes(segment.read_bytes()[:100])
    with pytest.raises(RecordError, match="cannot be read") as told:
        export(sealed, "bdf-csv")
    assert "cellbench verify" in told.value.faults[0].fix
