"""The off-policy arrow: published numbers, reductions of one method to another, what each axis does."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch

from tests.objective import oracles
from xpo import registry
from xpo.arrow import OffPolicy, Scores, Steps
from xpo.contracts import Step, StepTotals
from xpo.divergence.alpha import Alpha
from xpo.divergence.js import JensenShannon
from xpo.divergence.none import NoDivergence
from xpo.divergence.reverse_kl import ReverseKL
from xpo.label_noise.smoothing import Smoothing
from xpo.length.mean import Mean
from xpo.length.penalty import Penalty
from xpo.length.shared_length import SharedLength
from xpo.margin.constant import Constant
from xpo.objective.hinge import Hinge
from xpo.objective.likelihood import Likelihood
from xpo.objective.odds_ratio import OddsRatio
from xpo.objective.preference_ranking import PreferenceRanking
from xpo.objective.prospect import Prospect
from xpo.objective.squared import Squared
from xpo.polarity.negative import Negative
from xpo.reduce.tokens import Tokens
from xpo.reward.explicit import Explicit
from xpo.reward.implicit import Implicit
from xpo.reward.none import NoReward
from xpo.reward_form.pairwise import Pairwise
from xpo.reward_level.none import NoLevel
from xpo.reward_level.token import TokenLevel
from xpo.sft.merged import Merged
from xpo.testing import Toy, toy

DEFAULTS = {
    "length": "sum",
    "divergence": "reverse_kl",
    "reward_level": "response",
    "reward": "implicit",
    "reward_form": "pointwise",
    "polarity": "both",
    "label_noise": "none",
    "margin": "none",
    "objective": "logistic",
    "weighting": "none",
    "reduce": "rows",
    "sft": "none",
    "anchor": "none",
}


NOTHING_SEEN = Step(torch.zeros(1, 2).double(), torch.ones(1).double(), torch.zeros(1).long())


def arrow(**parts: Any) -> OffPolicy:
    """DPO at beta 0.1, and what differs from it."""
    return OffPolicy(**{group: registry.component(group, name)() for group, name in DEFAULTS.items()} | parts)


def one_pair(tokens: tuple[int, int] = (10, 20)) -> Toy:
    """The pair of the survey of implementations: 10 tokens at -1.2 against -1.4, 20 at -1.5 against -1.4."""
    t = toy(rows=1, responses=2, tokens=max(tokens), ragged=False)
    mask = torch.stack([torch.arange(max(tokens)) < n for n in tokens])[None]
    logp = torch.tensor([-1.2, -1.5], dtype=torch.float64)[None, :, None].expand(1, 2, max(tokens))
    ref_logp = torch.full_like(logp, -1.4)
    first = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    t = t.replace(
        mask_BKT=mask,
        weight_B=torch.ones(1).double(),
        prefer_BKK=torch.tensor([[[0.0, 1.0], [0.0, 0.0]]]).double(),
        demo_BK=first,
        score_BK=first,
        totals=StepTotals(1.0, float(tokens[0]), 1),
    )
    return dataclasses.replace(t, logp_BKT=logp, ref_logp_BKT=ref_logp)


def loss(parts: OffPolicy, t: Toy, free: bool = False, step: Step | None = None) -> float:
    ref = torch.zeros_like(t.ref_logp_BKT) if free else t.ref_logp_BKT
    return parts(t.batch, Scores(t.logp_BKT, ref), Steps(step)).share.item()


@pytest.mark.parametrize(
    ("parts", "free", "expected"),
    [
        (arrow(), False, 0.5130),
        (arrow(label_noise=Smoothing(0.1)), False, 0.5530),
        (arrow(objective=Squared(0.1), reward=Implicit(1.0), length=Mean()), False, 22.09),
        (arrow(objective=Squared(0.1), reward=Implicit(1.0)), False, 1.00),
        (arrow(reward=Implicit(2.0), length=Mean(), margin=Constant(gamma=0.5)), True, 0.6444),
        (arrow(reward=Implicit(2.0), length=Mean(), margin=Constant(gamma_beta_ratio=0.5)), True, 0.9130),
        (arrow(divergence=JensenShannon()), False, 0.5981),
    ],
    ids=["dpo", "smoothing", "ipo mean", "ipo sum", "simpo gamma", "simpo ratio", "js"],
)
def test_published_pair(parts: OffPolicy, free: bool, expected: float) -> None:
    assert loss(parts, one_pair(), free) == pytest.approx(expected, abs=6e-5)


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("responses", [2, 3])
def test_values_where_the_policy_is_the_reference(rows: int, responses: int) -> None:
    t = toy(rows=rows, responses=responses)
    t = dataclasses.replace(t, ref_logp_BKT=t.logp_BKT)
    t = t.replace(weight_B=torch.ones(rows).double(), totals=StepTotals(rows, 1, 1))
    for group, names in (
        ("divergence", registry.names("divergence")),
        ("length", ["sum", "mean", "shared_length"]),
    ):
        for name in names:
            part = {group: registry.component(group, name)()}
            assert loss(arrow(**part), t) == pytest.approx(math.log(2)), name
    assert loss(arrow(objective=Squared(0.1), reward=Implicit(1.0)), t) == pytest.approx(25.0)
    assert loss(arrow(objective=Hinge()), t) == pytest.approx(1.0)
    kto = arrow(objective=Prospect())
    assert loss(kto, t, step=NOTHING_SEEN) == pytest.approx(0.5)
    assert arrow().rewards(t.batch, t.logp_BKT, t.ref_logp_BKT).eq(0).all()


def test_r_dpo_discounts_longer_winners():
    for tokens in ((10, 20), (20, 10)):
        t = one_pair(tokens)
        t = dataclasses.replace(t, ref_logp_BKT=t.logp_BKT)
        expected = oracles.softplus(-0.02 * (tokens[0] - tokens[1]))
        assert loss(arrow(length=Penalty(0.02)), t) == pytest.approx(expected)
    weights = []
    for tokens in ((20, 10), (10, 20)):  # the weight of a pair: the slope of its loss in the policy's reward
        t = one_pair(tokens)
        leaf = t.logp_BKT.clone().requires_grad_()
        arrow(length=Penalty(0.02))(t.batch, Scores(leaf, leaf.detach().clone())).share.backward()
        assert leaf.grad is not None
        weights.append(-leaf.grad[0, 0, 0].item())
    assert weights[0] < weights[1]


def test_simpo_with_alpha_is_alpha_po():
    """AlphaPO's own formula (arXiv 2501.03884) on plain numbers: r = beta (1 - p^-alpha) / alpha."""
    t = toy(rows=1, responses=2)
    t = t.replace(
        prefer_BKK=one_pair().batch.prefer_BKK, weight_B=torch.ones(1).double(), totals=StepTotals(1, 1, 1)
    )
    beta, alpha, gamma = 2.5, 0.25, 0.1
    rewards = []
    for k in range(2):
        there = t.batch.mask_BKT[0, k]
        geometric_mean = math.exp(t.logp_BKT[0, k][there].mean().item())
        rewards.append(beta * (1 - geometric_mean**-alpha) / alpha)
    expected = -math.log(oracles.sigmoid(rewards[0] - rewards[1] - gamma))
    simpo = {"reward": Implicit(beta), "length": Mean(), "margin": Constant(gamma=gamma)}
    assert loss(arrow(divergence=Alpha(alpha), **simpo), t, free=True) == pytest.approx(expected, rel=1e-12)
    plain = loss(arrow(divergence=NoDivergence(), **simpo), t, free=True)
    assert loss(arrow(divergence=ReverseKL(), **simpo), t, free=True) == plain
    assert loss(arrow(divergence=Alpha(1e-8), **simpo), t, free=True) == pytest.approx(plain, rel=1e-6)


def test_dpo_without_a_reference_is_cpo_without_its_likelihood():
    t = one_pair()
    chosen, rejected = 10 * -1.2, 20 * -1.5
    assert loss(arrow(), t, free=True) == pytest.approx(oracles.softplus(-0.1 * (chosen - rejected)))
    cpo = arrow(sft=Merged(weight=1.0, normalise="none"))
    expected = oracles.softplus(-0.1 * (chosen - rejected)) - chosen
    assert loss(cpo, t, free=True) == pytest.approx(expected)


def test_shared_length_by_hand():
    """LD-DPO at alpha 1/2: the 10 tokens beyond the shared length of the rejected response count half."""
    expected = oracles.softplus(-0.1 * (10 * 0.2 - 15 * -0.1))
    assert loss(arrow(length=SharedLength(0.5)), one_pair()) == pytest.approx(expected)


def test_token_level_links_before_it_sums():
    alpha = arrow(divergence=Alpha(0.5), reward_level=TokenLevel())
    chosen = 10 * (1 - math.exp(-0.5 * 0.2)) / 0.5
    rejected = 20 * (1 - math.exp(0.5 * 0.1)) / 0.5
    assert loss(alpha, one_pair()) == pytest.approx(oracles.softplus(-0.1 * (chosen - rejected)))
    assert loss(arrow(reward_level=TokenLevel()), one_pair()) == pytest.approx(loss(arrow(), one_pair()))


def test_negative_polarity_is_npo():
    """NPO, arXiv 2404.05868, eq. 3: (2 / beta) log(1 + (pi / ref)^beta) on the rejected response."""
    t = one_pair()
    npo = 2 / 0.1 * math.log(1 + math.exp(0.1 * 20 * -0.1))
    assert 2 / 0.1 * loss(arrow(polarity=Negative()), t) == pytest.approx(npo)


def test_orpo_by_hand():
    t = one_pair()
    orpo = arrow(
        length=Mean(),
        divergence=NoDivergence(),
        reward=Implicit(1.0),
        objective=OddsRatio(),
        sft=Merged(weight=1.0, preference_weight=0.1, normalise="batch_tokens"),
    )
    expected = 1.2 + 0.1 * oracles.odds_ratio([-1.2, -1.5], [[0.0, 1.0], [0.0, 0.0]])
    assert loss(orpo, t, free=True) == pytest.approx(expected)


def test_pro_by_hand():
    t = one_pair().replace(score_BK=torch.tensor([[2.5, 0.5]]).double())
    pro = arrow(
        length=Mean(),
        reward=Explicit(beta=1.0, scale=4.0),
        objective=PreferenceRanking(),
        sft=Merged(weight=0.05, normalise="none", list_power=2.0),
    )
    expected = oracles.preference_ranking([-1.2, -1.5], [0.625, 0.125]) + 0.05 * 1 * 12.0
    assert loss(pro, t, free=True) == pytest.approx(expected)


def test_sft_is_the_mean_over_tokens():
    sft = arrow(reward=NoReward(), reward_level=NoLevel(), objective=Likelihood(), reduce=Tokens())
    assert loss(sft, one_pair(), free=True) == pytest.approx(1.2)
    assert not sft.reads_reward


def test_explicit_reward_relabels():
    """A scorer that prefers the second response by 1.5 turns the pair into a soft one."""
    t = one_pair().replace(score_BK=torch.tensor([[0.0, 1.5]]).double())
    share = oracles.sigmoid(-1.5 / 0.5)
    gap = 0.1 * (10 * 0.2 + 20 * 0.1)
    expected = share * oracles.softplus(-gap) + (1 - share) * oracles.softplus(gap)
    assert loss(arrow(reward=Explicit(0.1, scale=0.5)), t) == pytest.approx(expected)
    t = t.replace(win_BKK=torch.tensor([[[0.5, 0.7], [0.3, 0.5]]]).double())
    expected = 0.7 * oracles.softplus(-gap) + 0.3 * oracles.softplus(gap)
    assert loss(arrow(reward=Explicit(0.1), reward_form=Pairwise()), t) == pytest.approx(expected)


def test_needs_follow_the_parts():
    assert arrow().needs == {"comparisons"}
    assert arrow(reward=Explicit()).needs == {"comparisons", "scores"}
    assert arrow(reward=Explicit(), reward_form=Pairwise()).needs == {"comparisons", "wins"}
    assert arrow(sft=Merged()).needs == {"comparisons", "demonstrations"}
    assert arrow(objective=PreferenceRanking(), reward=Explicit(1.0)).needs == {"scores"}
    with pytest.raises(ValueError, match="needs reward=explicit"):
        arrow(objective=PreferenceRanking())
