"""Labels of the gold world's own labeller, drawn: as often as its exact probabilities say."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from tests.gold.test_labels import ALL
from xpo.annotator.gold import Gold
from xpo.gold.labels import PLAIN, LabelModel
from xpo.gold.rows import records
from xpo.gold.world import World

NAMES = [field.name for field in dataclasses.fields(LabelModel)]


@pytest.mark.parametrize(
    "model", [ALL, *(dataclasses.replace(PLAIN, **{n: getattr(ALL, n)}) for n in NAMES)], ids=repr
)
def test_drawn_labels_have_these_frequencies(model: LabelModel) -> None:
    world, i, j, n = World(prompts=1, symbols=3, max_symbols=2, seed=7), 2, 9, 20_000
    drawn = torch.tensor([[i, j]]).expand(1, n, 2)
    labelled = Gold(**vars(model))(records(world, drawn, model))
    labels = model.of_world(world, torch.full((1, world.size), -math.log(world.size)).double())
    scores = torch.tensor([record.scores for record in labelled], dtype=torch.float64)
    within = 4 * 0.5 / math.sqrt(n)
    wins = labels.compared_KK(False)[0]
    assert (scores[:, 0] > scores[:, 1]).double().mean().item() == pytest.approx(
        float(wins[i, j]), abs=within
    )
    assert (scores[:, 0] < scores[:, 1]).double().mean().item() == pytest.approx(
        float(wins[j, i]), abs=within
    )
    tied = float(labels.tie_KK[0, i, j])
    assert (scores[:, 0] == scores[:, 1]).double().mean().item() == pytest.approx(tied, abs=within)
    (record, *_) = labelled
    assert record.wins is not None
    assert np.allclose(record.wins, labels.win_KK[0][[i, j]][:, [i, j]].numpy(), atol=1e-12)
    utility = model.utility_XN(world)[0, [i, j]]
    good = 1 / (1 + math.exp(-model.scale * float(utility[0] - utility.mean())))
    good = (1 - model.noise) * good + model.noise * (1 - good)
    share = sum(record.labels[0] for record in labelled if record.labels) / n
    assert share == pytest.approx(good, abs=within)
