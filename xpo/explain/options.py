"""``xpo list``: what can stand behind each ``<group>=``, with one line about each. No torch."""

from __future__ import annotations

import argparse
import ast
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from xpo.compose.errors import ConfigError, did_you_mean
from xpo.compose.groups import AXES, GROUPS
from xpo.compose.paths import core_conf, plugins
from xpo.compose.yaml_file import load_yaml
from xpo.written import written


@dataclass(frozen=True)
class Option:
    """One option of a group: its settings with their defaults, what it is, where its yaml lies."""

    group: str
    name: str
    settings: dict[str, Any]
    about: str
    path: Path


def main(arguments: list[str]) -> int:
    """Print all groups, or those named."""
    parser = argparse.ArgumentParser("xpo list", description="The options of every config group.")
    parser.add_argument("group", nargs="*", help="only these groups")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    given = parser.parse_args(arguments)
    groups = given.group or ["algo", *GROUPS, *_optional()]
    for group in given.group:
        if not options(group):
            raise ConfigError(f"there is no group {group!r}.{did_you_mean(group, ['algo', *GROUPS])}")
    print(as_json(groups) if given.format == "json" else as_text(groups))
    return 0


def options(group: str) -> list[Option]:
    """The options of a group, by name; the core's file wins over a plugin's of the same name."""
    found: dict[str, Option] = {}
    for root in _roots():
        for path in sorted((root / group).glob("*.yaml")):
            found.setdefault(path.stem, _read(group, path))
    return [found[name] for name in sorted(found)]


def as_text(groups: list[str]) -> str:
    blocks = []
    for group in groups:
        number = f"  axis {AXES.index(group) + 1} of the survey" if group in AXES else ""
        lines = [f"{group}{number}"]
        for option in options(group):
            settings = ", ".join(f"{key}={written(value)}" for key, value in option.settings.items())
            note = f"  [{settings}]" if settings else ""
            lines.append(f"  {option.name:<18} {option.about}{note}".rstrip())
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def as_json(groups: list[str]) -> str:
    listed = {
        group: [{"name": o.name, "about": o.about, "settings": o.settings} for o in options(group)]
        for group in groups
    }
    return json.dumps(listed, indent=2, default=str, ensure_ascii=False)


def _roots() -> list[Path]:
    return [core_conf(), *(plugin.conf for plugin in plugins())]


def _optional() -> list[str]:
    return [group for group in ("experiment",) if options(group)]


def _read(group: str, path: Path) -> Option:
    node, text = load_yaml(path), path.read_text(encoding="utf-8")
    if "@package _global_" in text.partition("\n")[0]:  # sets values of other groups too
        about = (node.get("algo") or {}).get("title")
        node = node.get(group) or {}
        if about is not None or "name" not in node:  # a preset, an experiment: no component of its own
            return Option(group, path.stem, {}, str(about or _head_comment(text)), path)
    component = str(node.get("name", path.stem))
    described = _component_docs(group).get(component) or _head_comment(text)
    settings = {key: _default(value) for key, value in node.items() if key not in ("name", "defaults")}
    return Option(group, path.stem, settings, described, path)


def _default(value: Any) -> Any:
    """``${hp:0.5}`` (or ``${hp_unless:other,0.5}``) as its default 0.5."""
    found = re.fullmatch(r"\$\{hp(?::|_unless:\w+,)(.*)\}", value) if isinstance(value, str) else None
    return value if found is None else yaml.safe_load(found[1])


def _head_comment(text: str) -> str:
    """The first sentence of a file's leading comment."""
    lines = [line.lstrip("# ").strip() for line in text.splitlines() if line.startswith("#")]
    words = [line for line in lines if line and not line.startswith("@package")]
    return words[0].rstrip(".") if words else ""


@cache
def _component_docs(group: str) -> dict[str, str]:
    """Component name -> the first sentence of its docstring, parsed and not imported."""
    found: dict[str, str] = {}
    package = Path(__file__).resolve().parent.parent / group
    files = [*package.glob("*.py"), *(file for p in plugins() for file in p.package_dir.rglob("*.py"))]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                for name in _registered(node, group):
                    found[name] = _first_sentence(ast.get_docstring(node) or "")
    return found


def _registered(node: ast.ClassDef, group: str) -> list[str]:
    """The names under which a class is ``@register``-ed in a group."""
    calls = [d for d in node.decorator_list if isinstance(d, ast.Call) and len(d.args) == 2]
    pairs = [[a.value for a in call.args if isinstance(a, ast.Constant)] for call in calls]
    return [str(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] == group]


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.split("\n\n")[0].split())
    return re.split(r"\. (?=[A-Z])", paragraph)[0].rstrip(".")
