"""Policy gradients that TRL has too: its own trainers, on the same rollout, say what xpo's components say.

Advantages, values, gradients in the log-probs and clip fractions to 1e-5. Where the two differ on purpose the
relation between them is tested.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trl.rollouts import (
    ADVANTAGE_BK,
    LENGTH_BK,
    LOGP_BKT,
    LONGEST,
    MASK_BKT,
    OLD_BKT,
    REF_BKT,
    REWARDS,
    our_loss,
    their_advantages,
    their_loss,
)
from xpo.advantage.group import Group
from xpo.advantage.leave_one_out import LeaveOneOut
from xpo.advantage.returns import Returns
from xpo.divergence.reverse_kl import ReverseKL
from xpo.penalty.loss import InLoss
from xpo.penalty.reward import InReward
from xpo.policy_loss.clip import Clip
from xpo.reduce.fixed_length import FixedLength
from xpo.reduce.responses import Responses
from xpo.reduce.rows import Rows
from xpo.reduce.tokens import Tokens

pytestmark = [
    pytest.mark.skipif(find_spec("trl") is None, reason="TRL is not installed (extra: dev)"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # TRL's own defaults use deprecated settings
]

GSPO = {"importance_sampling_level": "sequence", "epsilon_low": 3e-4, "epsilon_high": 4e-4}
K3 = {"penalty": InLoss("k3"), "divergence": ReverseKL(), "beta": 0.04}
LOSSES: dict[str, tuple[dict[str, Any], Clip, Any, dict[str, Any]]] = {
    "grpo": ({"loss_type": "grpo"}, Clip(), Responses(), {}),
    "grpo, k3 in the loss": (
        {"loss_type": "grpo", "beta": 0.04, "args.use_bias_correction_kl": False},
        Clip(),
        Responses(),
        K3,
    ),
    "bnpo": ({"loss_type": "bnpo"}, Clip(), Tokens(), {}),
    "dapo": ({"loss_type": "dapo", "epsilon_high": 0.28}, Clip(high=0.28), Tokens(), {}),
    "dr_grpo": ({"loss_type": "dr_grpo"}, Clip(), FixedLength(LONGEST), {}),
    "gspo": ({"loss_type": "grpo", **GSPO}, Clip(3e-4, 4e-4, level="mean"), Responses(), {}),
    "gspo, tokens alike": ({"loss_type": "dapo", **GSPO}, Clip(3e-4, 4e-4, level="mean"), Tokens(), {}),
    "luspo": ({"loss_type": "luspo", **GSPO}, Clip(3e-4, 4e-4, level="mean"), Rows(), {}),
    "delta is a dual clip": ({"loss_type": "grpo", "args.delta": 1.3}, Clip(dual=1.3), Responses(), {}),
}


@pytest.mark.parametrize("name", LOSSES)
def test_same_loss(name: str) -> None:
    settings, policy_loss, reduce, penalty = LOSSES[name]
    value, slope, metrics = their_loss("grpo", settings)
    own_value, own_slope = our_loss(policy_loss, reduce, **penalty)
    torch.testing.assert_close(own_value, value, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(own_slope, slope, rtol=1e-5, atol=1e-5)
    assert slope.abs().max() > 1e-3
    same_metrics(policy_loss, metrics)


def test_rloo_has_the_same_gradient_and_length_times_the_value() -> None:
    value, slope, metrics = their_loss("rloo", {})
    policy_loss = Clip(level="sum")
    torch.testing.assert_close(our_loss(policy_loss, Rows())[1], slope, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(our_loss(policy_loss, Responses())[0], value, rtol=1e-5, atol=1e-5)
    loss_BKT = policy_loss(LOGP_BKT, OLD_BKT, ADVANTAGE_BK[..., None].expand_as(LOGP_BKT), MASK_BKT)
    summed = loss_BKT.sum(-1) / LENGTH_BK
    torch.testing.assert_close(summed.mean(), value)
    same_metrics(policy_loss, metrics)


def test_k3_times_the_ratio_is_k2() -> None:
    """TRL's default multiplies k3 by the ratio, with its gradient (DeepSeek-V3.2): on-policy that of k2."""
    settings = {"loss_type": "grpo", "beta": 0.5}
    _, slope, _ = their_loss("grpo", settings, OLD_BKT)
    k2, k3 = (
        our_loss(Clip(), Responses(), InLoss(name), ReverseKL(), 0.5, OLD_BKT)[1] for name in ("k2", "k3")
    )
    torch.testing.assert_close(k2, slope, rtol=1e-5, atol=1e-5)
    assert (k3 - slope).abs().max() > 1e-3


def same_metrics(policy_loss: Clip, theirs: dict[str, float]) -> None:
    advantage = ADVANTAGE_BK[..., None].expand_as(LOGP_BKT)
    ours = policy_loss.metrics(LOGP_BKT, OLD_BKT, advantage, MASK_BKT)
    shared = [name for name in ours if name in theirs]
    assert len(shared) == 3
    for name in shared:
        above, below = ours[name]
        assert theirs[name] == pytest.approx(float(above / below), abs=1e-6), name


def placed(rewards: list[float | None]) -> tuple[Tensor, Tensor]:
    """Scores at the last token of each response; those that nobody could score are absent."""
    score_BK = torch.tensor([float("nan") if r is None else r for r in rewards]).double().view(3, 3)
    mask = MASK_BKT & ~score_BK.isnan()[..., None]
    last = torch.arange(LONGEST) == LENGTH_BK[..., None] - 1
    return torch.where(last & mask, score_BK[..., None], 0.0), mask


UNSCORED: list[float | None] = [None, *REWARDS[1:7], None, None]
ADVANTAGES: dict[str, tuple[str, dict[str, Any], Any]] = {
    "grpo": ("grpo", {"scale_rewards": "group"}, Group(scale="sample", eps=1e-4)),
    "dr_grpo": ("grpo", {"scale_rewards": "none"}, Group(scale="none")),
    "rloo": ("rloo", {}, LeaveOneOut()),
}


@pytest.mark.parametrize("rewards", [list(REWARDS), UNSCORED], ids=["all scored", "some unscored"])
@pytest.mark.parametrize("name", ADVANTAGES)
def test_same_advantages(name: str, rewards: list[float | None]) -> None:
    kind, settings, estimator = ADVANTAGES[name]
    theirs, mask = their_advantages(kind, settings, rewards)
    assert torch.equal(mask, MASK_BKT)
    reward, present = placed(rewards)
    ours = estimator(reward, None, present).advantage_BKT
    expected = torch.where(present, theirs.double()[..., None], 0.0)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
    assert (ours[1] == 0).all() and ours[0].abs().max() > 0.5


@pytest.mark.parametrize("form", ["response", "token"])
def test_rloo_takes_the_penalty_off_the_reward(form: Any) -> None:
    theirs, _ = their_advantages("rloo", {"beta": 0.3, "ref_model": object()}, list(REWARDS))
    reward, mask = placed(list(REWARDS))
    penalty, own = InReward(form).terms(ReverseKL(), OLD_BKT - REF_BKT, mask)
    ours = LeaveOneOut()(reward + 0.3 * penalty, None, mask, 0.3 * own).advantage_BKT
    torch.testing.assert_close(ours, torch.where(mask, theirs.double()[..., None], 0.0), rtol=1e-5, atol=1e-5)


def test_where_the_two_differ() -> None:
    """TRL has the unbiased deviation alone, and adds 1e-4 to it; RLOO's ``normalize_advantages`` and GRPO's
    ``scale_rewards=batch`` divide by a deviation of responses, where whitening is over tokens."""
    theirs = their_advantages("grpo", {"scale_rewards": "group"}, list(REWARDS))[0].double()
    reward, mask = placed(list(REWARDS))
    population = Group(scale="population", eps=0.0)(reward, None, mask).advantage_BKT[..., 0]
    std = torch.tensor(REWARDS).double().view(3, 3).std(1, keepdim=True)
    torch.testing.assert_close(population, theirs * (std + 1e-4) / std.clamp(min=1e-9) * 1.5**0.5)
    theirs = their_advantages("rloo", {"normalize_advantages": True}, list(REWARDS))[0].double()
    ours = Returns(baseline="leave_one_out", whiten=True)(reward, None, mask).advantage_BKT[..., 0]
    assert (theirs - ours).abs().max() > 0.03
