"""Reward models with random weights, as folders."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from xpo.annotator.base import Desk
from xpo.reward_model.folder import Meaning, classifier, save

if TYPE_CHECKING:
    from xpo.compose.composition import Composition

_LOUD = 30.0  # random weights of this multiple have opinions


def save_scorer(c: Composition, folder: Path, sign: int = 1, between: str = "\n") -> Path:
    """The folder that a run which trains this head would leave, untrained.

    ``sign`` -1: of costs. ``between``: what stands between the parts of a response.
    """
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        source = c.data.open(c, Desk.of(c))
        loaded = c.model.load(seed=c.seed + 1, texts=source.texts, tokenizer=source.tokenizer)
        head = c.reward.build(c.reward_form, loaded.model, c.seed)
        with torch.no_grad():
            head.score.weight.mul_(_LOUD)
        meaning = Meaning.of(c.config, (0.0,) * head.members, sign)
        meaning = dataclasses.replace(meaning, step_separator=between)
        made = classifier(loaded.model, head, meaning, loaded.tokenizer.pad_token_id)
        return save(made, loaded.tokenizer, folder, "A stand-in with random weights.\n")
