"""Stage ``reward_model``: what a run trains before it can label, and anew as its rounds begin."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from xpo.annotator.reward_model import RewardModel
from xpo.compose.composition import Composition
from xpo.contracts import Row
from xpo.data.errors import BarePrompt, DataError
from xpo.stages.comparisons import Comparisons

FOLDER = "reward_model"
HELD_OUT = "held_out_reward_model"


def with_reward_model(c: Composition, out: Path) -> Composition:
    """The composition with a reward model that labels, trained in a folder of its own unless it is there.

    Where one is held out, each learns half of the comparisons. Raises ``DataError`` for data that compare no
    responses.
    """
    if c.annotator.held_out:
        _train(c, out / HELD_OUT, Comparisons(half=1))
    return _labelling(c, out / FOLDER, Comparisons(_own(c)))


def with_renewed_reward_model(c: Composition, out: Path, number: int, more: Sequence[Row]) -> Composition:
    """The same for a round: it learns what the first one learnt, and ``more``."""
    return _labelling(c, out / f"{FOLDER}-{number:03d}", Comparisons(_own(c), more))


def held_out(out: Path) -> RewardModel:
    """Who judges what the policy was not trained against."""
    return RewardModel(path=str(out / HELD_OUT / "model"))


def _own(c: Composition) -> int | None:
    return 0 if c.annotator.held_out else None


def _labelling(c: Composition, folder: Path, comparisons: Comparisons) -> Composition:
    _train(c, folder, comparisons)
    torch.manual_seed(c.seed)  # as where nothing was trained before
    return dataclasses.replace(c, annotator=RewardModel(path=str(folder / "model")))


def _train(c: Composition, folder: Path, comparisons: Comparisons) -> None:
    from xpo.stages.job import execute

    before = c.annotator.before(c)
    told = {**before.config["data"], "taken": comparisons.told}  # a run that took others is another one
    try:
        execute(dataclasses.replace(before, config={**before.config, "data": told}), folder, take=comparisons)
    except BarePrompt as error:
        raise BarePrompt(
            error.where,
            f"{c.choice('annotator')} trains a reward model on the data's own comparisons first: give rows "
            "with responses, or let another annotator judge",
        ) from error
    except DataError as error:
        raise DataError(
            f"{error}\nThis is the run that trains the reward model: its settings are annotator.overrides, "
            "as in 'annotator.overrides=[\"feedback.ties=half\"]'"
        ) from error
