"""The wheel, built and installed in an empty folder's environment, runs the demonstration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.scenario

ROOT = Path(__file__).parents[2]


def run(*args: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("CELLBENCH", "PYTHON"))}
    return subprocess.run(
        [str(arg) for arg in args], cwd=cwd, capture_output=True, text=True, timeout=400, check=False, env=environment
    )


def test_the_wheel_runs_the_demonstration_in_an_empty_folder(tmp_path: Path) -> None:
    built = run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path / "dist", ROOT, cwd=tmp_path
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "bench/examples/benches/demo.toml" in names
    assert not [name for name in names if name.startswith(("tests/", "examples/", "docs/", "scripts/"))]

    empty = tmp_path / "empty"
    empty.mkdir()
    venv.create(empty / ".venv", with_pip=True)
    python = empty / ".venv" / "bin" / "python"
    installed = run(
        python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", ROOT / "requirements.lock",
        wheel, cwd=empty,
    )  # fmt: skip
    assert installed.returncode == 0, installed.stderr
    done = run(empty / ".venv" / "bin" / "cellbench", "demo", "--cell", "nmc-21700", "--json", cwd=empty)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.strip().splitlines()[-1])
    capacity, nail = found["runs"]
    assert (found["exit_code"], capacity["verdict"], capacity["mode"]) == (0, "pass", "simulated")
    assert nail["verdict"] in ("pass", "fail")
    assert all(Path(ran["bundle"]).is_relative_to(empty / "cellbench-data") for ran in found["runs"])
