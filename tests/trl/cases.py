"""Which settings of a TRL trainer are which overrides of xpo; where TRL differs, how and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.trl.peer import Loss


@dataclass(frozen=True)
class Case:
    """``expected`` makes TRL's loss from xpo's, from what ``xpo`` says for other overrides too."""

    trainer: str
    settings: Mapping[str, Any]
    overrides: tuple[str, ...]
    why: str = ""
    expected: Callable[[Case, Callable[..., Loss]], Loss] = field(
        default=lambda case, xpo: xpo(*case.overrides)
    )
    alone: bool = False  # TRL sees one row at a time


def times(factor: float) -> Callable[[Case, Callable[..., Loss]], Loss]:
    return lambda case, xpo: factor * xpo(*case.overrides)


CASES = {
    "sigmoid": Case("dpo", {"beta": 0.3}, ("algo=dpo", "reward.beta=0.3")),
    "sigmoid, label_smoothing": Case(
        "dpo",
        {"label_smoothing": 0.2},
        ("algo=dpo",),
        why="TRL >= 1.0 reads label_smoothing in robust, EXO and AOT alone; here it ignores it",
    ),
    "hinge": Case(
        "dpo", {"loss_type": "hinge", "beta": 0.2}, ("algo=dpo", "objective=hinge", "reward.beta=0.2")
    ),
    "ipo": Case("dpo", {"loss_type": "ipo", "beta": 0.4}, ("algo=ipo", "objective.tau=0.4")),
    "sigmoid_norm": Case(
        "dpo", {"loss_type": "sigmoid_norm", "beta": 2.0}, ("algo=dpo", "length=mean", "reward.beta=2")
    ),
    "sft": Case("dpo", {"loss_type": "sft"}, ("algo=sft",)),
    "sigmoid + sft": Case(
        "dpo",
        {"loss_type": ["sigmoid", "sft"], "loss_weights": [0.5, 2.0]},
        ("algo=dpo", "sft=merged", "sft.weight=2", "sft.preference_weight=0.5", "sft.normalise=batch_tokens"),
    ),
    "forward_kl": Case("dpo", {"f_divergence_type": "forward_kl"}, ("algo=f_dpo", "divergence=forward_kl")),
    "js_divergence": Case("dpo", {"f_divergence_type": "js_divergence"}, ("algo=f_dpo", "divergence=js")),
    "alpha_divergence": Case(
        "dpo",
        {"f_divergence_type": "alpha_divergence", "f_alpha_divergence_coef": 0.7},
        ("algo=f_dpo", "divergence=alpha", "divergence.alpha=0.3"),
        why="TRL's coefficient is 1 - alpha of the f-DPO paper",
    ),
    "hinge under js": Case(
        "dpo",
        {"loss_type": "hinge", "f_divergence_type": "js_divergence"},
        ("algo=f_dpo", "objective=hinge"),
    ),
    "kto": Case("kto", {"beta": 0.2}, ("algo=kto", "reward.beta=0.2")),
    "kto, weights": Case(
        "kto",
        {"desirable_weight": 1.3, "undesirable_weight": 0.7},
        ("algo=kto", "objective.desirable_weight=1.3", "objective.undesirable_weight=0.7"),
    ),
    "orpo": Case("orpo", {"beta": 0.3}, ("algo=orpo", "sft.preference_weight=0.3")),
    "simpo": Case(
        "cpo",
        {"loss_type": "simpo", "beta": 2.0, "simpo_gamma": 0.6, "cpo_alpha": 0.0},
        ("algo=simpo", "margin.gamma=0.6", "margin.gamma_beta_ratio=null"),
    ),
    "cpo, loss_type=alphapo": Case(
        "cpo",
        {"loss_type": "alphapo", "beta": 2.5, "alpha": 0.25, "simpo_gamma": 0.1},
        ("algo=alphapo",),
    ),
    "cpo": Case(
        "cpo",
        {"beta": 0.1},
        ("algo=cpo", "sft.normalise=batch_tokens"),
        why="the paper's likelihood is a sum per row, TRL's a mean over the tokens of the batch",
    ),
    "cpo, label_smoothing": Case(
        "cpo",
        {"beta": 0.1, "cpo_alpha": 0.0, "label_smoothing": 0.2},
        ("algo=cpo", "sft=none", "label_noise=smoothing", "label_noise.rate=0.2"),
    ),
    "cpo, loss_type=hinge": Case(
        "cpo",
        {"loss_type": "hinge", "beta": 0.05, "cpo_alpha": 0.1},
        ("algo=slic_hf", "reward.beta=0.05", "sft.normalise=batch_tokens"),
        why="as with cpo",
    ),
    "cpo, loss_type=ipo": Case(
        "cpo",
        {"loss_type": "ipo", "beta": 0.4, "cpo_alpha": 0.0},
        ("algo=ipo", "reference=none", "objective.tau=0.4"),
    ),
    "cpo, loss_type=simpo": Case(
        "cpo",
        {"loss_type": "simpo", "beta": 10.0, "simpo_gamma": 5.4, "cpo_alpha": 0.05},
        ("algo=cpo_simpo",),
    ),
    "robust": Case("dpo", {"loss_type": "robust", "label_smoothing": 0.1}, ("algo=robust_dpo",)),
    "ld_alpha": Case("dpo", {"ld_alpha": 0.3}, ("algo=ld_dpo", "length.alpha=0.3")),
    "aot, label_smoothing, pair by pair": Case(
        "dpo",
        {"loss_type": "aot", "label_smoothing": 0.2},
        ("algo=cdpo",),
        why="the only loss of DPOTrainer that smooths labels; with one pair there is nothing to sort",
        alone=True,
    ),
}
