"""The interface's page, run as an integrator would: a daemon, and a client that knows nothing of the product."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from bench.results import VerifyStatus
from bench.verify import verify
from bench.web.problems import CODES
from bench.web.roles import Role
from tests.docs.shell_pages import DOCS, blocks, lay_out, type_along

PAGE = "api.md"
CLEAN_UP = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"


@pytest.mark.scenario
def test_the_worked_example_goes_from_a_log_in_to_a_bundle(tmp_path: Path) -> None:
    lay_out(PAGE, "yaml", tmp_path)
    lay_out(PAGE, "python", tmp_path)
    done = type_along(CLEAN_UP + "".join(blocks(PAGE, "bash")), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr + (tmp_path / "daemon.log").read_text()
    lines = done.stdout.splitlines()
    assert "run 0001-ci-smoke again True" in lines
    assert [line for line in lines if line.startswith("state ")][-1] == "state closed"
    assert "verdict pass mode simulated exit code 0" in lines
    current = re.search(r"^current (-[\d.]+) A$", done.stdout, re.MULTILINE)
    assert current is not None
    assert float(current[1]) == pytest.approx(-2.5, rel=0.02)  # 0.5 I1 of 5 Ah
    assert "409 application/problem+json plan-changed" in lines
    assert lines[-1] == "the daemon ended with 0"
    with zipfile.ZipFile(tmp_path / "bundle.zip") as bundle:
        bundle.extractall(tmp_path / "there")
    assert verify(tmp_path / "there" / "0001-ci-smoke").status is VerifyStatus.INTACT


def test_every_code_and_role_of_the_page_is_one_of_the_program() -> None:
    text = (DOCS / PAGE).read_text("utf-8")
    rows = [line.split("|") for line in text.splitlines() if re.match(r"\| `", line)]
    roles = [cells[1].strip(" `") for cells in rows if len(cells) == 4]
    assert roles == [role.value for role in Role]
    for cells in (cells for cells in rows if len(cells) == 5):
        told = {int(status) for status in cells[2].split(",")}
        assert {CODES[code][0] for code in re.findall(r"`([\w-]+)`", cells[1])} == told
