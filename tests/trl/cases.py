"""Which settings of a TRL trainer are which overrides of xpo; where TRL differs, how and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.trl.peer import Loss, by_trl, by_xpo, mean, rows_of


@dataclass(frozen=True)
class Case:
    """TRL's side (``theirs``, by default the loss of all rows) must equal xpo's (``ours``)."""

    trainer: str
    settings: Mapping[str, Any]
    overrides: tuple[str, ...]
    why: str = ""  # what differs on purpose, where something does
    unlike: tuple[str, ...] = ()  # overrides that give another loss than TRL's settings do
    theirs: Callable[[Case], Loss] = lambda case: case.trl()
    ours: Callable[[Case], Loss] = lambda case: case.xpo()
    rows: tuple[int, ...] = (0, 1, 2, 3)

    def trl(self, rows: tuple[int, ...] = (), **settings: Any) -> Loss:
        return by_trl(self.trainer, {**self.settings, **settings}, rows or self.rows)[0]

    def xpo(self, *overrides: str, learn: bool = True) -> Loss:
        _, batch = by_trl(self.trainer, self.settings, self.rows)
        return by_xpo(overrides or self.overrides, *rows_of(batch), learn=learn)


def one_by_one(case: Case) -> Loss:
    return mean([case.trl((row,)) for row in case.rows])


def times(factor: float) -> Callable[[Case], Loss]:
    return lambda case: factor * case.xpo()


def clamped(case: Case) -> Loss:
    """TRL's weights, which are the ratio of its weighted and its plain loss, cut at 1 as in the paper."""
    weighted = [case.trl((row,)) for row in case.rows]
    plain = [case.trl((row,), use_weighting=False) for row in case.rows]
    weights = [loss.value / of.value for loss, of in zip(weighted, plain, strict=True)]
    assert min(weights) < 1 < max(weights)
    return mean([1 / max(1.0, w) * loss for w, loss in zip(weights, weighted, strict=True)])


ABSENT = {"dpo": {"discopop"}}
"""What xpo has no preset or option for: a curve that a language model found, not one of the survey's axes."""

CASES = {
    "sigmoid": Case("dpo", {"beta": 0.3}, ("algo=dpo", "reward.beta=0.3")),
    "sigmoid, label_smoothing": Case(
        "dpo",
        {"label_smoothing": 0.2},
        ("algo=dpo",),
        why="TRL >= 1.0 reads label_smoothing in robust, EXO and AOT alone; here it ignores it",
        unlike=("algo=cdpo",),
    ),
    "hinge": Case(
        "dpo", {"loss_type": "hinge", "beta": 0.2}, ("algo=dpo", "objective=hinge", "reward.beta=0.2")
    ),
    "ipo": Case(
        "dpo",
        {"loss_type": "ipo", "beta": 0.4},
        ("algo=ipo", "objective.tau=0.4"),
        why="both average over tokens, where the paper's equation sums",
        unlike=("algo=ipo", "objective.tau=0.4", "length=sum"),
    ),
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
        unlike=("algo=f_dpo", "divergence=alpha", "divergence.alpha=0.7"),
    ),
    "hinge under js": Case(
        "dpo",
        {"loss_type": "hinge", "f_divergence_type": "js_divergence"},
        ("algo=f_dpo", "objective=hinge"),
    ),
    "kto": Case(
        "kto",
        {"beta": 0.2},
        ("algo=kto", "reward.beta=0.2"),
        unlike=("algo=apo_zero_unpaired", "reward.beta=0.2"),
    ),
    "kto, estimate below 0": Case("kto", {"beta": 0.2}, ("algo=kto", "reward.beta=0.2"), rows=(0, 2)),
    "kto, estimate cut at 0": Case(
        "kto", {"beta": 0.2}, ("algo=apo_zero_unpaired", "reward.beta=0.2"), rows=(0, 2)
    ),
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
        unlike=("algo=cpo",),
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
        unlike=("algo=slic_hf", "reward.beta=0.05"),
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
        unlike=("algo=aot", "reward.beta=0.1", "label_noise=smoothing"),
        theirs=one_by_one,
    ),
    "use_weighting": Case("dpo", {"use_weighting": True}, ("algo=wpo", "reward.beta=0.1")),
    "use_weighting, likely text": Case(
        "dpo",
        {"use_weighting": True},
        ("algo=wpo", "reward.beta=0.1"),
        why="the paper's weight is at most 1, TRL >= 1.0 has dropped that",
        unlike=("algo=wpo", "reward.beta=0.1"),
        theirs=clamped,
        rows=(0, 4),
    ),
    "nca_pair": Case("dpo", {"loss_type": "nca_pair", "beta": 0.1}, ("algo=nca", "reward.beta=0.1")),
    "exo_pair": Case(
        "dpo",
        {"loss_type": "exo_pair", "beta": 0.5, "label_smoothing": 0.01},
        ("algo=exo", "label_noise.rate=0.01"),
    ),
    "bco_pair": Case(
        "dpo",
        {"loss_type": "bco_pair", "beta": 0.1},
        ("algo=bco", "arity=pair", "data.mode=sampled"),
        why="TRL sums over a pair, and >= 1.0 has no delta: ours is 0 as long as no step was learnt from",
        unlike=("algo=bco", "arity=pair", "data.mode=sampled"),
        ours=lambda case: 2 * case.xpo(learn=False),
    ),
    "sppo_hard": Case(
        "dpo",
        {"loss_type": "sppo_hard", "beta": 0.5},
        ("algo=sppo_pair", "reward.beta=0.5"),
        why="TRL sums over a pair without the paper's 1/2",
        unlike=("algo=sppo_pair", "reward.beta=0.5"),
        ours=times(2),
    ),
    "apo_zero": Case("dpo", {"loss_type": "apo_zero"}, ("algo=apo_zero",)),
    "apo_down": Case("dpo", {"loss_type": "apo_down"}, ("algo=apo_down",)),
    "apo_zero_unpaired": Case(
        "kto",
        {"loss_type": "apo_zero_unpaired", "desirable_weight": 1.3, "undesirable_weight": 0.7},
        ("algo=apo_zero_unpaired", "objective.desirable_weight=1.3", "objective.undesirable_weight=0.7"),
    ),
    "aot": Case(
        "dpo",
        {"loss_type": "aot", "beta": 1.0},
        ("algo=aot", "reward.beta=1"),
        unlike=("algo=dpo", "reward.beta=1"),
    ),
    "aot_unpaired": Case(
        "dpo",
        {"loss_type": "aot_unpaired", "beta": 1.0},
        ("algo=aot_unpaired", "arity=pair", "data.mode=sampled", "reward.beta=1"),
        unlike=("algo=dpo", "reward.beta=1"),
    ),
}
