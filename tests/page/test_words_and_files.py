"""What the page is made of: words in both languages, vendored files as they were fetched, nothing but text drawn."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from pathlib import Path

import pytest

from bench.daemon import views
from bench.web.problems import CODES
from bench.web.roles import Role
from drivers.reading import Quality

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "bench/web/static"
MODULES = sorted(STATIC.glob("*.js"))
EN, ZH = (json.loads((STATIC / "words" / f"{each}.json").read_text()) for each in ("en", "zh"))


def test_both_languages_have_the_same_keys_and_blanks() -> None:
    assert EN.keys() == ZH.keys()
    blank = re.compile(r"\{\w+\}")
    for key, text in EN.items():
        assert text, key
        assert sorted(blank.findall(text)) == sorted(blank.findall(ZH[key])), key


def test_chinese_is_chinese() -> None:
    """Save for what has no words, each text has a Chinese character."""
    wordless = {"plot.ten_minutes"}
    plain = [key for key, text in ZH.items() if not re.search(r"[\u4e00-\u9fff]", text) and key not in wordless]
    assert [key for key in plain if re.search(r"[A-Za-z]{3}", re.sub(r"\{\w+\}", "", ZH[key]))] == []


def test_every_key_that_a_module_names_has_words() -> None:
    used = {key for path in MODULES for key in re.findall(r"\bt\(\s*\"([a-z_.]+)\"", path.read_text())}
    assert len(used) > 100
    assert used - EN.keys() == set()


def states(model: type[views.View], field: str) -> set[str]:
    return set(model.model_fields[field].annotation.__args__)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        ("state", states(views.ChannelView, "state")),
        ("runstate", states(views.RunView, "state")),
        ("alarmstate", states(views.AlarmView, "state")),
        ("priority", states(views.AlarmView, "priority")),
        ("prompt.kind", states(views.PromptView, "kind")),
        ("sign.meaning", states(views.PromptView, "kind")),
        ("phase", states(views.StepView, "phase")),
        ("mode", states(views.BenchView, "mode")),
        ("role", set(Role)),
        ("quality", set(Quality) - {Quality.GOOD}),
    ],
)
def test_whatever_a_view_can_say_has_words(prefix: str, names: set[str]) -> None:
    assert {name for name in names if f"{prefix}.{name}" not in EN} == set()


def refusals() -> set[str]:
    """The codes of every DeskRefused in the product."""
    found = set()
    for path in (ROOT / "bench").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "DeskRefused":
                found |= {arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)}
    return {str(code) for code in found}


def test_every_error_code_has_help() -> None:
    codes = CODES.keys() | refusals() | {"unreachable"}
    assert len(codes) >= 30
    for code in codes:
        for part in ("what", "safe", "do"):
            assert f"help.{code}.{part}" in EN, code


@pytest.mark.parametrize("folder", [STATIC / "vendor", ROOT / "tests/page/vendor"], ids=["page", "tests"])
def test_what_is_vendored_is_what_was_fetched(folder: Path) -> None:
    locked = {each["file"]: each["sha256"] for each in json.loads((folder / "vendor.lock.json").read_text())}
    there = {path.name for path in folder.iterdir()} - {"vendor.lock.json"}
    assert there == locked.keys()
    for name, digest in locked.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name


@pytest.mark.parametrize("path", [*MODULES, STATIC / "index.html"], ids=lambda path: path.name)
def test_a_file_is_small_draws_text_alone_and_asks_no_other_host(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") < 400
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)
    assert not re.search(r"https?://|//cdn", text)
    if path.suffix == ".html":
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text)
