"""The off-policy arrow over batches: micro-batches, sums of metrics, gradients far from the reference."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from tests.test_arrow import DEFAULTS, arrow
from xpo import registry
from xpo.arrow import OffPolicy, Scores, Steps
from xpo.contracts import Step
from xpo.divergence.js import JensenShannon
from xpo.length.mean import Mean
from xpo.objective.hinge import Hinge
from xpo.objective.likelihood import Likelihood
from xpo.objective.logistic import Logistic
from xpo.objective.odds_ratio import OddsRatio
from xpo.objective.preference_ranking import PreferenceRanking
from xpo.objective.prospect import Prospect
from xpo.objective.squared import Squared
from xpo.reduce.tokens import Tokens
from xpo.reward.explicit import Explicit
from xpo.reward.implicit import Implicit
from xpo.reward.none import NoReward
from xpo.reward_level.none import NoLevel
from xpo.sft.merged import Merged
from xpo.testing import Toy, toy

METHODS = {
    "dpo": arrow(),
    "ipo": arrow(objective=Squared(), reward=Implicit(1.0), length=Mean()),
    "f_dpo": arrow(divergence=JensenShannon()),
    "kto": arrow(objective=Prospect()),
    "orpo": arrow(
        objective=OddsRatio(), reward=Implicit(1.0), length=Mean(), sft=Merged(over="prompt_and_response")
    ),
    "pro": arrow(
        objective=PreferenceRanking(), reward=Explicit(1.0), length=Mean(), sft=Merged(list_power=2.0)
    ),
    "sft": arrow(reward=NoReward(), reward_level=NoLevel(), objective=Likelihood(), reduce=Tokens()),
    "cpo": arrow(sft=Merged(normalise="sequence")),
}


@pytest.mark.parametrize("name", METHODS)
def test_micro_batches_sum_to_the_batch(name: str) -> None:
    """Loss and gradient of 8 rows at once equal the sums over 8 micro-batches of one row, in any grouping."""
    parts, t = METHODS[name], toy(rows=8)
    free = parts.objective.nonpositive_reward

    def share(t: Toy) -> tuple[Tensor, Tensor]:
        leaf = t.logp_BKT.clone().requires_grad_()
        ref = torch.zeros_like(t.ref_logp_BKT) if free else t.ref_logp_BKT
        step = Step(torch.tensor([[0.6, 2.0]]).double(), torch.ones(1).double(), torch.zeros(1).long())
        value = parts(t.batch, Scores(leaf, ref, t.prompt_logp_BP), Steps(step)).share
        return value.detach(), torch.autograd.grad(value, leaf)[0]

    value, gradient = share(t)
    for groups in ([[b] for b in range(8)], [[0, 1, 2], [3, 4, 5, 6, 7]], [[6, 1], [0, 3, 5], [7], [2, 4]]):
        found = [share(t.rows(group)) for group in groups]
        torch.testing.assert_close(sum(part for part, _ in found), value, rtol=1e-12, atol=0)
        order = [b for group in groups for b in group]
        back = torch.cat([part for _, part in found])[torch.tensor(order).argsort()]
        torch.testing.assert_close(back, gradient, rtol=1e-12, atol=1e-15)


def test_metrics_sum_over_micro_batches():
    parts, t = arrow(divergence=JensenShannon(), sft=Merged()), toy(rows=4)
    whole = parts(t.batch, Scores(t.logp_BKT, t.ref_logp_BKT)).metrics
    found = [
        parts(r.batch, Scores(r.logp_BKT, r.ref_logp_BKT)).metrics for r in (t.rows([0]), t.rows([1, 2, 3]))
    ]
    assert set(whole) == {"objective", "nll_loss", "link/beyond_limit"}
    for name, (above, below) in whole.items():
        assert sum(float(part[name][0]) for part in found) == pytest.approx(float(above)), name
        assert sum(float(part[name][1]) for part in found) == pytest.approx(float(below)), name


def test_share_beyond_the_exact_link():
    t = toy(rows=2, responses=2, ragged=False)
    far = dataclasses.replace(t, logp_BKT=t.ref_logp_BKT + torch.tensor([10.0, 1.0]).double()[:, None])
    scored = arrow(divergence=JensenShannon())(far.batch, Scores(far.logp_BKT, far.ref_logp_BKT))
    above, below = scored.metrics["link/beyond_limit"]
    assert (float(above), float(below)) == (2.0, 4.0)  # row 0: 5 tokens of 10 nats


@pytest.mark.parametrize("divergence", registry.names("divergence"))
def test_gradients_stay_finite_far_from_the_reference(divergence: str) -> None:
    """In float32, 50 nats to either side on every pair loss."""
    t = toy(rows=4, responses=2, ragged=False).to(torch.float32)
    sides = torch.tensor([[10.0, -10.0], [-10.0, 10.0], [10.0, 10.0], [-10.0, -10.0]])
    leaf = (t.ref_logp_BKT + sides[:, :, None]).requires_grad_()
    for objective in (Logistic(), Squared(), Hinge()):
        parts = arrow(divergence=registry.component("divergence", divergence)(), objective=objective)
        value = parts(t.batch, Scores(leaf, t.ref_logp_BKT)).share
        (found,) = torch.autograd.grad(value, leaf, allow_unused=True, materialize_grads=True)
        assert torch.isfinite(value) and torch.isfinite(found).all(), objective


def test_of_takes_what_it_needs_from_a_composition():
    class Parts:
        adapter = None

    for group, name in DEFAULTS.items():
        setattr(Parts, group, registry.component(group, name)())
    assert OffPolicy.of(Parts, given_reference=False) == arrow(given_reference=False)
