"""Where the register profile of a bench's device comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.config.profiles import named_profile
from drivers.errors import ConfigError
from drivers.profiles import builtin


def test_a_name_is_one_that_comes_with_cellbench() -> None:
    assert named_profile("reference", Path("/nowhere"), "bench.toml:7").text == builtin("reference")
    with pytest.raises(ConfigError) as refused:
        named_profile("referense", Path("/nowhere"), "bench.toml:7")
    (fault,) = refused.value.faults
    assert fault.where == "bench.toml:7"
    assert "rig1-points" in fault.fix


def test_a_toml_file_stands_beside_the_bench_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("# mine\n", encoding="utf-8")
    found = named_profile("mine.toml", tmp_path, "bench.toml:7")
    assert (found.text, found.where) == ("# mine\n", str(tmp_path / "mine.toml"))
    with pytest.raises(ConfigError):
        named_profile("other.toml", tmp_path, "bench.toml:7")
