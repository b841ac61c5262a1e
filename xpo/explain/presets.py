"""Presets read straight from their files: all of them in milliseconds, where composing takes seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xpo.compose.errors import ConfigError
from xpo.compose.followed import follow, roots
from xpo.compose.groups import AXES


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
    def asks(self) -> list[str]:
        """What only its user says: overrides with ``{path}`` (a language model) and ``{rows}`` (a file)."""
        return [str(ask) for ask in self.about.get("asks", [])]

    @property
    def title(self) -> str:
        return str(self.about.get("title", self.algo))


def read_all() -> list[Preset]:
    """Every preset of the core and of the plugins, by name."""
    names = {path.stem for root in roots() for path in (root / "algo").glob("*.yaml")}
    return [read(name) for name in sorted(names)]


def read(algo: str) -> Preset:
    """One preset. Raises ``ConfigError`` where there is none, or it leaves an axis unset."""
    choices, values = follow(f"algo/{algo}")
    missing = [axis for axis in AXES if axis not in choices]
    if missing:
        raise ConfigError(f"algo={algo} sets no {', '.join(missing)}: a preset must set every axis")
    axes = {axis: choices[axis] for axis in AXES}
    return Preset(algo, axes, choices, values.get("survey") or {}, values.get("algo") or {})


def chosen_by(address: str) -> dict[str, str]:
    """The options that a config file, such as ``data/gold``, chooses."""
    return follow(address)[0]
