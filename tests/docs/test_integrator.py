"""The integrator's page, run as a CI job would: the product as a process, clients that know nothing of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bench.results import schemas
from tests.docs.shell_pages import DOCS, blocks, lay_out, type_along

PAGE = "integrator.md"
CLEAN_UP = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"


def last_object(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8").strip().splitlines()[-1])
    schema = json.loads((DOCS / "schemas" / f"{found['schema'].split('/')[1]}.json").read_text("utf-8"))
    assert set(schema["required"]) <= set(found) <= set(schema["properties"])
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lay_out(PAGE, "yaml", tmp_path)
    lay_out(PAGE, "python", tmp_path)
    return tmp_path


@pytest.mark.scenario
def test_the_job_runs_books_and_archives(folder: Path) -> None:
    job, archive, _ = blocks(PAGE, "bash")
    done = type_along(job + "python book.py\n" + archive, folder)
    assert done.returncode == 0, done.stderr
    run, refused = last_object(folder / "run.json"), last_object(folder / "refused.json")
    assert (run["exit_code"], run["verdict"], run["mode"]) == (0, "pass", "simulated")
    assert (refused["exit_code"], refused["schema"]) == (2, "cellbench/error/1")
    assert any("curent" in fault["error"] for fault in refused["faults"])
    assert last_object(folder / "check.json")["exit_code"] == 0
    assert last_object(folder / "verify.json")["status"] == "intact"
    assert "0001-ci-smoke simulated pass" in done.stdout
    # 0.5 I1 of a 5 Ah cell for 10 min; the rows, the result and the plant tell the same
    booked = re.search(r"charge from the rows (-[\d.]+) Ah", done.stdout)
    assert booked is not None
    assert -float(booked[1]) == pytest.approx(2.5 / 6, rel=0.01)
    assert run["results"]["capacity_ah"]["value"] == pytest.approx(-float(booked[1]), rel=0.003)
    assert run["plant_truth"]["capacity_ah"]["value"] == pytest.approx(-float(booked[1]), rel=0.003)
    assert (folder / "archive" / "manifest.json").exists()


@pytest.mark.scenario
def test_clients_of_others_talk_to_the_simulated_instruments(folder: Path) -> None:
    done = type_along(CLEAN_UP + blocks(PAGE, "bash")[2], folder)
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert re.search(r"EA.*PSB 1\d{4}", said)
    charging = re.search(r"charging ([\d.]+)V ([-\d.]+)A", said)
    assert charging is not None
    assert 2.5 < float(charging[1]) < 4.25
    assert float(charging[2]) == pytest.approx(5.0, abs=0.1)
    assert "output OFF" in said
    surface = re.search(r"surface (-?[\d.]+) degC", said)
    assert surface is not None
    assert float(surface[1]) == pytest.approx(23.0, abs=2.0)


def test_every_shape_is_on_the_page() -> None:
    linked = set(re.findall(r"\(schemas/([\w-]+\.json)\)", (DOCS / PAGE).read_text("utf-8")))
    assert linked == set(schemas())
