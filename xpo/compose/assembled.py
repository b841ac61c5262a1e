"""Configs put together from the nodes of their files: what composing them gives, without Hydra's walk.

For tools that want thousands of combinations: Hydra reads and merges every group anew for each, 0.2 s a time.
A run composes (``xpo.compose.compose_config``), and so does here whatever is not plain: sweeps, deletions,
packages, interpolations in overrides, and everything that is refused. Tests compare the two. A file is read
once in a process.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from xpo.compose.compose import compose_config
from xpo.compose.errors import ConfigError
from xpo.compose.followed import Values, find, follow, merge
from xpo.compose.groups import GROUPS
from xpo.compose.hydra_glue import prepare_hydra

_CHOOSES = (*GROUPS, "algo", "experiment")
_UNSET = ("???", "None")  # in the defaults list of config.yaml


class _Unusual(Exception):
    """Only Hydra knows what this means, or how to refuse it."""


def assembled(overrides: Sequence[str]) -> dict[str, Any]:
    """What ``compose_config`` gives for the overrides, and its errors."""
    prepare_hydra()
    try:
        return _assembled([_parsed(override) for override in overrides])
    except _Unusual:
        return compose_config([*overrides])


def option_node(group: str, option: str, given: Values, hp: Values) -> Values:
    """One option with ``given`` over its own values, as in a config with these ``hp``.

    Raises OmegaConf's errors, such as for a value that is still missing.
    """
    prepare_hydra()
    node = copy.deepcopy(_followed(group, option)[1][group])
    merge(node, given)
    return _resolved(group, node, hp)


def _assembled(changes: list[_Change]) -> dict[str, Any]:
    choices = _choices({change.key: change.value for change in changes if change.chooses})
    config = copy.deepcopy(_followed("", "config")[1])
    del config["hydra"]
    for group in [group for group in _defaults() if group in choices]:
        merge(config, copy.deepcopy(_followed(group, choices[group])[1]))
    for change in [change for change in changes if not change.chooses]:
        change.apply(config)
    plain = {key: value for key, value in config.items() if key not in GROUPS}
    if "${" in repr(plain) or "'???'" in repr(plain):
        raise _Unusual
    try:
        return {
            key: _resolved(key, value, config["hp"]) if key in GROUPS else value
            for key, value in config.items()
        }
    except OmegaConfBaseException:
        raise _Unusual from None


@dataclass(frozen=True)
class _Change:
    """One override: an option of a group, or a value."""

    key: str
    value: Any
    sign: str  # "", "+" (of a key that is not there yet), "++" (of any)

    @property
    def chooses(self) -> bool:
        return self.key in _CHOOSES

    def apply(self, config: Values) -> None:
        """Set the value."""
        *path, last = self.key.split(".")
        if path[:1] == ["hp"]:
            self._check_hp()
        node = config
        for key in path:
            if self.sign:
                node.setdefault(key, {})
            node = node.get(key, None)
            if not isinstance(node, dict):
                raise _Unusual
        if (self.sign == "+" and last in node) or (not self.sign and last not in node):
            raise _Unusual
        merge(node, {last: copy.deepcopy(self.value)})

    def _check_hp(self) -> None:
        """An option reads it; what presets say there, composing them checks."""
        try:
            _, group, option, key = self.key.split(".")
            taken = _followed(group, option)[1][group][key]
        except (ValueError, KeyError):
            raise _Unusual from None
        if not str(taken).startswith("${hp"):
            raise _Unusual


@cache
def _parsed(override: str) -> _Change:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        (found,) = OverridesParser.create().parse_overrides([override])
    except HydraException:
        raise _Unusual from None
    if found.is_delete() or found.is_sweep_override() or found.package is not None:
        raise _Unusual
    key, value, sign = found.key_or_group, found.value(), "+" * (found.is_add() + 2 * found.is_force_add())
    if "${" in override or "???" in override or "@" in key:
        raise _Unusual
    if key in _CHOOSES and (sign or not isinstance(value, str)):
        raise _Unusual
    return _Change(key, value, sign)


def _choices(asked: dict[str, str]) -> dict[str, str]:
    """Every group's option: the one asked for, else what the last file to name one says."""
    choices = dict(asked)
    for group, default in reversed(_defaults().items()):
        option = choices.setdefault(group, default)
        if option in _UNSET:
            del choices[group]
            continue
        for other, name in _followed(group, option)[0].items():
            choices.setdefault(other, name)
    return choices


@cache
def _defaults() -> dict[str, str]:
    """The groups of config.yaml in its order, and its options."""
    listed = {key.removeprefix("optional "): name for key, name in _followed("", "config")[0].items()}
    return {group: name for group, name in listed.items() if group in _CHOOSES}


@cache
def _followed(group: str, option: str) -> tuple[dict[str, str], Values]:
    """What a file chooses, and what it sets from the root on. Not to be changed."""
    address = f"{group}/{option}".lstrip("/")
    try:
        path = find(address)
        choices, values = follow(address, _loaded)
    except (ConfigError, OmegaConfBaseException, yaml.YAMLError):
        raise _Unusual from None
    first = path.read_text(encoding="utf-8").partition("\n")[0].split()
    package = first[2] if first[1:2] == ["@package"] else None
    if package not in (None, "_global_"):
        raise _Unusual
    return choices, values if package or not group else {group: values}


@cache
def _loaded(path: Path) -> Values:
    """As Hydra reads it: OmegaConf takes 1e-3 for a number."""
    content = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def _resolved(group: str, node: Values, hp: Values) -> Values:
    known = repr((group, node, hp.get(group)))
    if known not in _RESOLVED:
        both = OmegaConf.create({"hp": {group: hp.get(group) or {}}, group: node})
        plain = OmegaConf.to_container(both, resolve=True, throw_on_missing=True)
        assert isinstance(plain, dict)
        _RESOLVED[known] = plain[group]
    return copy.deepcopy(_RESOLVED[known])


_RESOLVED: dict[str, Values] = {}
