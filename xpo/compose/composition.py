"""From a resolved config to validated components. Imports component code (torch), no Lightning."""

from __future__ import annotations

import dataclasses
import difflib
from functools import cache
from typing import Any, get_type_hints

from xpo import registry
from xpo.compose.declared import check_declared
from xpo.compose.errors import ConfigError, did_you_mean
from xpo.compose.groups import GROUPS, ROOT_KEYS
from xpo.compose.paths import import_plugins
from xpo.compose.typed import WrongType, fit

ABOUT = ("name", "title", "paper")
"""What every preset says of itself under ``algo``; a run prints it and writes it on the model's card."""


@dataclasses.dataclass(frozen=True)
class Composition:
    """One component per group, and the resolved config that they were made from."""

    reward: Any
    reward_form: Any
    reward_level: Any
    polarity: Any
    feedback: Any
    arity: Any
    annotator: Any
    reference: Any
    length: Any
    divergence: Any
    sampling: Any
    schedule: Any
    sft: Any
    objective: Any
    label_noise: Any
    margin: Any
    weighting: Any
    anchor: Any
    critic: Any
    penalty: Any
    advantage: Any
    policy_loss: Any
    constraint: Any
    pretraining: Any
    query: Any
    revision: Any
    reduce: Any
    model: Any
    adapter: Any
    data: Any
    optimizer: Any
    trainer: Any
    logger: Any
    eval: Any
    seed: int
    config: dict[str, Any]

    @property
    def needs(self) -> frozenset[str]:
        """What its objective reads of rows (of contracts.FEEDBACK)."""
        from xpo.arrows import arrow_of

        return arrow_of(self).needs

    def option(self, group: str) -> str:
        """The name of the option chosen in a group, for messages and tables."""
        return str(self.config[group]["name"])

    def choice(self, group: str) -> str:
        """``group=option``, as a user types it."""
        return f"{group}={self.option(group)}"

    def components(self) -> dict[str, Any]:
        return {group: self.__dict__[group] for group in GROUPS}


def instantiate(config: dict[str, Any]) -> Composition:
    """Every group's component. ``ConfigError`` names the key at fault, what is allowed, and the nearest."""
    _check_root(config)
    _check_cache(config.get("cache"))
    import_plugins()
    parts = {group: component(group, config[group]) for group in GROUPS}
    return Composition(**parts, seed=_seed(config.get("seed")), config=config)


def _check_root(config: dict[str, Any]) -> None:
    allowed = set(GROUPS) | ROOT_KEYS
    for key in config:
        if key not in allowed:
            raise ConfigError(f"nothing reads the key {key!r}.{did_you_mean(key, allowed)}")
    missing = [group for group in GROUPS if group not in config]
    if missing:
        raise ConfigError(f"the config sets no {', '.join(missing)}: a preset must set every axis")
    about = config.get("algo")
    lacking = [key for key in ABOUT if not isinstance(about, dict) or not about.get(key)]
    if lacking:
        raise ConfigError(f"algo has no {', '.join(lacking)}: presets say {', '.join(ABOUT)}")


def _check_cache(value: Any) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"cache must be a folder, such as outputs/cache, got {value!r}")


def _seed(value: Any) -> int:
    try:
        seed = fit(value, int)
    except WrongType as error:
        raise ConfigError(f"seed {error}") from None
    if not 0 <= seed < 2**32:
        raise ConfigError(f"seed must be from 0 to 2**32 - 1, got {seed}")
    return seed


def component(group: str, node: Any) -> Any:
    """One option from its keys, ``name`` among them, each checked against the option's typed fields."""
    if not isinstance(node, dict) or "name" not in node:
        raise ConfigError(
            f"{group} must be an option with a 'name' (conf/{group}/<option>.yaml), got {node!r}"
        )
    name = node["name"]
    try:
        cls = registry.component(group, str(name))
    except KeyError:
        raise ConfigError(
            f"{group}={name}: no component of that name is registered (there are: "
            f"{', '.join(registry.names(group))}).{did_you_mean(str(name), registry.names(group))}"
        ) from None
    check_declared(cls, group, str(name))
    return _make(cls, group, node)


def _make(cls: type, group: str, node: dict[str, Any]) -> Any:
    allowed = registry.fields(cls)
    kinds = _kinds(cls)
    values = {}
    for key, value in node.items():
        if key == "name":
            continue
        if key not in allowed:
            raise ConfigError(unread_key(group, node["name"], key, list(allowed)))
        try:
            values[key] = fit(value, kinds[key])
        except WrongType as error:
            raise ConfigError(f"{group}.{key} {error} ({group}={node['name']})") from None
    try:
        return cls(**values)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{group}={node['name']}: {error}") from error


@cache
def _kinds(cls: type) -> dict[str, Any]:
    """The types of its fields: reading them from their texts is most of what an option costs."""
    return get_type_hints(cls)


def unread_key(group: str, name: str, key: str, allowed: list[str]) -> str:
    """The message for a key that its option has no field for."""
    listed = ", ".join(allowed) or "none"
    near = difflib.get_close_matches(key, allowed, n=1, cutoff=0.5)
    hint = f" Did you mean {group}.{near[0]}?" if near else ""
    return f"nothing reads {group}.{key}: the option {group}={name} has these keys: {listed}.{hint}"
