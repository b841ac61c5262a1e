"""The printed objective evaluates to the trained loss for losses of lists that no preset starts with."""

from __future__ import annotations

import pytest

from tests.explain.formula_rows import trained_and_written


@pytest.mark.parametrize(
    "overrides",
    [
        "algo=lipo objective=pair_logistic margin=constant",
        "algo=lipo objective=pair_hinge objective.delta=0.3",
        "algo=lipo objective=list_mle",
        "algo=lipo reward=explicit reward.scale=0.3",
        "algo=lipo label_noise=smoothing polarity=negative",
        "algo=lipo reward=explicit objective=softmax reward.scale=0.3",
        "algo=lipo reward=explicit objective=point_squared reward.scale=0.3",
        "algo=infonca reward.scale=1.0e-4 divergence=js",
        "algo=exo_reward reward.scale=2 length=penalty",
        "algo=stable_alignment objective.over=max objective.strength=0.3",
        "algo=rrhf objective.delta=0.5 label_noise=flips",
    ],
)
def test_text_is_the_loss(overrides: str) -> None:
    for seed in (0, 1):
        trained, written, _ = trained_and_written(overrides.split(), seed)
        assert written == pytest.approx(trained, abs=1e-6, rel=1e-6)
