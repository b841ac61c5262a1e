"""Small models on disk, for options that leave a model's folder to their user."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from xpo.annotator.base import Desk
from xpo.compose import compose_config
from xpo.compose.composition import Composition, instantiate
from xpo.compose.errors import ConfigError
from xpo.explain.options import Option
from xpo.explain.probe import save_model

SCORERS = ("reward_form=pointwise", "reward_form=pairwise")

_LOUD = 30.0  # random weights of this multiple have opinions

Given = Sequence[Mapping[str, str]]
"""What fills the keys that an option leaves to its user (``???``); the first that it can use is taken."""


def stand_ins(overrides: Sequence[str], folder: Path) -> Given:
    """A language model, and models that score responses and pairs of them, with the tokenizer of the data."""
    found = [save_model(instantiate(compose_config([*overrides])), folder)]
    for form in SCORERS:
        config = compose_config([*overrides, "reward=head", form])
        found.append(_save_scorer(instantiate(config), folder.with_name(f"{folder.name}-{len(found)}")))
    return [{"path": str(path)} for path in found]


def filled(config: dict[str, Any], option: Option, given: Given) -> Iterator[dict[str, Any]]:
    """The option's node with what its user leaves out filled in each way; once if there is nothing to fill.

    Raises ``ConfigError`` for a key that nothing given fills.
    """
    node = OmegaConf.load(option.path)
    lacking = [str(key) for key in node if OmegaConf.is_missing(node, key)]
    for way in given if lacking else given[:1]:
        unknown = [key for key in lacking if key not in way]
        if unknown:
            keys = " and ".join(f"{option.group}.{key}" for key in unknown)
            raise ConfigError(f"{option.group}={option.name} needs {keys}, which only a user can give.")
        whole = OmegaConf.merge(node, {key: way[key] for key in lacking})
        both = OmegaConf.create({"hp": config["hp"], option.group: whole})
        plain = OmegaConf.to_container(both, resolve=True, throw_on_missing=True)
        assert isinstance(plain, dict)
        yield plain[option.group]


def _save_scorer(c: Composition, folder: Path) -> Path:
    """The folder that a run which trains this head would leave, untrained."""
    from xpo.reward_model.folder import Meaning, classifier, save

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        source = c.data.open(c, Desk.of(c))
        loaded = c.model.load(seed=c.seed + 1, texts=source.texts, tokenizer=source.tokenizer)
        head = c.reward.build(c.reward_form, loaded.model, c.seed)
        with torch.no_grad():
            head.score.weight.mul_(_LOUD)
        meaning = Meaning.of(c.config, (0.0,) * head.members)
        made = classifier(loaded.model, head, meaning, loaded.tokenizer.pad_token_id)
        return save(made, loaded.tokenizer, folder, "A stand-in with random weights.\n")
