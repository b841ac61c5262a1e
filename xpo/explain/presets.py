"""Presets read straight from their files: all of them in milliseconds, where composing takes seconds.

This follows the rules by which Hydra reads a preset's defaults list (a parent's entries first, the
later entry wins, ``_self_`` last unless it is placed); a test compares every preset with its composition.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xpo.compose.errors import ConfigError, did_you_mean
from xpo.compose.groups import AXES
from xpo.compose.paths import core_conf, plugins
from xpo.compose.yaml_file import load_yaml

_OVERRIDE = "override "


@dataclass(frozen=True)
class Preset:
    """What ``algo=<algo>`` sets: the 13 axes, every chosen option, and what it says about itself."""

    algo: str
    axes: dict[str, str]
    choices: dict[str, str]
    survey: dict[str, str]
    about: dict[str, Any]

    @property
    def paper(self) -> str:
        return str(self.about.get("paper", ""))

    @property
    def title(self) -> str:
        return str(self.about.get("title", self.algo))


def read_all() -> list[Preset]:
    """Every preset of the core and of the plugins, by name."""
    names = {path.stem for root in _roots() for path in (root / "algo").glob("*.yaml")}
    return [read(name) for name in sorted(names)]


def read(algo: str) -> Preset:
    """One preset. Raises ``ConfigError`` where there is none, or it leaves an axis unset."""
    choices, values = _follow(f"algo/{algo}")
    missing = [axis for axis in AXES if axis not in choices]
    if missing:
        raise ConfigError(f"algo={algo} sets no {', '.join(missing)}: a preset must set every axis")
    axes = {axis: choices[axis] for axis in AXES}
    return Preset(algo, axes, choices, values.get("survey") or {}, values.get("algo") or {})


def chosen_by(address: str) -> dict[str, str]:
    """The options that a config file, such as ``data/gold``, chooses."""
    return _follow(address)[0]


def _roots() -> list[Path]:
    return [core_conf(), *(plugin.conf for plugin in plugins())]


def _follow(address: str) -> tuple[dict[str, str], dict[str, Any]]:
    """The options that a config file chooses and the values that it sets, its parents' included."""
    document = _load(address)
    entries = list(document.pop("defaults", []))
    if "_self_" not in entries:
        entries.append("_self_")
    choices: dict[str, str] = {}
    values: dict[str, Any] = {}
    for entry in entries:
        if entry == "_self_":
            _merge(values, document)
        elif isinstance(entry, str):
            parent = entry[1:] if entry.startswith("/") else f"{address.rpartition('/')[0]}/{entry}"
            inherited, parent_values = _follow(parent)
            choices.update(inherited)
            _merge(values, parent_values)
        else:
            choices.update(_chosen(entry))
    return choices, values


def _chosen(entry: dict[str, Any]) -> dict[str, str]:
    """``{"override /length@somewhere": "mean"}`` as ``{"length": "mean"}``."""
    bare = {key.removeprefix(_OVERRIDE).strip(): option for key, option in entry.items()}
    return {key.lstrip("/").partition("@")[0]: str(option) for key, option in bare.items()}


def _merge(into: dict[str, Any], new: dict[str, Any]) -> None:
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _load(address: str) -> dict[str, Any]:
    for root in _roots():
        path = root / f"{address}.yaml"
        if path.is_file():
            return load_yaml(path)
    group, _, option = address.rpartition("/")
    known = sorted({path.stem for root in _roots() for path in (root / group).glob("*.yaml")})
    raise ConfigError(
        f"{group}={option}: no such option. {group} has: {', '.join(known)}.{did_you_mean(option, known)}"
    )
