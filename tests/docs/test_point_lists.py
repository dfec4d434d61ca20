"""The worked point list of docs/register-profiles.md does what the page says, in the driver and in the simulator."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from drivers.modbus_points import with_profile
from drivers.point_list import parse
from simulators.personalities.modbus_points import parse_point_list

PAGE = (Path(__file__).parents[2] / "docs" / "register-profiles.md").read_text(encoding="utf-8")
EXAMPLE = next(block for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if "# my-points.toml" in block)
ROWS = re.findall(r"^\| (\w+) (\d+) = ([^|]+) \| `(\w+)` \| (\S+)", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("table", "address", "written", "name", "reading"), ROWS)
def test_the_table_of_words(table: str, address: str, written: str, name: str, reading: str) -> None:
    point = parse(EXAMPLE, "my-points.toml").points[name]
    assert (point.table, point.address) == (table, int(address))
    found = point.value([int(word, 0) for word in written.split()])
    assert math.isnan(found) if reading == "none" else found == pytest.approx(float(reading), abs=1e-9)


def test_every_kind_is_shown() -> None:
    assert len(ROWS) == 8
    assert {str(kind) for kind in with_profile(EXAMPLE, "my-points.toml").points.values()} == {
        "output", "input", "temperature", "pressure", "voltage", "mass", "level",
    }  # fmt: skip


def test_the_simulator_reads_the_same_page() -> None:
    theirs, ours = parse_point_list(EXAMPLE, "my-points.toml"), parse(EXAMPLE, "my-points.toml")
    assert ours.watchdog is not None
    assert theirs.watchdog_max_s == ours.watchdog.max_s == 25.0
    for name, point in ours.points.items():
        register = theirs.points[name].register
        assert (register.address, register.count) == (point.address, point.count)
