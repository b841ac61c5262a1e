"""Stage ``reward_model``: what a run trains before it can label."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from xpo.annotator.reward_model import RewardModel
from xpo.compose.composition import Composition
from xpo.data.errors import BarePrompt

FOLDER = "reward_model"


def with_reward_model(c: Composition, out: Path) -> Composition:
    """The composition with a reward model that labels, trained in a folder of its own unless it is there.

    Raises ``DataError`` for data that compare no responses.
    """
    from xpo.stages.job import execute

    try:
        execute(c.annotator.before(c), out / FOLDER)
    except BarePrompt as error:
        raise BarePrompt(
            error.where,
            f"{c.choice('annotator')} trains a reward model on the data's own comparisons first: give rows "
            "with responses, or let another annotator judge",
        ) from error
    torch.manual_seed(c.seed)  # as where nothing was trained before
    return dataclasses.replace(c, annotator=RewardModel(path=str(out / FOLDER / "model")))
