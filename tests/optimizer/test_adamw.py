"""AdamW: learning rates by hand, what is decayed, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from xpo.optimizer.adamw import AdamW


def rates(option: AdamW, steps: int) -> list[float]:
    layer = nn.Linear(1, 1)
    optimizer, schedule = option.build(layer.named_parameters(), steps)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize(
    ("schedule", "warmup", "low", "expected"),
    [
        ("constant", None, 0.0, [1.0, 1.0, 1.0, 1.0]),
        ("linear", None, 0.0, [1.0, 0.75, 0.5, 0.25]),
        ("cosine", None, 0.0, [1.0, 0.8535533905932737, 0.5, 0.14644660940672624]),
        ("linear", None, 0.2, [1.0, 0.8, 0.6, 0.4]),
        ("constant", 3, 0.0, [0.25, 0.5, 0.75, 1.0]),
        ("linear", 2, 0.0, [1 / 3, 2 / 3, 1.0, 0.5]),
        ("cosine", 1, 0.1, [0.5, 1.0, 0.775, 0.325]),
    ],
)
def test_rates_are_those_of_the_schedule(
    schedule: str, warmup: int | None, low: float, expected: list[float]
) -> None:
    option = AdamW(lr=2.0, schedule=schedule, warmup_steps=warmup, min_lr_ratio=low)  # pyright: ignore
    assert rates(option, 4) == pytest.approx([2 * value for value in expected])


def test_warmup_ratio_is_a_share_of_all_steps_rounded_up() -> None:
    assert AdamW(warmup_ratio=0.25).warmup(10) == 3
    assert AdamW(warmup_ratio=0.0).warmup(10) == 0


def test_only_matrices_decay_and_frozen_parameters_are_left_out() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Linear(3, 2).requires_grad_(False))
    optimizer, _ = AdamW(weight_decay=0.1).build(net.named_parameters(), 5)
    decayed, plain = optimizer.param_groups
    assert (decayed["weight_decay"], [tuple(p.shape) for p in decayed["params"]]) == (0.1, [(3, 2)])
    assert (plain["weight_decay"], [tuple(p.shape) for p in plain["params"]]) == (0.0, [(3,), (3,), (3,)])


def test_a_network_beside_the_policy_has_groups_and_a_rate_of_its_own() -> None:
    policy, critic = nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 1), nn.Linear(1, 1).requires_grad_(False))
    option = AdamW(lr=0.5, weight_decay=0.1, schedule="linear")
    optimizer, schedule = option.build(policy.named_parameters(), 5, critic.named_parameters(), 4.0)
    seen = [
        (g["lr"], g["weight_decay"], [tuple(p.shape) for p in g["params"]]) for g in optimizer.param_groups
    ]
    assert seen == [(0.5, 0.1, [(3, 2)]), (0.5, 0.0, [(3,)]), (2.0, 0.1, [(1, 3)]), (2.0, 0.0, [(1,)])]
    optimizer.step()
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.4, 0.4, 1.6, 1.6])
    with pytest.raises(ValueError, match="no parameter is trainable"):
        option.build(policy.requires_grad_(False).named_parameters(), 5, critic.named_parameters())


def test_one_step_by_hand() -> None:
    # decoupled: w - lr * decay * w - lr * sign(g) at the first step, up to eps
    weight, bias = nn.Parameter(torch.tensor([[4.0]])), nn.Parameter(torch.tensor([4.0]))
    optimizer, _ = AdamW(lr=0.5, weight_decay=0.1, eps=1e-12).build([("w", weight), ("b", bias)], 2)
    weight.grad, bias.grad = torch.tensor([[3.0]]), torch.tensor([-3.0])
    optimizer.step()
    assert (weight.item(), bias.item()) == pytest.approx((4 - 0.2 - 0.5, 4.5))


def test_optimizer_state_is_loadable_without_code(tmp_path: object) -> None:
    option = AdamW(warmup_steps=1)
    _, schedule = option.build(nn.Linear(1, 1).named_parameters(), 3)
    path = f"{tmp_path}/state.pt"
    torch.save(schedule.state_dict(), path)
    assert torch.load(path, weights_only=True)["last_epoch"] == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lr": 0.0}, "lr must be above 0, got 0.0"),
        ({"betas": (0.9, 1.0)}, "betas must be from 0 to below 1"),
        ({"weight_decay": -1.0}, "weight_decay must be 0 or above"),
        ({"warmup_ratio": 1.0}, "warmup_ratio must be from 0 to below 1"),
        ({"warmup_ratio": 0.1, "warmup_steps": 3}, "set one of the two to null"),
        ({"min_lr_ratio": 1.5}, "min_lr_ratio must be from 0 to 1"),
    ],
)
def test_impossible_values_are_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdamW(**fields)  # pyright: ignore


def test_a_warmup_as_long_as_the_run_is_refused() -> None:
    with pytest.raises(ValueError, match="below the run's 5 steps, got 5"):
        AdamW(warmup_steps=5).build(nn.Linear(1, 1).named_parameters(), 5)


def test_a_frozen_model_is_refused() -> None:
    with pytest.raises(ValueError, match="no parameter is trainable"):
        AdamW().build(nn.Linear(1, 1).requires_grad_(False).named_parameters(), 5)
