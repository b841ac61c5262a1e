"""What is printed of a policy gradient evaluates to what is trained: its loss, and its advantages before."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.explain.interpreter import evaluate, follow
from tests.explain.rollouts import Rollout
from xpo.arrows import credit_of, formula_of
from xpo.explain.options import options
from xpo.explain.presets import read_all

GRADIENTS = [p.algo for p in read_all() if p.choices["objective"] == "policy_gradient"]
RATIOS = ["policy_loss.level=mean", "policy_loss.level=sum", "policy_loss.dual=1.1", "policy_loss.high=0.4"]
SAMPLES = ["sampling.responses=4", "arity=list"]


def written(rollout: Rollout) -> float:
    beside = () if rollout.beside is None else rollout.beside.rows
    return evaluate(formula_of(rollout.arrow).text, rollout.rows(), rollout.totals(), beside)


@pytest.mark.parametrize("responses", [1, 2, 3])
@pytest.mark.parametrize("algo", GRADIENTS)
def test_the_text_evaluates_to_the_trained_loss(algo: str, responses: int) -> None:
    rollout = Rollout([f"algo={algo}"], responses, seed=responses)
    assert written(rollout) == pytest.approx(rollout.loss(), abs=1e-6, rel=1e-6)


LOSSES = [
    *(f"algo=ppo {override}" for override in RATIOS),
    "algo=ppo objective.entropy=0.3",
    "algo=ppo objective.truncation=0.9",
    "algo=ppo critic.clip=null critic.weight=0.7",
    "algo=ppo reduce=rows",
    "algo=ppo reduce=responses",
    "algo=ppo reduce=fixed_length reduce.length=7",
    "algo=ppo_ptx sft.normalise=sequence sft.preference_weight=0.5",
    "algo=ppo_ptx sft.over=prompt_and_response sft.weight=0.3",
    "algo=safe_rlhf critic.weight=0.4",
    "algo=safe_rlhf penalty=loss constraint.form=exact constraint.init=2",
    "algo=safe_rlhf penalty=loss penalty.estimator=k2 constraint.init=2",
    *(f"algo=grpo penalty.estimator={name}" for name in ("k1", "k2", "link")),
    *(
        f"algo=grpo penalty.estimator=link divergence={option.name}"
        for option in options("divergence")
        if option.name not in ("none", "reverse_kl")
    ),
]


@pytest.mark.parametrize("overrides", LOSSES)
def test_an_override_changes_text_and_loss_together(overrides: str) -> None:
    algo, *changes = overrides.split()
    rollout, plain = Rollout([algo, *changes], 2), Rollout([algo], 2)
    assert written(rollout) == pytest.approx(rollout.loss(), abs=1e-6, rel=1e-6)
    assert formula_of(rollout.arrow).text != formula_of(plain.arrow).text
    assert rollout.loss() != pytest.approx(plain.loss(), abs=1e-6)


def advantages(rollout: Rollout) -> np.ndarray:
    rows = follow(credit_of(rollout.arrow), rollout.rows())
    return np.stack([row["advantage"] for row in rows])


@pytest.mark.parametrize("algo", GRADIENTS)
def test_the_advantages_are_what_the_text_says(algo: str) -> None:
    several = Rollout([f"algo={algo}"], 2).arrow.advantage.several
    for responses in (2, 3) if several else (1, 2, 3):
        rollout = Rollout([f"algo={algo}"], responses, seed=responses)
        told = advantages(rollout)
        found = rollout.prepared().advantage.numpy()
        np.testing.assert_allclose(told, found, rtol=1e-6, atol=1e-6)
        assert np.abs(found).max() > 0.01


CREDITS = [
    "algo=reinforce length=penalty length.alpha=0.3",
    "algo=reinforce length=overlong length.most=4 length.buffer=3",
    "algo=reinforce reward.scale=2.5 reward.clip=0.4",
    "algo=reinforce polarity=negative",
    "algo=reinforce advantage.gamma=0.9",
    "algo=reinforce advantage.whiten=true",
    "algo=reinforce advantage.whiten=true polarity=negative",
    "algo=reinforce penalty.target=4 reward.beta=0.5",
    "algo=reinforce advantage.baseline=leave_one_out",
    "algo=reinforce advantage.baseline=group advantage.whiten=true",
    "algo=ppo advantage.gamma=0.9",
    "algo=ppo advantage.lam=0.5 advantage.whiten=false",
    "algo=a2c advantage.steps=2",
    "algo=a2c advantage.steps=2 advantage.gamma=0.9",
    "algo=a2c advantage.steps=9 advantage.whiten=true",
    "algo=a2c advantage.gamma=0.9",
    "algo=grpo advantage.scale=population advantage.eps=0.1",
    "algo=grpo advantage.scale=none",
    "algo=grpo penalty=reward penalty.form=token divergence=js reward.beta=0.5",
    "algo=grpo penalty=reward",
    "algo=rloo penalty=loss",
    "algo=fine_grained_rlhf length=penalty length.alpha=0.3",
    "algo=prm_rl reward.scale=2.5 reward.clip=0.4",
    "algo=safe_rlhf constraint.init=2",
    "algo=safe_rlhf constraint.form=exact",
    "algo=safe_rlhf advantage.whiten=true",
    "algo=safe_rlhf advantage=group critic=none arity=list sampling.responses=4",
    "algo=safe_rlhf divergence=js reward.beta=0.5",
    *(
        f"algo=reinforce divergence={option.name} reward.beta=0.5 {also}"
        for option in options("divergence")
        if option.name != "none"
        for also in (
            "penalty.form=response",
            "penalty.form=token",
            "penalty=loss penalty.estimator=k3",
            "advantage.baseline=group penalty.form=token",
        )
    ),
]


@pytest.mark.parametrize("overrides", CREDITS)
def test_an_override_changes_advantages_as_it_says(overrides: str) -> None:
    algo, *changes = overrides.split()
    more = SAMPLES if "advantage.baseline" in overrides else []
    rollout, plain = Rollout([algo, *changes, *more], 3), Rollout([algo], 3)
    told = advantages(rollout)
    found = rollout.prepared().advantage.numpy()
    np.testing.assert_allclose(told, found, rtol=1e-6, atol=1e-6)
    assert credit_of(rollout.arrow) != credit_of(plain.arrow) or "constraint.init" in overrides
    assert np.abs(found - plain.prepared().advantage.numpy()).max() > 1e-6


def test_wrong_texts_are_noticed() -> None:
    """The interpreter tells a wrong sign, place, order, mask or mean from the right one."""
    right = {
        "algo=ppo": ("to_go(", "-to_go("),
        "algo=a2c": ("last_t(score)", "every_t(score)"),
        "algo=rloo": ("others_k", "mean_k"),
        "algo=reinforce": ("sum_t(log_ratio)", "log_ratio"),
        "algo=grpo": ("std_k", "population_std_k"),
        "algo=reinforce_pp": ("whiten", ""),
    }
    for algo, (said, wrong) in right.items():
        rollout = Rollout([algo], 3)
        broken = [(name, text.replace(said, wrong)) for name, text in credit_of(rollout.arrow)]
        assert tuple(broken) != credit_of(rollout.arrow), algo
        told = np.stack([row["advantage"] for row in follow(broken, rollout.rows())])
        assert np.abs(told - rollout.prepared().advantage.numpy()).max() > 1e-3, algo


def test_latex_braces_balance() -> None:
    changed = ["algo=ppo policy_loss.level=mean policy_loss.dual=1.5 objective.entropy=0.1", "algo=grpo"]
    for overrides in [*(f"algo={algo}" for algo in GRADIENTS), *changed]:
        latex = formula_of(Rollout(overrides.split(), 2).arrow).latex
        assert latex.startswith(r"\mathcal{L} = ")
        assert latex.count("{") == latex.count("}")
        assert len(re.findall(r"\\left(?![a-z])", latex)) == len(re.findall(r"\\right(?![a-z])", latex))
