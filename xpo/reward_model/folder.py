"""A reward model as a Hugging Face folder: a sequence classifier whose head is ``score``."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from xpo.errors import UserError
from xpo.reward_model.heads import RewardHead
from xpo.run.export import whole_folder
from xpo.run.files import write_text
from xpo.scoring.parts import decoder, unwrap

KEY = "xpo"
"""Of config.json: what the classifier's numbers mean."""


@dataclass(frozen=True)
class Meaning:
    """What stands under ``xpo`` in config.json.

    ``offset``: the mean score of demonstrations, one for each member; a reward is score - offset. Options are
    kept as a config has them: the name of a component and its keys.
    """

    reward_form: dict[str, Any]
    reward_level: dict[str, Any]
    length: dict[str, Any]
    reward: dict[str, Any] = field(default_factory=dict)
    offset: tuple[float, ...] = ()

    @classmethod
    def of(cls, config: dict[str, Any], offset: tuple[float, ...]) -> Meaning:
        """From a composition's config."""
        groups = {name: dict(config[name]) for name in ("reward_form", "reward_level", "length", "reward")}
        return cls(**groups, offset=offset)

    def as_dict(self) -> dict[str, Any]:
        return {**self.__dict__, "offset": list(self.offset)}


def classifier(model: Any, head: RewardHead, meaning: Meaning, pad_id: int) -> Any:
    """The model without its output head, with the reward's, as transformers loads it.

    Raises ``UserError`` for an architecture without a sequence classifier with a linear ``score``.
    """
    from transformers import AutoModelForSequenceClassification

    inner = unwrap(model)
    config = copy.deepcopy(inner.config)
    weight_FD = head.score.weight.detach()
    config.num_labels = len(weight_FD)
    config.pad_token_id = pad_id
    config.problem_type = "regression"
    setattr(config, KEY, meaning.as_dict())
    try:
        made: Any = AutoModelForSequenceClassification.from_config(config, dtype=weight_FD.dtype)
    except ValueError as error:
        raise UserError(
            f"transformers has no sequence classifier for {type(inner).__name__}: {error}"
        ) from error
    score = made.__dict__["_modules"].get("score")
    if not isinstance(score, nn.Linear) or score.bias is not None:
        raise UserError(
            f"{type(made).__name__} has no linear layer `score` without bias, which a reward's is"
        )
    decoder(made).load_state_dict(decoder(model).state_dict())
    with torch.no_grad():
        score.weight.copy_(weight_FD)
    return made.eval()


def save(made: Any, tokenizer: Any, folder: Path, card: str) -> Path:
    """Weights (safetensors), config, tokenizer and card; the folder is replaced as a whole."""

    def write(there: Path) -> None:
        made.save_pretrained(there)
        tokenizer.save_pretrained(there)
        write_text(there / "README.md", card)

    return whole_folder(folder, write)
