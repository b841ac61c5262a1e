"""Policy losses by hand, their gradients, and deliberately wrong ones."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from xpo.policy_loss.clip import Clip
from xpo.policy_loss.reinforce import Reinforce
from xpo.testing import Check, Option, cases, checks_for, failures
from xpo.testing.checks_common import CHECKS as COMMON
from xpo.testing.tools import gradient

NAN = float("nan")
MASK = torch.tensor([[[0, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0]]]).bool()
RATIO = [1.5, 0.5, 1.1, 1.5, 0.5]
ADVANTAGE = [1.0, 1.0, -2.0, -1.0, -1.0]
PPO = Clip(low=0.2, high=0.3)


@pytest.mark.parametrize(("option", "check"), cases("policy_loss"))
def test_conformance(option: Option, check: Check) -> None:
    check(option.make())


def placed(*values: float) -> Tensor:
    """Values of the five tokens, garbage elsewhere."""
    table = torch.full(MASK.shape, NAN, dtype=torch.float64)
    table[MASK] = torch.tensor(values, dtype=torch.float64)
    return table


def given(ratio: list[float], advantage: list[float]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    old = placed(-1.0, -2.0, -0.5, -3.0, -1.5)
    return (old + placed(*ratio).log()).requires_grad_(), old, placed(*advantage), MASK


def check(option: Any, ratio: list[float], advantage: list[float], *expected: list[float]) -> None:
    """``expected``: losses of the five tokens, and their gradients."""
    logp, *rest = given(ratio, advantage)
    loss = option(logp, *rest)
    for found, values in zip((loss, gradient(loss, logp)), expected, strict=True):
        torch.testing.assert_close(found, torch.nan_to_num(placed(*values)))


TRACES = [
    # clip to [0.8, 1.3]: a ratio that went too far the right way counts no more, one the wrong way does
    (PPO, RATIO, ADVANTAGE, [-1.3, -0.5, 2.2, 1.5, 0.8], [0, -0.5, 2.2, 1.5, 0]),
    (
        dataclasses.replace(PPO, dual=1.2),
        RATIO,
        ADVANTAGE,
        [-1.3, -0.5, 2.2, 1.2, 0.8],
        [0, -0.5, 2.2, 0, 0],
    ),
    # the geometric mean of 4, 1, 4, 1 and 2 is 2; the product of 1/2, 2, 3, 1/2 and 1 is 3/2
    (Clip(level="mean"), [4.0, 1.0, 4.0, 1.0, 2.0], [-1.0] * 5, [2.0] * 5, [2.0] * 5),
    (Clip(level="mean"), [4.0, 1.0, 4.0, 1.0, 2.0], [1.0] * 5, [-1.2] * 5, [0.0] * 5),
    (Clip(level="sum"), [0.5, 2.0, 3.0, 0.5, 1.0], [-1.0] * 5, [1.5] * 5, [1.5] * 5),
    (Clip(level="sum", low=0.6), [0.5, 1.0, 1.0, 1.0, 1.0], [2.0] * 5, [-1.0] * 5, [-1.0] * 5),
    (Clip(log_limit=1.0), [np.e**2] * 5, [-1.0] * 5, [np.e] * 5, [0.0] * 5),
    (Reinforce(), [1.0] * 5, ADVANTAGE, [1.0, 2.0, -1.0, -3.0, -1.5], [-1.0, -1.0, 2.0, 1.0, 1.0]),
]


@pytest.mark.parametrize("trace", TRACES, ids=lambda trace: repr(trace[0]))
def test_by_hand(trace: Any) -> None:
    check(*trace)


def test_clip_fractions_by_hand() -> None:
    found = dataclasses.replace(PPO, dual=1.2).metrics(*given(RATIO, ADVANTAGE))
    means = {name: float(above / below) for name, (above, below) in found.items()}
    assert means == pytest.approx(
        {
            "clip_ratio/low_mean": 1 / 5,
            "clip_ratio/high_mean": 1 / 5,
            "clip_ratio/region_mean": 2 / 5,
            "clip_ratio/dual_mean": 1 / 5,
            "policy/ratio": 5.1 / 5,
        }
    )
    assert "clip_ratio/dual_mean" not in PPO.metrics(*given(RATIO, ADVANTAGE))
    assert Reinforce().metrics(*given(RATIO, ADVANTAGE)) == {}


def test_ratios_of_responses_count_once_each() -> None:
    """Of one and three tokens, clipped and not: a half, not a quarter."""
    logp = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])
    mask = torch.tensor([[[True, False, False], [True, True, True]]])
    old, advantage = torch.zeros_like(logp), torch.ones_like(logp)
    above, below = Clip(level="mean").metrics(logp, old, advantage, mask)["clip_ratio/high_mean"]
    assert float(above / below) == 0.5
    above, below = Clip(level="token").metrics(logp, old, advantage, mask)["clip_ratio/high_mean"]
    assert float(above / below) == 0.25


@pytest.mark.parametrize("option", [PPO, dataclasses.replace(PPO, dual=1.2), Reinforce()])
def test_gradients_are_those_of_the_values(option: Any) -> None:
    logp, *rest = given(RATIO, ADVANTAGE)
    logp = torch.nan_to_num(logp.detach()).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: option(x, *rest), logp)


@pytest.mark.parametrize("level", ["mean", "sum"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("far", [0.5, 0.01])
def test_the_token_form_has_the_response_ratios_gradient(level: Any, sign: float, far: float) -> None:
    """Of max(-A s, -A clip(s)) with one s per response, as GSPO and TRL's RLOO write it."""
    draw = torch.Generator().manual_seed(3)
    logp = torch.randn(2, 3, 4, generator=draw, dtype=torch.float64).requires_grad_()
    old = logp.detach() + far * torch.randn(2, 3, 4, generator=draw, dtype=torch.float64)
    length = torch.tensor([[4, 1, 3], [2, 4, 4]])
    mask = torch.arange(4) < length[..., None]
    log_s = ((logp - old) * mask).sum(-1) / (length if level == "mean" else 1)
    whole = torch.maximum(-sign * log_s.exp(), -sign * log_s.exp().clamp(0.8, 1.2))
    loss = Clip(level=level)(logp, old, torch.full_like(logp, sign), mask)
    summed = (loss.sum(-1) / length) if level == "mean" else loss.sum(-1)
    wanted, found = (torch.autograd.grad(x.sum(), logp, retain_graph=True)[0] for x in (whole, summed))
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(loss.sum(-1) / length, whole)  # each token's value is the response's


@pytest.mark.parametrize("level", ["token", "mean", "sum"])
@pytest.mark.parametrize("dual", [None, 1.2])
def test_the_text_is_the_loss(level: Any, dual: float | None) -> None:
    option = Clip(low=0.2, high=0.3, dual=dual, level=level)
    logp, old, advantage, _ = given(RATIO, ADVANTAGE)
    values = {"logp": logp, "old_logp": old, "advantage": advantage}
    names: dict[str, Any] = {name: x.detach()[MASK].numpy() for name, x in values.items()}
    tools = {name: getattr(np, name) for name in ("exp", "minimum", "maximum", "where")}
    tools |= {"no_gradient": lambda x: x, "every_t": lambda x: x, "sum_t": np.sum, "length": 5}
    for name, expression in option.definitions:
        names[name] = eval(expression, {"__builtins__": {}}, {**names, **tools})
    said = eval(option.text(), {"__builtins__": {}}, {**names, **tools})
    np.testing.assert_allclose(said, option(*given(RATIO, ADVANTAGE))[MASK].detach().numpy())
    assert eval(Reinforce().text(), {}, {"logp": 2.0, "advantage": 3.0}) == -6


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"low": 0.0}, "low must be above 0 and finite, got 0.0"),
        ({"high": -0.1}, "high must be above 0"),
        ({"high": float("inf")}, "high must be above 0 and finite, got inf"),
        ({"log_limit": 0.0}, "log_limit must be above 0"),
        ({"dual": 1.0}, "dual must be null or above 1 and finite, got 1.0"),
    ],
)
def test_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Clip(**fields)  # pyright: ignore


def test_low_above_1_never_clips_below() -> None:
    """As in DeepSeek-R1, where both are 10."""
    check(Clip(low=10.0, high=10.0), [0.01] * 5, [-1.0] * 5, [0.01] * 5, [0.01] * 5)


class Optimistic(Clip):
    def losses(
        self, logp_BKT: Tensor, old_logp_BKT: Tensor, advantage_BKT: Tensor, mask_BKT: Tensor
    ) -> Tensor:
        return -super().losses(logp_BKT, old_logp_BKT, -advantage_BKT, mask_BKT)


class Inverted(Clip):
    def _ratio(self, logp_BKT: Tensor, old_logp_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return super()._ratio(old_logp_BKT, logp_BKT, mask_BKT)


class Swapped(Clip):
    def losses(
        self, logp_BKT: Tensor, old_logp_BKT: Tensor, advantage_BKT: Tensor, mask_BKT: Tensor
    ) -> Tensor:
        other = Clip(self.high, self.low, self.dual, self.level, self.log_limit)
        return other.losses(logp_BKT, old_logp_BKT, advantage_BKT, mask_BKT)


class Ascends(Reinforce):
    def losses(
        self, logp_BKT: Tensor, old_logp_BKT: Tensor, advantage_BKT: Tensor, mask_BKT: Tensor
    ) -> Tensor:
        return advantage_BKT * logp_BKT


class Unmasked(Reinforce):
    def __call__(self, logp_BKT: Any, old_logp_BKT: Any, advantage_BKT: Any, mask_BKT: Any) -> Tensor:
        return -advantage_BKT.detach() * logp_BKT


class OverPadding(Clip):
    def losses(
        self, logp_BKT: Tensor, old_logp_BKT: Tensor, advantage_BKT: Tensor, mask_BKT: Tensor
    ) -> Tensor:
        return super().losses(logp_BKT, old_logp_BKT, advantage_BKT, torch.ones_like(mask_BKT))


@pytest.mark.parametrize("broken", [Optimistic, Inverted, Swapped, Ascends, Unmasked, OverPadding])
def test_wrong_losses_are_caught(broken: type) -> None:
    wrong = 0
    for option, *trace in TRACES:
        if type(option) is broken.__mro__[1]:
            try:
                check(broken(**vars(option)), *trace)
            except AssertionError:
                wrong += 1
    assert wrong


@pytest.mark.parametrize("broken", [Inverted, Ascends, Unmasked])
def test_the_kit_catches_wrong_losses(broken: type) -> None:
    checks = [check for check in checks_for("policy_loss") if check not in COMMON]
    assert not failures(broken.__mro__[1](), "policy_loss", checks)
    assert failures(broken(), "policy_loss", checks)
