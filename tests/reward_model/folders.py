"""Folders of reward models with random weights, as runs leave them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch

from xpo.data.record import Record
from xpo.model.scratch import Scratch
from xpo.model.tokens import train_bpe
from xpo.reward_model.folder import Meaning, classifier, save
from xpo.reward_model.heads import PreferenceHead, RewardHead, ScoreHead

TEXTS = ("Say red:", " red and round", " green", " blue blue blue blue", "Say it in full:", " no")
RECORDS = [
    Record("Say red:", (" red and round", " green", " blue blue blue blue"), where="a:1"),
    Record("Say it in full:", (" no", " red red"), where="a:2"),
    Record("Say red and green:", (" warm",), where="a:3"),
]
SIZES = {"hidden": 16, "layers": 2, "heads": 2, "max_length": 64}


@cache
def tokenizer() -> Any:
    return train_bpe(TEXTS, 290)


def words() -> Any:
    """A tokenizer that has no special token but EOS."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    texts = [str(text) for record in RECORDS for text in (record.prompt, *record.responses)]
    found = sorted({word for text in texts for word in text.split()})
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate([*found, "<end>"])}))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>")


def policy(kind: str = "llama", seed: int = 0, spelling: Any = None, **sizes: Any) -> Any:
    """A causal model whose weights are far from those that all begin with."""
    option: Any = Scratch(**{**SIZES, "model_type": kind, **sizes})
    model = option.load(seed=seed, tokenizer=tokenizer() if spelling is None else spelling).model
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=random))
    return model


def meaning(form: str = "pointwise", offset: tuple[float, ...] = (), **told: Any) -> Meaning:
    reward = {"name": "head", "members": max(1, len(offset)), "planes": 2 if form == "pairwise" else None}
    options: dict[str, Any] = {"reward_level": {"name": "response"}, "length": {"name": "sum"}}
    return Meaning(**{"reward_form": {"name": form}, **options, "reward": reward, "offset": offset, **told})


def leave(folder: Path, model: Any = None, told: Meaning | None = None, spelling: Any = None) -> str:
    """A folder as a run leaves it; its path."""
    model, told = policy() if model is None else model, meaning(offset=(0.5,)) if told is None else told
    spelling = tokenizer() if spelling is None else spelling
    pad_id = None if spelling.pad_token_id == spelling.eos_token_id else spelling.pad_token_id
    save(classifier(model, head_of(told), told, pad_id), spelling, folder, "a card")
    return str(folder)


def head_of(told: Meaning, width: int = 16) -> RewardHead:
    if told.reward_form["name"] == "pairwise":
        return PreferenceHead(width, 2, seed=3)
    return ScoreHead(width, int(told.reward["members"]), seed=3)
