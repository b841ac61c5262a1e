"""A reward model as a Hugging Face folder: a sequence classifier whose head is ``score``."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from xpo import registry
from xpo.annotator.verdict import is_finite
from xpo.data.parts import separator
from xpo.errors import UserError
from xpo.reward_model.heads import RewardHead
from xpo.reward_model.options import GROUPS, check_options
from xpo.run.export import whole_folder
from xpo.run.files import write_text
from xpo.scoring.parts import decoder, unwrap

KEY = "xpo"
"""Of config.json: what the classifier's numbers mean."""


@dataclass(frozen=True)
class Meaning:
    """What stands under ``xpo`` in config.json: a member's reward is ``sign`` * (its number - ``offset``).

    ``offset``: the mean of demonstrations, one for each member; none where labels say what 0 is. ``sign`` is
    1, or -1 for a cost, which is high where a response is bad. ``step_separator`` stands between the steps of
    a solution. ``zero``: 0 is even odds of being good, as labels of single responses said in training.
    Options are as a config has them: the name of a component and its keys.
    """

    reward_form: dict[str, Any]
    reward_level: dict[str, Any]
    length: dict[str, Any]
    reward: dict[str, Any] = field(default_factory=dict)
    offset: tuple[float, ...] = ()
    sign: int = 1
    step_separator: str = "\n"
    zero: bool = False

    @property
    def by_parts(self) -> bool:
        """Whether a score is of a response up to the end of one of its parts, and not of all of it."""
        return not registry.component("reward_level", str(self.reward_level["name"])).ends

    @classmethod
    def of(
        cls, config: dict[str, Any], offset: tuple[float, ...], sign: int = 1, zero: bool = False
    ) -> Meaning:
        """From a composition's config."""
        between = separator(config["data"].get("step_separator", r"\n"))
        groups = {name: dict(config[name]) for name in GROUPS}
        return cls(**groups, offset=offset, sign=sign, step_separator=between, zero=zero)

    @classmethod
    def read(cls, node: Any, where: str) -> Meaning:
        """From config.json, which may be of any origin; ``UserError`` for what xpo does not write."""
        known = [one.name for one in dataclasses.fields(cls)]
        if not isinstance(node, dict) or not set(GROUPS) <= set(node) <= set(known):
            raise UserError(
                f"{where}: {KEY} in its config.json must have the keys {', '.join(GROUPS)} and none "
                f"beside {', '.join(known)}, got {node!r:.200}"
            )
        check_options(node, f"{where}: in its config.json {KEY}")
        offset, sign = node.get("offset", []), node.get("sign", 1)
        if not isinstance(offset, list) or not all(map(is_finite, offset)):
            raise UserError(
                f"{where}: {KEY}.offset in its config.json must be a list of numbers, got {offset!r:.80}"
            )
        if sign not in (1, -1) or isinstance(sign, bool):
            raise UserError(f"{where}: {KEY}.sign in its config.json must be 1 or -1, got {sign!r:.80}")
        between = node.get("step_separator", "\n")
        if not isinstance(between, str) or not between:
            raise UserError(
                f"{where}: {KEY}.step_separator in its config.json must be a text, got {between!r}"
            )
        zero = node.get("zero", False)
        if not isinstance(zero, bool):
            raise UserError(f"{where}: {KEY}.zero in its config.json must be true or false, got {zero!r:.80}")
        return cls(**{**node, "offset": tuple(offset)})

    def as_dict(self) -> dict[str, Any]:
        return {**self.__dict__, "offset": list(self.offset)}


def classifier(model: Any, head: RewardHead, meaning: Meaning, pad_id: int | None) -> Any:
    """The model without its output head, with the reward's, as transformers loads it.

    transformers reads the last token that is not ``pad_id``. Where that is EOS it would read the token before
    EOS: with None it reads a row's last one, and refuses rows that are padded. Raises as
    ``require_classifier`` does.
    """
    config = copy.deepcopy(unwrap(model).config)
    weight_FD = head.score.weight.detach()
    config.num_labels = len(weight_FD)
    config.pad_token_id = config.get_text_config().pad_token_id = pad_id
    config.problem_type = "regression"
    setattr(config, KEY, meaning.as_dict())
    made = _of_config(config, weight_FD.dtype)
    decoder(made).load_state_dict(decoder(model).state_dict())
    with torch.no_grad():
        linear_score(made, type(made).__name__).weight.copy_(weight_FD)
    return made.eval()


def require_classifier(model: Any) -> None:
    """``UserError`` for an architecture that transformers has no classifier with a linear ``score`` for."""
    with torch.device("meta"):
        made = _of_config(copy.deepcopy(unwrap(model).config), None)
    linear_score(made, type(made).__name__)


def linear_score(made: Any, where: str) -> nn.Linear:
    """A classifier's head; ``UserError`` if it is no linear layer of that name without bias."""
    score = made.__dict__["_modules"].get("score")
    if not isinstance(score, nn.Linear) or score.bias is not None:
        raise UserError(f"{where} has no linear layer `score` without bias, which a reward's is")
    return score


def _of_config(config: Any, dtype: torch.dtype | None) -> Any:
    from transformers import AutoModelForSequenceClassification

    try:
        return AutoModelForSequenceClassification.from_config(config, dtype=dtype)
    except ValueError as error:
        raise UserError(
            f"transformers has no sequence classifier for the model type {config.model_type}: "
            f"{str(error).splitlines()[0]:.200}"
        ) from error


def save(made: Any, tokenizer: Any, folder: Path, card: str) -> Path:
    """Weights (safetensors), config, tokenizer and card; the folder is replaced as a whole."""

    def write(there: Path) -> None:
        made.save_pretrained(there)
        tokenizer.save_pretrained(there)
        write_text(there / "README.md", card)

    return whole_folder(folder, write)
