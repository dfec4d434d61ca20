"""What a closed bundle holds, in which order it closes, and what happens when it cannot."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import bdf, bundle, record
from drivers.errors import RecordError
from tests.bench.synthetic_run import CHARGE_AH, CURRENT_A, START_UTC_S, record_run, result, sealed_run


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sealed_run(tmp_path_factory.mktemp("runs") / "run")


def table_of(folder: Path) -> list[list[str]]:
    return list(csv.reader(next(folder.glob("*.bdf.csv")).read_text().splitlines()))


def test_a_closed_bundle_holds_everything_and_lists_it(sealed: Path) -> None:
    names = {path.relative_to(sealed).as_posix() for path in sealed.rglob("*") if path.is_file()}
    manifest = json.loads((sealed / "manifest.json").read_text())
    assert {entry["path"] for entry in manifest["files"]} == names - {"manifest.json"}
    sums = {line.split("  ")[1] for line in (sealed / "SHA256SUMS").read_text().splitlines()}
    assert sums == names - {"manifest.json", "SHA256SUMS"}
    assert {"report.html", "result.json", "events.jsonl", "bench.toml", "readings/0001.parquet"} <= names
    assert not [name for name in names if "window" in name or name.endswith(".part")]


def test_the_bundle_says_that_virtual_writes_were_not_synced(sealed: Path) -> None:
    assert json.loads((sealed / "manifest.json").read_text())["durable"] is False
    assert "not synced" in (sealed / "report.html").read_text()


def test_result_json_does_not_name_a_place_of_this_machine(sealed: Path) -> None:
    assert json.loads((sealed / "result.json").read_text())["bundle"] == "."


def test_bdf_has_the_required_and_recommended_labels(sealed: Path) -> None:
    head = table_of(sealed)[0]
    assert head[:5] == ["Test Time / s", "Voltage / V", "Current / A", "Unix Time / s", "Step Count / 1"]
    assert "Ambient Temperature / degC" in head
    assert "Surface Temperature T2 / degC" in head


def test_bdf_time_is_in_order_and_starts_with_the_record(sealed: Path) -> None:
    rows = table_of(sealed)[1:]
    times = [float(row[0]) for row in rows]
    assert times == sorted(set(times))
    assert times[0] == 5.0, "the first poll came 5 s after the record began"
    assert float(rows[0][3]) == START_UTC_S + 5.0


def test_bdf_charge_is_positive_and_the_rows_hold_it(sealed: Path) -> None:
    head, *rows = table_of(sealed)
    t, i = [float(row[0]) for row in rows], [float(row[2]) for row in rows]
    kinds = dict(zip(head, zip(*rows, strict=True), strict=True))["Step ID"]
    assert {amps for amps, kind in zip(i, kinds, strict=True) if kind == "fill"} == {CURRENT_A}
    drawn = sum(-(a + b) / 2 * (u - s) / 3600 for a, b, s, u in zip(i, i[1:], t, t[1:], strict=False) if a + b < 0)
    assert drawn == pytest.approx(0.95 * CHARGE_AH, rel=1e-3)


def test_bdf_capacities_never_fall(sealed: Path) -> None:
    head, *rows = table_of(sealed)
    for name in ("Charging Capacity / Ah", "Discharging Capacity / Ah", "Discharging Energy / Wh"):
        column = [float(row[head.index(name)]) for row in rows]
        assert column == sorted(column)


def test_the_sidecar_says_which_channel_is_which(sealed: Path) -> None:
    sidecar = json.loads(next(sealed.glob("*.bdf.metadata.json")).read_text())
    assert sidecar["channels"]["current"] == "psb.out.current_a"
    assert sidecar["mode"] == "simulated"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@cmd", "\t=1", "\r=1"])
def test_text_that_a_spreadsheet_would_run_is_escaped(text: str) -> None:
    assert bdf.safe_cell(text) == "'" + text


def test_a_step_named_like_a_formula_is_escaped_in_the_file(tmp_path: Path) -> None:
    log = record_run(tmp_path / "run")
    log.event("step_started", step=1, path="1", step_kind="rest", id="=HYPERLINK(1)", phase="conditioning")
    log.close()
    text = bdf.csv_text(record.load(tmp_path / "run"))
    assert "'=HYPERLINK(1)" in text
    assert ",=HYPERLINK" not in text


def test_a_value_that_is_missing_is_an_empty_cell_and_adds_no_charge() -> None:
    assert bdf.Moved().on([0.0, 3600.0, 7200.0, 10800.0], [2.0, 2.0, None, -1.0]) == ([0.0, 2.0, 2.0, 2.0], [0.0] * 4)


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = sealed_run(tmp_path / "a"), sealed_run(tmp_path / "b")
    names = {path.relative_to(one) for path in one.rglob("*") if path.is_file()}
    assert names == {path.relative_to(two) for path in two.rglob("*") if path.is_file()}
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


HASHING = """
import sys
from pathlib import Path
from tests.bench.synthetic_run import sealed_run
sealed_run(Path(sys.argv[1]))
"""


def test_no_order_of_sets_or_dicts_reaches_the_bytes(tmp_path: Path) -> None:
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", HASHING, str(tmp_path / seed)], env=environment, check=True)
    assert (tmp_path / "1" / "manifest.json").read_bytes() == (tmp_path / "2" / "manifest.json").read_bytes()


def test_a_closed_bundle_is_never_written_again(sealed: Path) -> None:
    with pytest.raises(RecordError, match="closed"):
        bundle.put(sealed, "notes.txt", "x")


def test_an_input_is_written_once(tmp_path: Path) -> None:
    bundle.put(tmp_path, "plan.json", {"a": 1})
    with pytest.raises(RecordError, match="File exists"):
        bundle.put(tmp_path, "plan.json", {"a": 2})


def test_a_bundle_that_cannot_be_closed_stays_unclosed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = record_run(tmp_path / "run")

    rename = Path.rename

    def full(self: Path, target: Path) -> Path:
        if self.name.startswith("manifest"):
            raise OSError(28, "No space left on device")
        rename(self, target)
        return target

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(RecordError, match="cannot be closed"):
        bundle.seal(log, result())
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_a_record_that_failed_is_not_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = record_run(tmp_path / "run")
    monkeypatch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(RecordError):
        log.event("x")
    with pytest.raises(RecordError, match="Input/output error"):
        bundle.seal(log, result())
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_no_cell_says_minus_zero(sealed: Path) -> None:
    assert "-0.0" not in {cell for row in table_of(sealed) for cell in row}
