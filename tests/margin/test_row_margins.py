"""Margins that rows and rewards make: by hand, refused where they mean nothing, and their text."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.explain import formula_rows
from tests.explain.formula_rows import trained_and_written
from tests.objective.oracles import softplus
from tests.objective.test_objective import pair
from tests.test_arrow import arrow
from xpo.annotator.base import Desk
from xpo.arrow import Scores
from xpo.compose import Refused, build, compose_config
from xpo.contracts import Batch, StepTotals
from xpo.data.errors import DataError
from xpo.data.jsonl import Jsonl
from xpo.data.source import FileSource
from xpo.margin.base import Margin
from xpo.margin.data import Data
from xpo.margin.drop import Drop
from xpo.margin.score import Score
from xpo.margin.score_log import ScoreLog
from xpo.margin.score_ratio import ScoreRatio
from xpo.reward.implicit import Implicit
from xpo.testing import Toy, failures, toy

MARGINS = [Score(0.7), ScoreLog(0.5, 1e-3), ScoreRatio(2.0), Data(0.3), Drop(5.0)]


def of(margin: Margin, t: Toy) -> list[list[float]]:
    return torch.as_tensor(margin(t.batch, 0.1, t.reward_BK))[0].tolist()


def three(scores: list[float]) -> Toy:
    t = toy(rows=1, responses=3, ragged=False)
    return t.replace(score_BK=torch.tensor([scores], dtype=torch.float64))


@pytest.mark.parametrize("margin", MARGINS, ids=repr)
def test_kit_with_these_fields(margin: Margin) -> None:
    assert failures(margin, "margin") == []


def test_scores_by_hand():
    t = three([2.0, 0.5, 0.5])
    assert of(Score(2.0), t) == [[0.0, 3.0, 3.0], [-3.0, 0.0, 0.0], [-3.0, 0.0, 0.0]]
    four = pytest.approx(1.3862943611198906)  # log 4
    assert of(ScoreRatio(), t)[0] == [0.0, four, four]
    assert of(ScoreRatio(0.5), t)[1] == [pytest.approx(-0.6931471805599453), 0.0, 0.0]
    floor = pytest.approx(-13.815510557964274)  # log 1e-6
    half = pytest.approx(0.4054651081081644)  # log 1.5
    assert of(ScoreLog(), t) == [[floor, half, half], [floor, floor, floor], [floor, floor, floor]]
    assert of(ScoreLog(2.0, floor=0.25), t)[1][0] == pytest.approx(-2.772588722239781)  # 2 log 1/4


def test_the_data_say_it():
    t = toy(rows=1, responses=2, ragged=False)
    t = t.replace(margin_BKK=torch.tensor([[[0.0, 3.0], [-3.0, 0.0]]]).double())
    assert of(Data(), t) == [[0.0, 3.0], [-3.0, 0.0]]
    assert of(Data(scale=0.5), t) == [[0.0, 1.5], [-1.5, 0.0]]


def test_a_fallen_reward_by_hand():
    t = dataclasses.replace(toy(rows=1, ragged=False), reward_BK=torch.tensor([[-0.2, 0.4, -1.0]]).double())
    assert of(Drop(), t) == [pytest.approx([10.0] * 3), [0.0] * 3, pytest.approx([50.0] * 3)]


def one_token(chosen: float, rejected: float) -> Toy:
    """A pair with these log-ratios."""
    t = pair(0.0, 0.0)
    logp = torch.zeros_like(t.logp_BKT)
    logp[0, :, 0] = torch.tensor([chosen, rejected])
    t = t.replace(weight_B=torch.ones(1).double(), totals=StepTotals(1, 1, 1))
    return dataclasses.replace(t, logp_BKT=logp, ref_logp_BKT=torch.zeros_like(logp))


def dpop(lam: float, t: Toy) -> Tensor:
    return arrow(margin=Drop(lam), reward=Implicit(0.3))(t.batch, Scores(t.logp_BKT, t.ref_logp_BKT)).share


def test_dpop_is_inside_the_sigmoid_and_inside_beta():
    """-log sigmoid(0.3 ((-0.5 + 2) - 50 * 0.5)) = log(1 + e^7.05); outside beta it would be 24.55."""
    assert dpop(50.0, one_token(-0.5, -2.0)).item() == pytest.approx(7.050867032975561)
    assert dpop(50.0, one_token(0.5, -1.0)).item() == pytest.approx(softplus(-0.45))  # nothing has fallen
    assert dpop(1e-12, one_token(-0.5, -2.0)).item() == pytest.approx(softplus(-0.45))


def test_dpop_pulls_up_what_has_fallen_and_starts_as_dpo():
    slopes = []
    for chosen in (-0.5, 0.0):
        t = one_token(chosen, chosen)
        leaf = t.logp_BKT.clone().requires_grad_()
        dpop(50.0, dataclasses.replace(t, logp_BKT=leaf)).backward()
        assert leaf.grad is not None
        slopes.append(leaf.grad[0, :, 0].tolist())
    weight = 0.3 / (1 + math.exp(-0.3 * 50 * 0.5))  # beta sigmoid(-gap) with a gap of -7.5
    assert slopes[0] == pytest.approx([-51 * weight, weight])
    assert slopes[1] == pytest.approx([-0.15, 0.15])  # at the reference those of DPO


@pytest.mark.parametrize("scores", [[1.0, 0.0], [-2.0, -1.0]])
def test_a_ratio_needs_positive_scores(scores: list[float]) -> None:
    t = toy(rows=1, responses=2, ragged=False).replace(score_BK=torch.tensor([scores]).double())
    with pytest.raises(ValueError, match="score_ratio needs positive scores, got"):
        ScoreRatio()(t.batch, 0.1, t.reward_BK)


def test_files_with_other_scores_are_refused_at_once(tmp_path: Any) -> None:
    row = '{"prompt": "p", "chosen": " a", "rejected": " b", "score_chosen": 2, "score_rejected": %s}\n'
    (tmp_path / "rows.jsonl").write_text(row % 1 + row % 0)
    overrides = ["algo=dpo", "margin=score_ratio", "data=jsonl", f"data.path={tmp_path}/rows.jsonl"]
    with pytest.raises(DataError, match=r"rows.jsonl:2: margin=score_ratio takes the logarithm .* has 0"):
        FileSource(Jsonl(path=f"{tmp_path}/rows.jsonl"), build(compose_config(overrides)), Desk(tmp_path))


def test_gold_rewards_have_no_ratio():
    for mode in ("population", "sampled"):
        with pytest.raises(Refused, match="margin=score_ratio takes the logarithm of scores, and gold"):
            build(compose_config(["algo=odpo", "margin=score_ratio", f"data.mode={mode}"]))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["feedback=contrast", "margin=data"], "margins"),
        (["algo=kto", "margin=score"], "reads no margin"),
        (["margin=drop", "polarity=negative"], "reads its reward"),
        (["margin=drop", "divergence=js"], "margin=drop declares"),
    ],
)
def test_combinations_without_meaning(overrides: list[str], words: str) -> None:
    with pytest.raises(Refused, match=words):
        build(compose_config(overrides))


@pytest.mark.parametrize("make", [Score, ScoreLog, ScoreRatio, Data, Drop])
@pytest.mark.parametrize("strength", [0.0, -1.0, math.inf, math.nan])
def test_ranges(make: Callable[[float], Any], strength: float) -> None:
    with pytest.raises(ValueError, match=r"(alpha|scale|lam) must be above 0 and finite, got .*margin=none"):
        make(strength)


def test_the_floor_has_a_range():
    with pytest.raises(ValueError, match="floor must be above 0"):
        ScoreLog(floor=0.0)


@pytest.mark.parametrize(
    "overrides",
    [
        "margin=score margin.alpha=0.3",
        "margin=score_log margin.alpha=0.7 margin.floor=0.1",
        "margin=score_ratio margin.alpha=0.3",
        "margin=data margin.scale=0.4",
        "margin=drop margin.lam=3",
        "margin=drop length=penalty reward.beta=5",
        "margin=data arity=list objective=hinge label_noise=smoothing",
        "margin=score reward=explicit reward.scale=2.5",
    ],
)
def test_the_text_evaluates_to_the_trained_loss(overrides: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = formula_rows.random_rows

    def positive(responses: list[int], seed: int) -> list[dict[str, Any]]:
        return [row | {"score": np.abs(row["score"]) + 0.1} for row in drawn(responses, seed)]

    monkeypatch.setattr(formula_rows, "random_rows", positive)
    trained, written, text = trained_and_written(["algo=dpo", *overrides.split()], seed=1)
    assert written == pytest.approx(trained, rel=1e-9)
    plain, _, other = trained_and_written(
        ["algo=dpo", *(o for o in overrides.split() if not o.startswith("margin"))], seed=1
    )
    assert trained != pytest.approx(plain, rel=1e-6) and text != other


@dataclass(frozen=True)
class ReadsPadding(Score):
    """Scores of responses that are not there."""

    def __call__(self, batch: Batch, beta: float, reward_BK: Tensor) -> Tensor:
        assert batch.score_BK is not None
        return self.alpha * (batch.score_BK[:, :, None] - batch.score_BK[:, None, :])


@dataclass(frozen=True)
class SaysDifference(Drop):
    """A declaration that is not so."""

    difference = True


@dataclass(frozen=True)
class OfTheOther(Drop):
    """The penalty of the dis-preferred response."""

    def __call__(self, batch: Batch, beta: float, reward_BK: Tensor) -> Tensor:
        return super().__call__(batch, beta, reward_BK).transpose(1, 2)


def test_broken_margins_are_caught():
    assert any("padding" in found for found in failures(ReadsPadding(), "margin"))
    assert any("difference=True" in found for found in failures(SaysDifference(), "margin"))
    t = dataclasses.replace(toy(rows=1, ragged=False), reward_BK=torch.tensor([[-0.2, 0.4, -1.0]]).double())
    assert of(OfTheOther(), t) != of(Drop(), t)
