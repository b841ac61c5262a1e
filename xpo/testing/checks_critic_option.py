"""What a critic option must keep to, on a very small model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xpo.contracts import Batch, Row
from xpo.data.collate import Collator
from xpo.data.loader import totals_of
from xpo.scoring.score import Scoring, response_edges
from xpo.testing.tools import gradient, require, same

_ROWS = [Row([1, 5, 6], [[7, 8, 2], [7, 2]]), Row([1], [[9, 4, 4, 2]])]


def _model() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes: dict[str, Any] = {
        "vocab_size": 12,
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=2, pad_token_id=0)).eval()


def _said(critic: Any, model: Any) -> tuple[Batch, dict[str, Tensor]]:
    batch, scoring = Collator(0)(_ROWS, range(2), totals_of(_ROWS, 1)), Scoring()
    states = scoring.distributions(model, batch, response_edges(batch.packed))
    return batch, critic(batch, states, scoring)


def gives_what_it_declares(option: Any) -> None:
    model = _model()
    critic = option.build(model, 0)
    require((critic is None) == (not option.gives), f"gives={sorted(option.gives)}, but it builds {critic}")
    if critic is None:
        return
    batch, found = _said(critic, model)
    require(found.keys() == option.gives, f"it says {sorted(found)}, and gives={sorted(option.gives)}")
    shapes = {"B": batch.weight_B.shape, "BKT": batch.mask_BKT.shape}
    for name, value in found.items():
        kind = name.rsplit("_", 1)[-1]
        require(kind in shapes, f"{name} ends neither in _B nor in _BKT")
        require(value.shape == shapes[kind], f"{name} has the shape {tuple(value.shape)}")
        require(bool(torch.isfinite(value).all()), f"{name} is not finite")


def every_weight_can_learn(option: Any) -> None:
    """A parameter without a gradient stops training on several ranks."""
    model = _model()
    critic = option.build(model, 0)
    if critic is None:
        return
    require(0 < critic.lr_scale < float("inf"), f"lr_scale is {critic.lr_scale}")
    _, found = _said(critic, model)
    torch.stack([value.sum() for value in found.values()]).sum().backward()
    idle = [name for name, p in critic.named_parameters() if p.requires_grad and p.grad is None]
    require(not idle, f"{idle} never learn")


def its_seed_decides(option: Any) -> None:
    before = torch.get_rng_state()
    pair = [option.build(_model(), 3) for _ in range(2)]
    require(torch.equal(before, torch.get_rng_state()), "building it moves the random state")
    if pair[0] is None:
        return
    states = [critic.state_dict() for critic in pair]
    same = all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    require(same, "two that are built from one seed differ")


def learns_returns_where_it_says_so(option: Any) -> None:
    """``fits_returns``: it has a loss of tokens, which is least where value and return agree."""
    if not option.fits_returns:
        require(not hasattr(option, "loss"), "it has a loss of returns that fits_returns=False keeps unread")
        return
    require(all(name.endswith("_BKT") for name in option.gives), "returns are of tokens: it gives others")
    require("value_BKT" in option.gives, "advantages read value_BKT")
    require(("cost_value_BKT" in option.gives) == option.costs, f"costs={option.costs}, gives={option.gives}")
    require(0 < option.weight < float("inf"), f"its loss counts {option.weight} times")
    old, target = torch.linspace(-2, 2, 9).double(), torch.linspace(3, -1, 9).double()
    for value in (old, target):
        same(option.loss(value, value, value), 0 * value, "a value that is right has a loss")
    leaf = (old + 0.05).requires_grad_()
    loss = option.loss(leaf, old, target)
    require(loss.shape == old.shape and bool((loss >= 0).all()), "it has no loss for each token")
    slope = gradient(loss, leaf)
    wrong = slope * (leaf.detach() - target) < 0
    require(not bool(wrong.any()) and bool(slope.any()), "a step down its loss leads away from the returns")


CHECKS = (
    gives_what_it_declares,
    every_weight_can_learn,
    its_seed_decides,
    learns_returns_where_it_says_so,
)
