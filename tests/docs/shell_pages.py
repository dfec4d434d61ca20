"""Pages that a reader types along: their files and commands, taken out and run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from bench.shipped import examples

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)


def lay_out(page: str, language: str, folder: Path) -> None:
    """Write the page's files, which begin with their name in a comment, and put the examples beside them."""
    for text in blocks(page, language):
        name = re.match(r"# ([\w.-]+)\n", text)
        assert name is not None, "a file on the page begins with its name"
        (folder / name[1]).write_text(text, "utf-8")
    link = folder / "examples"
    if not link.exists():
        link.symlink_to(examples())


def type_along(script: str, folder: Path, *, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run the commands in one shell in ``folder``, ``typed`` at its keyboard, the installed commands on its path."""
    here = Path(sys.executable).parent
    variables = {**os.environ, "PATH": f"{here}:{os.environ['PATH']}", "COLUMNS": "160", "PYTHONWARNINGS": "error"}
    variables.pop("CELLBENCH_DATA", None)
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=variables,
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
