"""Config files by the rules of Hydra's defaults lists: what each chooses and sets, its parents' included.

A parent's entries come first, the later entry wins, ``_self_`` is last unless it is placed. Tests compare
this with what Hydra composes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xpo.compose.errors import ConfigError, did_you_mean
from xpo.compose.paths import core_conf, plugins
from xpo.compose.yaml_file import load_yaml

_OVERRIDE = "override "

Values = dict[str, Any]


def roots() -> list[Path]:
    """The folders of yaml files, the core's first; an earlier one wins."""
    return [core_conf(), *(plugin.conf for plugin in plugins())]


def find(address: str) -> Path:
    """The file of ``group/option``. ``ConfigError`` where there is none."""
    for root in roots():
        path = root / f"{address}.yaml"
        if path.is_file():
            return path
    group, _, option = address.rpartition("/")
    known = sorted({path.stem for root in roots() for path in (root / group).glob("*.yaml")})
    raise ConfigError(
        f"{group}={option}: no such option. {group} has: {', '.join(known)}.{did_you_mean(option, known)}"
    )


def follow(address: str, load: Callable[[Path], Values] = load_yaml) -> tuple[dict[str, str], Values]:
    """The options that a config file chooses and the values that it sets; ``load`` reads one file."""
    document = copy.deepcopy(load(find(address)))
    entries = list(document.pop("defaults", []))
    if "_self_" not in entries:
        entries.append("_self_")
    choices: dict[str, str] = {}
    values: Values = {}
    for entry in entries:
        if entry == "_self_":
            merge(values, document)
        elif isinstance(entry, str):
            parent = entry[1:] if entry.startswith("/") else f"{address.rpartition('/')[0]}/{entry}"
            inherited, parent_values = follow(parent, load)
            choices.update(inherited)
            merge(values, parent_values)
        else:
            choices.update(_chosen(entry))
    return choices, values


def merge(into: Values, new: Values) -> None:
    """``new`` over ``into``: mappings key by key, anything else replaced."""
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


def _chosen(entry: dict[str, Any]) -> dict[str, str]:
    """``{"override /length@somewhere": "mean"}`` as ``{"length": "mean"}``."""
    bare = {key.removeprefix(_OVERRIDE).strip(): option for key, option in entry.items()}
    return {key.lstrip("/").partition("@")[0]: str(option) for key, option in bare.items()}
