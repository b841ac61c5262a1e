"""What a trained head is trained by, as text: head, token_head, log-odds of pairs."""

import pytest

from tests.explain.formula_rows import trained_and_written

HEADS = [
    "",
    "length=penalty",
    "reward_level=token",
    "reward_level=token length=mean",
    "reward_level=token length=penalty",
    "objective=hinge margin=constant",
    "objective=squared",
    "margin=score",
    "margin=data label_noise=smoothing",
    "polarity=negative",
    "weighting=log_mean_exp",
    "objective=softmax feedback=scalar",
    "objective=list_mle",
    "objective=point_squared feedback=scalar",
    "sft=merged sft.weight=0.3",
    "anchor=centred",
    "anchor=centred weighting=log_mean_exp label_noise=flips anchor.weight=0.5",
    "feedback=binary arity=single objective=response_logistic",
    "feedback=binary arity=single objective=binary_logistic",
    "reward_form=pairwise",
    "reward_form=pairwise margin=data label_noise=flips objective=exponential",
    "reward_form=pairwise reward_level=token",
]


@pytest.mark.parametrize("overrides", HEADS)
def test_what_a_head_is_trained_by_is_written(overrides):
    trained, written, text = trained_and_written(["algo=reward_bt", *overrides.split()])
    assert written == pytest.approx(trained, abs=1e-6, rel=1e-6)
    assert "head" in text and ("logp" in text) == ("sft=merged" in overrides)
    if overrides:
        assert trained != pytest.approx(trained_and_written(["algo=reward_bt"])[0], abs=1e-6)
