"""Heads as rewards: what has a meaning is accepted (what has none: head_cases.py)."""

from __future__ import annotations

import pytest

from xpo.compose import build, compose_config

FILE = ["data=jsonl", "data.path=unread.jsonl"]


ACCEPTED = [
    "objective=hinge",
    "objective=savage",
    "objective=exponential",
    "objective=squared",
    "objective=quadratic",
    "objective=truncated_quadratic",
    "objective=clipped_logistic",
    "objective=list_mle",
    "objective=lambda_logistic",
    "objective=softmax",
    "objective=point_squared",
    "objective=expected_list_mle",
    "objective=noise_contrastive_list",
    "objective=matched_rewards",
    "objective=win_rate_regression",
    "margin=constant",
    "margin=score",
    "margin=data",
    "margin=score_ratio",
    "label_noise=smoothing",
    "label_noise=flips",
    "weighting=log_mean_exp",
    "weighting=batch_beta",
    "feedback.soft=true",
    "feedback.ties=half",
    "feedback=binary arity=single objective=response_logistic",
    "feedback=binary arity=single objective=binary_logistic",
    "feedback=binary arity=single objective=response_logistic weighting=density_ratio",
    "feedback=binary arity=list objective=response_logistic",
    "feedback=scalar arity=single objective=point_squared",
    "arity=pair",
    "polarity=negative",
    "length=penalty",
    "reward_level=token length=mean",
    "reward_level=token length=shared_length",
    "reward_level=step",
    "reward.members=4",
    "reward.members=4 objective=hinge margin=data label_noise=smoothing",
    "adapter=lora",
    "schedule=iterative",
    "sft=none",
    "sft=merged",
    "sft=merged sft.over=prompt_and_response",
    "anchor=centred",
    "anchor=centred reward.members=2",
    "reward_form=pairwise objective=hinge",
    "reward_form=pairwise objective=squared margin=constant label_noise=flips",
    "reward_form=pairwise reward_level=token length=mean",
    "reward_form=pairwise reward.planes=1 feedback.soft=true",
    "reward_form=pairwise sft=merged",
    "reward_form=pairwise weighting=log_mean_exp",
]


@pytest.mark.parametrize("overrides", ACCEPTED)
def test_what_has_a_meaning_is_accepted(overrides: str) -> None:
    build(compose_config(["algo=reward_bt", *FILE, *overrides.split()]))


@pytest.mark.parametrize("algo", ["dpo", "simpo", "ipo", "aot", "exo"])
def test_any_reward_of_comparisons_can_be_centred(algo: str) -> None:
    build(compose_config([f"algo={algo}", "anchor=centred", *FILE, "label_noise=smoothing"]))
