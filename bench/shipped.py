"""Where the example files are: beside the packages in a checkout, inside ``bench`` in an installed wheel."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def examples() -> Path:
    """The folder with ``benches/`` and ``cells/``. Raises FileNotFoundError if the installation lacks it."""
    for folder in (_HERE / "examples", _HERE.parent / "examples"):
        if (folder / "benches").is_dir():
            return folder
    raise FileNotFoundError(f"no examples beside {_HERE}: install cellbench again")
