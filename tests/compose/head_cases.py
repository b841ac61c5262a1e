"""Refusals of heads: what is asked for and what is said (for test_compat.py)."""

from __future__ import annotations

from pathlib import Path

SCORER = ["data=jsonl", "data.path=x", "model=hf", f"model.path={Path(__file__).parent / 'scorer'}"]
"""A folder whose config.json is that of a classifier."""

HEAD_CASES = [
    (["algo=reward_bt", "reward_form=win_rate"], "is made of either"),
    (["algo=reward_bt", "reference=frozen"], "no token is predicted"),
    (["algo=reward_bt", "divergence=js"], "no token is predicted"),
    (["algo=reward_bt", "sft=parallel"], "no token is predicted"),
    (["algo=reward_bt", "anchor=retain_kl"], "has none"),
    (["algo=reward_bt", "weighting=on_policy_likelihood"], "no token is predicted"),
    (["algo=reward_bt", "objective=odds_ratio"], "no token is predicted"),
    (["algo=reward_bt", "length=mean"], "could pool"),
    (["algo=reward_bt", "length=shared_length"], "could pool"),
    (["algo=reward_pm", "objective=list_mle", "data.mode=sampled"], "rewards of single ones"),
    (["algo=reward_pm", "polarity=negative"], "rewards of single ones"),
    (["algo=reward_pm", "margin=drop"], "rewards of single ones"),
    (["algo=reward_pm", "length=penalty"], "rewards of single ones"),
    (["algo=reward_pm", "anchor=centred"], "rewards of single ones"),
    (["algo=reward_pm", "weighting=batch_beta"], "rewards of single ones"),
    (["algo=reward_bt", "reward.planes=2"], "has a score of its own"),
    (["algo=reward_pm", "reward.members=2"], "reads two"),
    (["algo=reward_bt", "reward.reading=together"], "reward_form=pointwise scores one"),
    (
        ["algo=reward_pm", "reward.reading=together", "reward_level=token", "data.mode=sampled"],
        "reads all tokens of one",
    ),
    (["algo=reward_pm", "reward.reading=together", "reward.planes=2", "data.mode=sampled"], "any circle"),
    (["algo=reward_pm", "reward.reading=together", "arity=pair"], "every response of a prompt in one"),
    (["algo=reward_bt", "reward.members=3", "arity=pair"], "a random half of the rows each"),
    (
        ["algo=reward_bt", "reward.members=3", "weighting=log_mean_exp", "data.mode=sampled"],
        "statistic of the whole step",
    ),
    (
        ["algo=reward_bt", "feedback=scalar", "objective=value_regression", "critic=value"]
        + ["data.mode=sampled"],
        "head in its place",
    ),
    (["algo=reward_bt", "adapter=lora", "adapter.merge=false"], "exported as one model"),
    (["algo=dpo", *SCORER], "begins with a reward model, which predicts no token"),
    (["algo=reward_bt", "sft=merged", *SCORER], "sft=merged trains a likelihood"),
    (["algo=dpo", "pretraining=comparisons"], "has none"),
    (["algo=reward_pmp", "data=jsonl", "data.path=x"], "brings none"),
    (["algo=reward_bt", "data=jsonl", "data.path=x", "data.pretraining=y"], "is not read"),
    (["algo=reward_pm", "reward.sign=-1"], "gives no score of one"),
    (["algo=dpo", "feedback.labels=data"], "would change nothing"),
    (["algo=cringe", "feedback=preference", "arity=pair", "anchor=centred"], "eats none"),
    (["algo=dpo", "divergence=js", "anchor=centred"], "anchor=centred declares"),
]
