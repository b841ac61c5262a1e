"""Heads by hand numbers; log-odds that cancel exactly; circles that no score can hold."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from xpo.reward_model.heads import PreferenceHead, RewardHead, ScoreHead

PRESENT = torch.tensor([[True, True, True], [True, True, False]])


def with_weight(head: RewardHead, rows: list[list[float]]) -> RewardHead:
    with torch.no_grad():
        head.score.weight.copy_(torch.tensor(rows))
    return head


def test_scores_are_dot_products_of_each_member() -> None:
    head = with_weight(ScoreHead(2, 2, seed=0), [[1.0, -2.0], [0.5, 0.5]])
    hidden_BKD = torch.tensor([[[3.0, 1.0], [0.0, 1.0], [2.0, 2.0]], [[1.0, 0.0], [4.0, 1.0], [9.0, 9.0]]])
    first, second = head(head.features(hidden_BKD), PRESENT)
    assert first.reward_BK.tolist() == [[1.0, -2.0, -2.0], [1.0, 2.0, 0.0]]
    assert second.reward_BK.tolist() == [[2.0, 0.5, 2.0], [0.5, 2.5, 0.0]]
    assert first.log_odds_BKK is None


def test_log_odds_by_hand() -> None:
    """r = (1, 0), v = ((1, 2), (3, 1)): r_1 - r_2 + (1 x 1 - 2 x 3) = 1 - 5 = -4."""
    head = PreferenceHead(3, 1, seed=0)
    feature_BKF = torch.tensor([[[1.0, 1.0, 2.0], [0.0, 3.0, 1.0]]])
    (opinion,) = head(feature_BKF, torch.ones(1, 2, dtype=torch.bool))
    assert opinion.log_odds_BKK.tolist() == [[[0.0, -4.0], [4.0, 0.0]]]
    assert opinion.reward_BK.tolist() == [[-4.0, 4.0]]


def test_the_reward_is_the_mean_against_the_others_that_are_there() -> None:
    feature_BKF = torch.tensor([[[2.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]] * 2)
    (opinion,) = PreferenceHead(3, 1, seed=0)(feature_BKF, PRESENT)
    assert opinion.reward_BK.tolist() == [[1.5, 0.0, -1.5], [1.0, -1.0, 0.0]]
    assert opinion.log_odds_BKK[1, 2].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_odds_of_two_orders_cancel_exactly(dtype: torch.dtype) -> None:
    head = PreferenceHead(8, 4, seed=3, dtype=dtype)
    hidden_BKD = 5 * torch.randn(6, 5, 8, dtype=dtype, generator=torch.Generator().manual_seed(0))
    (opinion,) = head(head.features(hidden_BKD), torch.ones(6, 5, dtype=torch.bool))
    assert torch.equal(opinion.log_odds_BKK, -opinion.log_odds_BKK.transpose(1, 2))
    one_sided_BKK = (
        opinion.log_odds_BKK + hidden_BKD[..., 0][:, :, None]
    )  # a head that likes what comes first
    assert not torch.equal(one_sided_BKK, -one_sided_BKK.transpose(1, 2))


def test_absent_responses_are_read_by_nobody() -> None:
    for head in (ScoreHead(4, 2, seed=0), PreferenceHead(4, 2, seed=0)):
        hidden_BKD = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1))
        broken_BKD = hidden_BKD.clone()
        broken_BKD[1, 2] = torch.nan
        for clean, odd in zip(
            head(head.features(hidden_BKD), PRESENT), head(head.features(broken_BKD), PRESENT), strict=True
        ):
            assert torch.equal(clean.reward_BK, odd.reward_BK)
            if clean.log_odds_BKK is not None:
                assert torch.equal(clean.log_odds_BKK, odd.log_odds_BKK)


def test_an_initial_scale_of_one_over_the_root_of_the_width_and_a_seed() -> None:
    weight_FD = ScoreHead(400, 50, seed=5).score.weight
    assert weight_FD.std().item() == pytest.approx(1 / 401**0.5, rel=0.02)
    assert torch.equal(weight_FD, ScoreHead(400, 50, seed=5).score.weight)
    assert not torch.equal(weight_FD, ScoreHead(400, 50, seed=6).score.weight)


def test_a_plane_holds_a_circle_and_a_score_does_not() -> None:
    """1 beats 2, 2 beats 3 and 3 beats 1, each in 9 of 10 comparisons: log-odds of log 9."""
    learnt = {name: _fitted(head) for name, head in _heads().items()}
    circle = torch.tensor([learnt["plane"][0, 1], learnt["plane"][1, 2], learnt["plane"][2, 0]])
    torch.testing.assert_close(circle, torch.full((3,), 2.1972246), atol=1e-2, rtol=0)
    gaps = torch.tensor([learnt["score"][0, 1], learnt["score"][1, 2], learnt["score"][2, 0]])
    assert gaps.sum().abs() < 1e-5, "differences of scores add up to 0 around any circle"
    torch.testing.assert_close(gaps, torch.zeros(3), atol=1e-2, rtol=0)


def _heads() -> dict[str, RewardHead]:
    return {"plane": PreferenceHead(3, 1, seed=0), "score": ScoreHead(3, 1, seed=0)}


def _fitted(head: RewardHead) -> Tensor:
    """log_odds_KK of three responses, one hidden unit each, after training on the circle."""
    hidden_BKD, present_BK = torch.eye(3)[None], torch.ones(1, 3, dtype=torch.bool)
    prefer_KK = torch.tensor([[0.0, 0.9, 0.1], [0.1, 0.0, 0.9], [0.9, 0.1, 0.0]])
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(600):
        (opinion,) = head(head.features(hidden_BKD), present_BK)
        odds = opinion.log_odds_BKK
        if odds is None:
            odds = opinion.reward_BK[:, :, None] - opinion.reward_BK[:, None, :]
        loss = -(prefer_KK * nn.functional.logsigmoid(odds[0])).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return odds[0].detach()
