"""The same rollout through TRL's own policy-gradient trainers and through xpo's components.

Three prompts, three responses each. What TRL's trainers would generate and score with a model is given to
them: responses, rewards and log-probs; what they make of these is their own code.
"""

from __future__ import annotations

import copy
import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from tests.trl.peer import PROMPTS, model, tokenizer
from xpo.contracts import StepTotals
from xpo.testing import toy

PROMPT_COUNT, SAMPLES, LONGEST = 3, 3, 6
LENGTH_BK = torch.tensor([[4, 6, 1], [3, 3, 5], [2, 6, 4]])
MASK_BKT = torch.arange(LONGEST) < LENGTH_BK[..., None]
REWARDS = [0.5, 2.0, -1.0, 1.0, 1.0, 1.0, 0.25, -3.0, 0.1]  # the second prompt's are all alike


def drawn(seed: int) -> Tensor:
    return torch.randn(MASK_BKT.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


OLD_BKT = -1 - drawn(0).abs()
LOGP_BKT = OLD_BKT + 0.3 * drawn(1)  # some updates later
REF_BKT = OLD_BKT + 0.4 * drawn(2)
ADVANTAGE_BK = drawn(3)[..., 0]


@cache
def trainer(kind: str) -> Any:
    """A trainer of TRL around a very small model, whose settings are then set as attributes."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

    made, config = {"grpo": (GRPOTrainer, GRPOConfig), "rloo": (RLOOTrainer, RLOOConfig)}[kind]
    with tempfile.TemporaryDirectory() as folder:
        built = made(
            model=copy.deepcopy(model()),
            reward_funcs=lambda completions, **_: REWARDS,
            args=config(
                output_dir=folder,
                use_cpu=True,
                bf16=False,
                report_to="none",
                per_device_train_batch_size=PROMPT_COUNT * SAMPLES,
                num_generations=SAMPLES,
                max_completion_length=LONGEST,
                beta=0.0,
            ),
            train_dataset=Dataset.from_dict({"prompt": list(PROMPTS)}),
            processing_class=tokenizer(),
        )
    built.current_gradient_accumulation_steps = 1
    built.model.train()
    return built


def with_settings(kind: str, settings: Mapping[str, Any]) -> Any:
    """The trainer (a shallow copy) with other attributes; ``args.x`` sets one of its arguments."""
    made = copy.copy(trainer(kind))
    made.args = copy.copy(made.args)
    made._metrics = {"train": copy.deepcopy(made._metrics["eval"]), "eval": {}}
    for name, value in settings.items():
        holder, name = (made.args, name[5:]) if name.startswith("args.") else (made, name)
        assert hasattr(holder, name), name
        setattr(holder, name, value)
    return made


def their_advantages(
    kind: str, settings: Mapping[str, Any], rewards: Sequence[float | None]
) -> tuple[Tensor, Tensor]:
    """advantage_BK of TRL's own scoring, and its completion mask."""
    made = with_settings(kind, settings)
    made.reward_funcs = [lambda completions, **_: list(rewards)]
    made._generate_single_turn = lambda *_, **__: _generated(kind)
    made._get_per_token_logps_and_entropies = lambda model, *_, **__: (
        (_flat(REF_BKT) if model is made.ref_model else _flat(OLD_BKT)),
        None,
        None,
    )
    inputs = [{"prompt": PROMPTS[b]} for b in range(PROMPT_COUNT) for _ in range(SAMPLES)]
    found = made._generate_and_score_completions(inputs)
    return found["advantages"].view(PROMPT_COUNT, SAMPLES), found["completion_mask"].view_as(MASK_BKT).bool()


def _generated(kind: str) -> Any:
    """Tokens of the right number, the last one an end."""
    ends = tokenizer().eos_token_id
    tokens = [[7] * (int(n) - 1) + [ends] for n in LENGTH_BK.flatten()]
    return (tokens, None) if kind == "grpo" else tokens


def their_loss(
    kind: str, settings: Mapping[str, Any], logp_BKT: Tensor = LOGP_BKT
) -> tuple[Tensor, Tensor, dict[str, float]]:
    """Value, gradient in logp_BKT, and metrics of ``_compute_loss``."""
    made, leaf = with_settings(kind, settings), logp_BKT.clone().requires_grad_()
    made._get_per_token_logps_and_entropies = lambda *_, **__: (
        _flat(leaf),
        torch.zeros_like(_flat(leaf)),
        None,
    )
    mask = _flat(MASK_BKT).long()
    loss = made._compute_loss(
        made.model,
        {
            "prompt_ids": torch.ones(len(mask), 2).long(),
            "prompt_mask": torch.ones(len(mask), 2).long(),
            "completion_ids": torch.ones_like(mask),
            "completion_mask": mask,
            "advantages": ADVANTAGE_BK.flatten(),
            "old_per_token_logps": _flat(OLD_BKT),
            "old_logps": (_flat(OLD_BKT) * mask).sum(1),
            "ref_per_token_logps": _flat(REF_BKT),
            "num_items_in_batch": mask.sum(),
        },
    )
    metrics = {name: float(values[-1]) for name, values in made._metrics["train"].items()}
    return loss.detach(), torch.autograd.grad(loss, leaf)[0], metrics


def _flat(values_BKT: Tensor) -> Tensor:
    return values_BKT.flatten(0, 1)


def our_loss(
    policy_loss: Any,
    reduce: Any,
    penalty: Any = None,
    divergence: Any = None,
    beta: float = 0.0,
    logp_BKT: Tensor = LOGP_BKT,
) -> tuple[Tensor, Tensor]:
    """Value and gradient in logp_BKT of the same through xpo's components."""
    leaf = logp_BKT.clone().requires_grad_()
    loss_BKT = policy_loss(leaf, OLD_BKT, ADVANTAGE_BK[..., None].expand_as(leaf), MASK_BKT)
    if penalty is not None:
        loss_BKT = loss_BKT + beta * penalty.loss(divergence, leaf - REF_BKT, MASK_BKT)
    loss_B = reduce.of_tokens(loss_BKT, MASK_BKT).mean(1)
    tokens = float(LENGTH_BK.sum()) / SAMPLES
    batch = dataclasses.replace(
        toy(rows=PROMPT_COUNT).batch,
        weight_B=torch.ones(PROMPT_COUNT, dtype=torch.float64),
        totals=StepTotals(rows=PROMPT_COUNT, tokens=tokens, micro_batches=1),
    )
    numerator, denominator = reduce(loss_B, batch)
    loss = numerator / denominator
    return loss.detach(), torch.autograd.grad(loss, leaf)[0]
