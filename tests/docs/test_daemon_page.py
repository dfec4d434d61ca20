"""The daemon's page, typed along by whoever sets up a bench PC."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.web import figures
from tests.docs.shell_pages import DOCS, blocks, lay_out, type_along

PAGE = "daemon.md"
CLEAN_UP = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"


@pytest.mark.scenario
def test_the_worked_example_serves_is_asked_and_ends(tmp_path: Path) -> None:
    lay_out(PAGE, "yaml", tmp_path)
    done = type_along(CLEAN_UP + "".join(blocks(PAGE, "bash")), tmp_path)
    log = (tmp_path / "daemon.log").read_text()
    assert done.returncode == 0, done.stdout + done.stderr + log
    link = (tmp_path / "link.txt").read_text().splitlines()[0]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", link)
    assert link in done.stdout
    assert re.search(r"^Sun Li\s.*admin", done.stdout, re.MULTILINE)
    assert len(re.findall(r"^[1-4] .*\bidle\b", done.stdout, re.MULTILINE)) == 4
    assert done.stdout.splitlines()[-1] == "the daemon ended with 0"
    assert not (tmp_path / "work" / "daemon.json").exists()
    assert '"event": "open"' in log
    trail = (tmp_path / "work" / "audit.jsonl").read_text()
    assert [trail.count(f'"{act}"') for act in ("user.add", "user.change", "bench.abort")] == [2, 1, 1]


def test_the_figures_of_the_page_are_those_of_the_daemon() -> None:
    source = Path(figures.__file__).read_text("utf-8")
    made = {f"{name}{'_total' if 'Counter' in kind else ''}" for kind, name in re.findall(
        r'(\w+MetricFamily)\(\s*"(cellbench_\w+)"', source
    )}  # fmt: skip
    assert made
    assert set(re.findall(r"`(cellbench_\w+)`", (DOCS / PAGE).read_text("utf-8"))) == made
