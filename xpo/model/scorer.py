"""A reward model's folder as the model that another run begins with: its trunk, and its head beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xpo.errors import UserError
from xpo.model.loaded import Loaded, fingerprint
from xpo.run.manifest import hash_text
from xpo.scoring.parts import decoder

CLASSIFIES = "ForSequenceClassification"


@dataclass(frozen=True, eq=False)
class Start:
    """A head as it was saved; ``meaning`` (``xpo.reward_model.folder``) None: xpo did not write it."""

    weight_FD: Tensor
    meaning: Any
    where: str


def scores_responses(path: str, key: str = "model.path") -> bool:
    """Whether a local folder's config.json is that of a classifier; nothing is loaded.

    ``UserError`` names ``key`` where the config.json is none.
    """
    config = config_of(path, key) if path else None
    if config is None:
        return False
    return any(name.endswith(CLASSIFIES) for name in architectures(config, f"{key}={path}"))


def config_of(path: str, key: str) -> dict[str, Any] | None:
    """A local folder's config.json; None where there is none, ``UserError`` for one that is no object."""
    file = Path(path).expanduser() / "config.json"
    if not file.is_file():
        return None
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{key}={path}: its config.json is no JSON: {error}") from None
    if not isinstance(config, dict):
        raise UserError(f"{key}={path}: its config.json must be an object, got {config!r:.60}")
    return config


def architectures(config: dict[str, Any], where: str) -> list[str]:
    """The classes that a config.json names; ``UserError`` for what is no list of names."""
    names = config.get("architectures") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(
            f"{where}: architectures in its config.json must be a list of names, got {names!r:.60}"
        )
    return names


def load_scorer(path: str, key: str, attention: str, dtype: str) -> Loaded:
    """The trunk as a language model, whose output is 0 unless it is its embedding, and the head.

    Raises ``UserError`` as ``xpo.reward_model.load`` does, which names ``key``.
    """
    from transformers import AutoModelForCausalLM

    from xpo.reward_model.folder import linear_score
    from xpo.reward_model.load import load_classifier

    found = load_classifier(path, key, attention)
    kept = next(found.model.parameters()).dtype if dtype == "auto" else getattr(torch, dtype)
    model: Any = AutoModelForCausalLM.from_config(
        found.model.config, dtype=kept, attn_implementation=attention
    )
    decoder(model).load_state_dict(decoder(found.model).state_dict())
    output = model.get_output_embeddings().weight
    if output is not model.get_input_embeddings().weight:
        torch.nn.init.zeros_(output)
    weight_FD = linear_score(found.model, f"{key}={path}").weight.detach().clone()
    start = Start(weight_FD, found.meaning, f"{key}={path}")
    told = hash_text(fingerprint(model), fingerprint(found.model.score))
    return Loaded(model.eval(), found.tokenizer, untrained=False, fingerprint=told, head=start)


def begin_with(head: Any, start: Start, config: Any) -> None:
    """Give a new head the weights of the one that the run begins with.

    ``UserError`` where the two do not read the same, or are not of one size.
    """
    meaning = start.meaning
    for group in ("reward_form", "reward_level") if meaning is not None else ():
        there, here = meaning.__dict__[group]["name"], config[group]["name"]
        if there != here:
            raise UserError(
                f"{start.where} was trained with {group}={there}, and this run has {group}={here}: its head "
                f"would be read otherwise. Set {group}={there}, or begin with a language model"
            )
    if meaning is not None:
        _check_reading(meaning, start.where, config)
    weight_FD = head.score.weight
    if weight_FD.shape != start.weight_FD.shape:
        raise UserError(
            f"{start.where} has a head of {len(start.weight_FD)} outputs, and this run's has "
            f"{len(weight_FD)}: set reward.members or reward.planes as they were"
        )
    sign = 1 if meaning is None else meaning.sign
    with torch.no_grad():
        weight_FD.copy_(sign * start.weight_FD)


def _check_reading(meaning: Any, where: str, config: Any) -> None:
    """Which responses are in one row, and how tokens are pooled where all of them are read."""
    from xpo.compose.composition import component

    there, here = (component("reward", node) for node in (meaning.reward, config["reward"]))
    if there.together != here.together:
        reading = "together" if there.together else "apart"
        raise UserError(
            f"{where} was trained with reward.reading={reading}, and this run reads responses otherwise: set "
            f"reward.reading={reading}, or begin with a language model"
        )
    pooled = component("reward_level", config["reward_level"]).per_token
    if pooled and meaning.length["name"] != config["length"]["name"]:
        raise UserError(
            f"{where} was trained with length={meaning.length['name']}, and this run has "
            f"length={config['length']['name']}: its head's tokens would be pooled otherwise. Set "
            f"length={meaning.length['name']}, or begin with a language model"
        )
