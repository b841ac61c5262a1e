"""Which combinations have a meaning: rules over what components declare, never over names.

A rule reads declarations (class variables) and gives the reason why a combination means nothing, or
None. The nearest combination that works is found by search over the options of all groups.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations, product
from typing import Any

import yaml

from xpo import registry
from xpo.compose.assembled import assembled
from xpo.compose.compose import presets
from xpo.compose.composition import Composition, component, instantiate
from xpo.compose.errors import ConfigError, Refused
from xpo.compose.groups import AXES, GROUPS
from xpo.compose.rules import RULES, Reason

BESIDE = ("objective", "label_noise", "margin", "weighting", "anchor", "critic", "reduce", "adapter")
SEARCHED = (*AXES, *BESIDE, "penalty", "advantage", "policy_loss", "constraint")


def check(composition: Composition) -> None:
    """Raise ``Refused`` with the reason and the nearest combination that works."""
    reason = first_reason(composition)
    if reason is not None:
        fix = reason.fix if _helps(composition, reason.fix) else ()
        if not fix and reason.searched:
            fix = nearest(composition, reason)
        raise Refused(reason.text, fix)


def _helps(composition: Composition, fix: tuple[str, ...]) -> bool:
    """Whether these changes make a combination that works; an option that asks its user is trusted."""
    config, parts = copy.deepcopy(composition.config), {}
    for change in fix:
        address, _, value = change.partition("=")
        group, _, key = address.partition(".")
        if key and group in parts:
            parts[group] = dataclasses.replace(parts[group], **{key: yaml.safe_load(value)})
            continue
        if key:
            config[group][key] = yaml.safe_load(value)
            continue
        parts[group] = _option(composition, group, value)
        if parts[group] is None:
            return True
    try:
        return bool(fix) and first_reason(dataclasses.replace(instantiate(config), **parts)) is None
    except ConfigError:  # of an option that has values of its own for such a key
        return False


def first_reason(composition: Composition) -> Reason | None:
    """Why a combination means nothing; None if it does."""
    for rule in RULES:
        reason = rule(composition)
        if reason is not None:
            return reason
    return None


def nearest(composition: Composition, reason: Reason, most: int = 2) -> tuple[str, ...]:
    """The fewest changes of options after which no rule objects; the groups at fault are tried first."""
    groups = [*reason.groups, *(g for g in SEARCHED if g not in reason.groups)]
    for count in range(1, most + 1):
        for chosen in combinations(groups, count):
            if not set(chosen) & set(reason.groups):
                continue
            found = _first_that_works(composition, chosen)
            if found:
                return found
    return ()


def _first_that_works(composition: Composition, groups: tuple[str, ...]) -> tuple[str, ...]:
    candidates = [list(_alternatives(composition, group)) for group in groups]
    for parts in product(*candidates):
        changed = dataclasses.replace(
            composition, **{group: part for group, (_, part) in zip(groups, parts, strict=True)}
        )
        if first_reason(changed) is None:
            return tuple(f"{group}={name}" for group, (name, _) in zip(groups, parts, strict=True))
    return ()


def _alternatives(composition: Composition, group: str) -> Iterator[tuple[str, Any]]:
    """Options with their defaults: the preset's own first, those of plugins last."""
    own = _preset_options(composition).get(group)
    found = {name: registry.component(group, name) for name in registry.names(group)}
    order = sorted(found, key=lambda name: (name != own, not found[name].__module__.startswith("xpo.")))
    for name in order:
        if name == composition.option(group):
            continue
        part = _option(composition, group, name)
        if part is not None:
            yield name, part


def _option(composition: Composition, group: str, name: str) -> Any | None:
    """An option as the preset sets it, else with its defaults; None for one that needs a user's value."""
    settings = (composition.config.get("hp") or {}).get(group, {}).get(name)
    if not settings:
        return _default(registry.component(group, name))
    try:
        return component(group, {"name": name, **settings})
    except ConfigError:
        return None


def _preset_options(composition: Composition) -> dict[str, str]:
    """What the run's preset chose before it was overridden; empty if no file has the preset's name."""
    preset = composition.config["algo"].get("name")
    if preset not in presets():
        return {}
    return _options(str(preset))


@cache
def _options(preset: str) -> dict[str, str]:
    config = assembled([f"algo={preset}"])
    return {group: config[group]["name"] for group in GROUPS}


@cache
def _default(make: Callable[[], Any]) -> Any | None:
    """An option with its defaults; None for one that needs a value from the user."""
    try:
        return make()
    except (TypeError, ValueError):
        return None
