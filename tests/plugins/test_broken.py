"""A broken plugin ends in one message that names it, whatever is wrong with it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.plugins.conftest import call

DUPLICATE = """
from dataclasses import dataclass
from xpo.registry import register
@register("divergence", "js")
@dataclass(frozen=True)
class Mine:
    "Another js."
"""


UNDECLARED = """
from dataclasses import dataclass
from xpo.registry import register
@register("margin", "mine")
@dataclass(frozen=True)
class Mine:
    "A margin that says nothing of itself."
"""


def refused(tmp_path: Path, files: dict[str, str], *arguments: str, **environment: str) -> str:
    for name, content in {"__init__.py": "", "conf/margin/mine.yaml": "name: mine\n", **files}.items():
        path = tmp_path / "plugins" / "mine" / "xpo_mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    done = call(Path(sys.executable), tmp_path, *arguments, **environment)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("xpo: ") and "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import no_such_module", "'xpo_mine'.*No module named 'no_such_module'"),
        ("raise SystemExit(0)", "'xpo_mine'.*cannot be imported: SystemExit"),
        (DUPLICATE, "divergence=js is taken: xpo_mine.Mine and xpo.divergence"),
    ],
    ids=["import", "exit", "duplicate"],
)
def test_code(tmp_path: Path, code: str, said: str) -> None:
    assert re.search(said, refused(tmp_path, {"__init__.py": code}, "explain"))


@pytest.mark.parametrize("arguments", [["explain", "margin=mine"], ["list", "margin"]])
def test_yaml(tmp_path: Path, arguments: list[str]) -> None:
    said = refused(tmp_path, {"conf/margin/mine.yaml": "name: mine\ngamma: [1\n"}, *arguments)
    assert "xpo_mine/conf/margin/mine.yaml:3: not valid YAML" in said


def test_a_preset_without_its_axes(tmp_path: Path) -> None:
    preset = "# @package _global_\nalgo: {name: q}\n"
    said = refused(tmp_path, {"conf/algo/q.yaml": preset}, "explain", "algo=q")
    assert "the preset sets no " in said and "Available options" not in said


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    said = refused(tmp_path, {}, "explain", XPO_PLUGINS=str(tmp_path / "nowhere"))
    assert "$XPO_PLUGINS names no folder" in said


def test_a_component_that_declares_nothing(tmp_path: Path) -> None:
    said = refused(tmp_path, {"__init__.py": UNDECLARED}, "explain", "margin=mine")
    assert re.search(r"margin=mine: xpo_mine.Mine declares no applies, difference, needs", said)


RULE = """
from dataclasses import dataclass
from xpo.registry import register
@register("rule", "vowels")
@dataclass(frozen=True)
class Vowels:
    "How many."
    def __call__(self, prompt, response, answer):
        return sum(map(response.count, "aeiou"))
"""


@pytest.mark.parametrize("place", ["xpo_rules", "rules/xpo_rules", "rules/src/xpo_rules"])
def test_a_plugin_that_needs_no_yaml_is_seen(tmp_path: Path, place: str) -> None:
    package = tmp_path / "plugins" / place
    for path, code in {"__init__.py": RULE, "inner/__init__.py": "1 / 0"}.items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_text(code)
    if place.startswith("rules"):
        (tmp_path / "plugins" / "rules" / "tests").mkdir()
        (tmp_path / "plugins" / "rules" / "tests" / "__init__.py").write_text("1 / 0")
    rules = "annotator.rules=[{name: vowels}]"
    done = call(Path(sys.executable), tmp_path, "explain", "algo=dpo", "data=jsonl", "annotator=rule", rules)
    assert done.returncode == 0, done.stderr
    unknown = rules.replace("vowels", "vovels")
    done = call(
        Path(sys.executable), tmp_path, "explain", "algo=dpo", "data=jsonl", "annotator=rule", unknown
    )
    assert done.returncode == 2 and "vowels" in done.stderr
