"""Small models on disk, for options that leave a model's folder to their user."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from xpo.compose.assembled import assembled, option_node
from xpo.compose.composition import instantiate
from xpo.compose.errors import ConfigError
from xpo.explain.left_open import open_keys
from xpo.explain.options import Option
from xpo.explain.probe import save_model
from xpo.explain.scorers import save_scorer

SCORERS = ("reward_form=pointwise", "reward_form=pairwise")

Given = Sequence[Mapping[str, str]]
"""What fills the keys that an option leaves to its user (``???``); the first that it can use is taken."""


def stand_ins(overrides: Sequence[str], folder: Path) -> Given:
    """A language model, and models that score responses and pairs of them, with the tokenizer of the data."""
    found = [save_model(instantiate(assembled([*overrides])), folder)]
    configs = [assembled([*overrides, "reward=head", form]) for form in SCORERS]
    for config in configs:
        found.append(save_scorer(instantiate(config), folder.with_name(f"{folder.name}-{len(found)}")))
    another = dataclasses.replace(instantiate(configs[0]), seed=1)
    cost = save_scorer(another, folder.with_name(f"{folder.name}-cost"), sign=-1)
    steps = instantiate(assembled([*overrides, "reward=head", "reward_level=step"]))
    parts = save_scorer(steps, folder.with_name(f"{folder.name}-parts"), between=" ")
    models = f"[{{path: {parts}, weight: 2.0}}, {{path: {found[1]}, weight: 0.5}}]"
    others = {"helpfulness": str(found[1]), "cost": str(cost), "models": models}
    return [{"path": str(path), **others} for path in found]


def filled(config: dict[str, Any], option: Option, given: Given) -> Iterator[dict[str, Any]]:
    """The option's node with what its user leaves out filled in each way; once if there is nothing to fill.

    Raises ``ConfigError`` for a key that nothing given fills.
    """
    lacking = open_keys(option.settings, given[0] if given else ())
    for way in given if lacking else given[:1]:
        unknown = [key for key in lacking if key not in way]
        if unknown:
            keys = " and ".join(f"{option.group}.{key}" for key in unknown)
            raise ConfigError(f"{option.group}={option.name} needs {keys}, which only a user can give.")
        values = {key: yaml.safe_load(way[key]) for key in lacking}
        yield option_node(option.group, option.name, values, config["hp"])
