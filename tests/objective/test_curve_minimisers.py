"""Where curves of the gap lead: minimisers over free rewards, against what the objectives declare."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor

from xpo.contracts import Context
from xpo.objective.clipped_logistic import ClippedLogistic
from xpo.objective.exponential import Exponential
from xpo.objective.quadratic import Quadratic
from xpo.objective.savage import Savage
from xpo.objective.truncated_quadratic import TruncatedQuadratic
from xpo.testing import toy


def minimiser(objective: Any, reward_K: Tensor, ref_K: Tensor) -> Tensor:
    """The differences d_i - d_0 that minimise the expected loss over all pairs of ref x ref, d being free."""
    win_KK = torch.sigmoid(reward_K[:, None] - reward_K[None, :])
    K = len(reward_K)
    batch = toy(rows=1, responses=K, ragged=False).batch
    batch = dataclasses.replace(batch, prefer_BKK=(ref_K[:, None] * ref_K[None, :] * win_KK)[None])
    d = torch.zeros(K, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS(
        [d], max_iter=2000, tolerance_grad=1e-11, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        search.zero_grad()
        value = objective(d[None], batch, Context()).sum()
        value.backward()
        return value

    search.step(closure)
    found = d.detach()
    return found - found[0]


REF = torch.tensor([0.4, 0.25, 0.2, 0.15], dtype=torch.float64)
REWARD = torch.tensor([0.3, -0.5, 1.1, -0.2], dtype=torch.float64)


def rates(reward_K: Tensor) -> Tensor:
    """2 P(i beats ref)."""
    return 2 * torch.sigmoid(reward_K[:, None] - reward_K[None, :]) @ REF


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected - expected[0], rtol=0, atol=1e-6)


def test_minimisers_are_what_the_declarations_say():
    close(minimiser(Exponential(), REWARD, REF), REWARD / 2)
    close(minimiser(Savage(), REWARD, REF), REWARD)
    close(minimiser(Quadratic(), REWARD, REF), rates(REWARD))
    close(minimiser(ClippedLogistic(2.0), REWARD, REF), REWARD)  # the largest difference is 1.6
    declared = {
        o: (o.fits, o.fit_scale, o.fit_limit)
        for o in (Exponential(), Savage(), Quadratic(), TruncatedQuadratic(), ClippedLogistic(0.7))
    }
    assert declared == {
        Exponential(): ("log_odds", 0.5, math.inf),
        Savage(): ("log_odds", 1.0, math.inf),
        Quadratic(): ("win_rate", 2.0, math.inf),
        TruncatedQuadratic(): ("win_rate", 2.0, 1.0),
        ClippedLogistic(0.7): ("log_odds", 1.0, 0.7),
    }


def test_the_truncated_square_is_the_square_only_within_its_limit():
    near, far = REWARD, 3 * REWARD
    assert rates(near).max() - rates(near).min() < 1 < rates(far).max() - rates(far).min()
    close(minimiser(TruncatedQuadratic(), near, REF), rates(near))
    found = minimiser(TruncatedQuadratic(), far, REF)
    assert (found - (rates(far) - rates(far)[0])).abs().max() > 1e-2


def test_beyond_the_bound_any_gap_does():
    """Log-odds of 1.6 under a bound of 1: the minimum is flat from 1 on."""
    ref = torch.tensor([0.5, 0.5], dtype=torch.float64)
    found = minimiser(ClippedLogistic(1.0), torch.tensor([0.0, 1.6]).double(), ref)[1].item()
    assert found >= 1.0 and abs(found - 1.6) > 1e-3
