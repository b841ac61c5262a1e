"""The printed objective evaluates to the trained loss, for every preset and many overrides."""

import re

import numpy as np
import pytest

from tests.explain.formula_rows import arrow_of, trained_and_written
from tests.explain.interpreter import evaluate
from xpo.explain.formula import formula
from xpo.explain.presets import read_all

OF_ROWS = [p.algo for p in read_all() if p.choices["objective"] != "policy_gradient"]


@pytest.mark.parametrize("algo", OF_ROWS)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_text_evaluates_to_the_trained_loss(algo, seed):
    trained, written, _ = trained_and_written([f"algo={algo}"], seed)
    assert written == pytest.approx(trained, abs=1e-6, rel=1e-6)


OVERRIDES = [
    *(f"divergence={name}" for name in ("forward_kl", "js", "alpha", "hellinger", "jeffreys", "chi2_kl")),
    "reference=none",
    "length=mean",
    "length=penalty",
    "length=shared_length",
    "margin=constant",
    "polarity=negative",
    "reward=explicit",
    "reward.beta=0.7",
    "objective=hinge",
    "objective=squared reward_form=pairwise reward.beta=1",
    "label_noise=smoothing",
    "label_noise=flips label_noise.rate=0.2",
    "label_noise=smoothing reward=explicit",
    "anchor=retain_kl anchor.weight=0.3",
    "anchor=centred anchor.weight=0.3 label_noise=smoothing",
    "anchor=centred weighting=on_policy_likelihood",
    "anchor=retain_kl sft=merged sft.preference_weight=0.5",
    "objective=hinge objective.delta=0.3",
    "arity=list",
    "sft=merged",
    "sft=merged sft.normalise=sequence",
    "sft=merged sft.normalise=none sft.list_power=2 arity=list",
    "sft=merged sft.over=prompt_and_response sft.normalise=sequence sft.preference_weight=0.3",
    "reward_level=token divergence=js",
    "reward=explicit reward_form=pairwise",
    "objective=expected_list_mle reward=explicit arity=list feedback=scalar reward.scale=0.7",
    "reward=explicit reward.scale=2.5",
    "weighting=log_mean_exp weighting.temperature=0.3",
    "weighting=batch_beta weighting.momentum=0 weighting.left_out=0.5",
    "weighting=batch_beta weighting.alpha=2 label_noise=smoothing arity=list",
    "weighting=batch_beta objective=hinge reward=explicit",
    "objective=matched_margins length=mean margin=constant margin.gamma=0.3",
    "objective=matched_margins label_noise=smoothing polarity=negative arity=list",
]


@pytest.mark.parametrize("overrides", OVERRIDES)
def test_an_override_changes_text_and_loss_together(overrides):
    changed, written, text = trained_and_written(["algo=dpo", *overrides.split()])
    plain, _, plain_text = trained_and_written(["algo=dpo"])
    assert written == pytest.approx(changed, abs=1e-6, rel=1e-6)
    if overrides != "arity=list":  # other rows, the same formula
        assert changed != pytest.approx(plain, abs=1e-6)
        assert text != plain_text


def test_latex_braces_balance_in_every_preset():
    for algo in OF_ROWS:
        latex = formula(arrow_of(f"algo={algo}")[1]).latex
        assert latex.count("{") == latex.count("}")
        assert len(re.findall(r"\\left(?![a-z])", latex)) == len(re.findall(r"\\right(?![a-z])", latex))
        assert latex.startswith(r"\mathcal{L} = ")


def test_a_hand_computed_pair():
    """One pair, one token each, log-ratios 0.5 and -0.2, beta 0.1: -log sigmoid(0.07)."""
    _, arrow = arrow_of("algo=dpo")
    row = {
        "K": 2,
        "mask": np.ones((2, 1), bool),
        "logp": np.array([[-1.0], [-1.2]]),
        "ref_logp": np.array([[-1.5], [-1.0]]),
        "prefer": np.array([[0.0, 1.0], [0.0, 0.0]]),
        "weight": 1.0,
    }
    assert evaluate(formula(arrow).text, [row], {"rows": 1.0}) == pytest.approx(0.6587595556, abs=1e-9)
