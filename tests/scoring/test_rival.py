"""Rivals of a token: which ones are drawn, how often, and what their gradient is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.scoring.test_token_statistics import EDGES, VOCABULARY, distributions, heads, logits_of
from xpo.scoring.head import Targets
from xpo.scoring.token_statistics import FORCED, Rival, token_statistics


def logp_of(*probabilities: float) -> Tensor:
    return torch.tensor(probabilities, dtype=torch.float64).log()


def test_a_rival_is_drawn_from_the_likeliest_others_as_often_as_they_are_likely():
    """The token is 0.4; of the others 0.3, 0.2 and 0.04 the two likeliest: 3 in 5 and 2 in 5."""
    count = 40_000
    logp_CV = logp_of(0.3, 0.4, 0.04, 0.06 - 1e-9, 0.2).expand(count, 5)
    torch.manual_seed(0)
    drawn = Rival(top=2)(logp_CV, logp_CV, torch.ones(count, dtype=torch.long)).exp()
    shares = {p: float((drawn - p).abs().lt(1e-6).double().mean()) for p in (0.3, 0.2)}
    assert sum(shares.values()) == 1.0
    assert shares[0.3] == pytest.approx(0.6, abs=4 * (0.24 / count) ** 0.5)


def test_of_one_the_rival_is_the_likeliest_other_and_of_many_never_the_token():
    torch.manual_seed(1)
    logp_CV = torch.randn(500, 7).log_softmax(1)
    token_C = torch.randint(7, (500,))
    others = logp_CV.scatter(1, token_C[:, None], -torch.inf)
    assert torch.equal(Rival(top=1)(logp_CV, logp_CV, token_C), others.amax(1))
    own = logp_CV.gather(1, token_C[:, None])[:, 0]
    for top in (2, 6, 7, 100):
        assert not Rival(top=top)(logp_CV, logp_CV, token_C).eq(own).any()


def test_a_rival_without_a_choice_gives_no_loss_and_no_gradient():
    logp_CV = torch.tensor([[0.0, -torch.inf], [-0.5, -0.9]], requires_grad=True)
    token_C = torch.tensor([0, 0])
    rival_C = Rival()(logp_CV, logp_CV, token_C)
    assert rival_C.tolist() == pytest.approx([FORCED, -0.9])
    contrast_C = torch.nn.functional.softplus(logp_CV[:, 0] - rival_C)
    (found,) = torch.autograd.grad(contrast_C.sum(), logp_CV)
    assert contrast_C[0] == 0 and found[0].eq(0).all() and found[1].all()


def test_the_rival_of_the_backward_pass_is_that_of_the_forward_pass():
    """Chunks are computed again there, and must draw the same tokens."""
    mine, _ = heads()
    token_E = torch.randint(VOCABULARY, (EDGES,))
    for seed in range(5):
        torch.manual_seed(seed)
        value_E = token_statistics((Rival(),), distributions(mine), None, Targets(token_E), 2)["rival"]
        logp_EV = logits_of(mine, 1.0, None).log_softmax(1)
        drawn_E = (logp_EV - value_E[:, None]).abs().argmin(1)
        assert not drawn_E.eq(token_E).any()
        torch.rand(3)  # what the policy's own backward pass may draw
        expected = torch.autograd.grad(logp_EV.gather(1, drawn_E[:, None]).sum(), mine)
        for a, b in zip(torch.autograd.grad(value_E.sum(), mine), expected, strict=True):
            torch.testing.assert_close(a, b)


def test_rivals_come_from_the_random_state_that_checkpoints_keep():
    mine, _ = heads()
    token_E = torch.randint(VOCABULARY, (EDGES,))

    def draw() -> Tensor:
        return token_statistics((Rival(),), distributions(mine), None, Targets(token_E), 2)["rival"].detach()

    state = torch.get_rng_state()
    first, second = draw(), draw()
    assert not torch.equal(first, second)
    torch.set_rng_state(state)
    assert torch.equal(draw(), first) and torch.equal(draw(), second)
