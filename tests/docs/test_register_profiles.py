"""The worked example of docs/register-profiles.md does what the page says."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from drivers.capabilities import PointKind
from drivers.errors import ConfigError
from drivers.penetration_rig import with_profile
from drivers.rig_link import Look
from drivers.rig_profile import RigProfile, parse

PAGE = (Path(__file__).parents[2] / "docs" / "register-profiles.md").read_text(encoding="utf-8")
EXAMPLE = next(block for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if "# my-rig.toml" in block)
LINE = next(block for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if block.startswith("voltage_v"))


@pytest.fixture
def profile() -> RigProfile:
    return parse(EXAMPLE.replace("[points]", LINE + "\n[points]"), "my-rig.toml")


def test_the_page_without_the_line_is_refused_with_its_line() -> None:
    with pytest.raises(ConfigError) as refused:
        parse(EXAMPLE, "my-rig.toml")
    (fault,) = refused.value.faults
    number = next(at for at, text in enumerate(EXAMPLE.splitlines(), 1) if text.startswith("columns"))
    assert fault.where == f"my-rig.toml:{number}"
    assert "voltage_v" in fault.error


def test_the_table_of_words(profile: RigProfile) -> None:
    table = re.findall(r"^\| [\d, ]+ \| `([^`]+)` \| (.+) \|$", PAGE, re.MULTILINE)
    addresses = re.findall(r"^\| (\d+)(?:, \d+)? \| `0x", PAGE, re.MULTILINE)
    assert len(table) == len(addresses) == 6
    for (written, reading), address in zip(table, addresses, strict=True):
        words = dict(enumerate((int(word, 16) for word in written.split()), int(address)))
        for name, value in re.findall(r"`(\w+)` (\S+?)(?:,|$)", reading):
            point = profile.points.get(name)
            if point is not None and point.kind is PointKind.INPUT:
                assert point.value(words[point.register.address]) == (value == "on")
                continue
            found = Look(words, 0.0, 0.0).value(point.register if point else profile.signals[name])
            assert math.isnan(found) if value == "open" else found == pytest.approx(float(value))


def test_a_bench_gets_its_points(profile: RigProfile) -> None:
    model = with_profile(EXAMPLE.replace("[points]", LINE + "\n[points]"), "my-rig.toml")
    assert model.points == {
        "nail": PointKind.ACTUATOR,
        "door_closed": PointKind.INPUT,
        "estop_released": PointKind.INPUT,
        "smoke_clear": PointKind.INPUT,
        "t1": PointKind.TEMPERATURE,
    }
    assert model.evidence == profile.evidence
