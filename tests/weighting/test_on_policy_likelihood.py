"""How much labels count by the policy's likelihood of their responses, under every loss that has labels."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.explain.formula_rows import arrow_of, batch_of, padded, random_rows, trained_and_written
from xpo.arrow import Scores
from xpo.contracts import Batch, Context
from xpo.testing import toy
from xpo.weighting.on_policy_likelihood import OnPolicyLikelihood


def weighted(t: Any, logp_BKT: Tensor, log_sum_p2_BKT: Tensor) -> Batch:
    seen = Context(logp_BKT=logp_BKT, token={"log_sum_p2": log_sum_p2_BKT})
    return OnPolicyLikelihood().masses(t.batch, seen)


@pytest.mark.parametrize("responses", [1, 2, 4])
def test_by_loop(responses: int) -> None:
    t = toy(rows=3, responses=responses)
    p2_BKT = -1.5 + 0.3 * t.ref_logp_BKT
    found = weighted(t, t.logp_BKT, p2_BKT)
    for b in range(3):
        there = [k for k in range(responses) if t.batch.mask_BKT[b, k].any()]
        a = {}
        for k in there:
            mask = t.batch.mask_BKT[b, k]
            logp, p2 = t.logp_BKT[b, k][mask].tolist(), p2_BKT[b, k][mask].tolist()
            a[k] = (sum(logp) - sum(p2)) / len(logp)
        for i in there:
            alone = min(1.0, math.exp(a[i]))
            assert found.good_BK[b, i].item() == pytest.approx(t.batch.good_BK[b, i].item() * alone)
            assert found.bad_BK[b, i].item() == pytest.approx(t.batch.bad_BK[b, i].item() * alone)
            for j in there:
                expected = t.batch.prefer_BKK[b, i, j].item() * min(1.0, math.exp(a[i] + a[j]))
                assert found.prefer_BKK[b, i, j].item() == pytest.approx(expected)
    assert found.demo_BK is t.batch.demo_BK and found.score_BK is t.batch.score_BK


def one_pair(chosen: list[float], rejected: list[float], p2: float) -> float:
    t = toy(rows=1, responses=2, tokens=2, ragged=False)
    t = t.replace(prefer_BKK=torch.tensor([[[0.0, 1.0], [0.0, 0.0]]]))
    found = weighted(t, torch.tensor([[chosen, rejected]]), torch.full((1, 2, 2), p2))
    assert found.prefer_BKK is not None
    return found.prefer_BKK[0, 0, 1].item()


def test_by_hand():
    """log p -1.5 and -2.5 against -1: a = -1 for each response, and the pair counts e^-2."""
    assert one_pair([-1.5, -2.5], [-2.0, -2.0], -1.0) == pytest.approx(math.exp(-2))


def test_what_the_policy_would_say_itself_counts_in_full_and_no_more():
    uniform = math.log(1 / 7)  # sum of squares 1 / 7: the ratio is 1 exactly
    assert one_pair([uniform, uniform], [uniform, uniform], uniform) == pytest.approx(1)
    assert one_pair([-0.1, -0.1], [-0.2, -0.2], -0.3) == 1  # likelier than its own samples are
    # one response's surplus makes up for what the other one lacks, before the bound
    assert one_pair([-0.1, -0.1], [-1.0, -1.0], -0.3) == pytest.approx(math.exp(0.2 - 0.7))


def test_weights_have_no_gradient_and_read_no_padding():
    t = toy()
    logp_BKT = t.logp_BKT.masked_fill(~t.batch.mask_BKT, torch.nan).requires_grad_()
    p2_BKT = (t.logp_BKT + 0.4).masked_fill(~t.batch.mask_BKT, torch.nan)
    found = weighted(t, logp_BKT, p2_BKT)
    plain = weighted(t, t.logp_BKT, t.logp_BKT + 0.4)
    for name in ("prefer_BKK", "good_BK", "bad_BK"):
        value = getattr(found, name)
        assert not value.requires_grad and value.isfinite().all()
        torch.testing.assert_close(value, getattr(plain, name))
        assert (value <= getattr(t.batch, name)).all()


@pytest.mark.parametrize(
    "overrides",
    [
        "algo=wpo",
        "algo=wpo arity=list",
        "algo=wpo objective=hinge",
        "algo=wpo objective=sequential_kl reward_level=token",
        "algo=wpo reward=explicit",
        "algo=wpo label_noise=smoothing",
        "algo=wpo label_noise=flips margin=constant",
        "algo=ipo weighting=on_policy_likelihood",
        "algo=orpo weighting=on_policy_likelihood",
        "algo=simpo weighting=on_policy_likelihood",
        "algo=kto weighting=on_policy_likelihood",
        "algo=kto weighting=on_policy_likelihood arity=list",
        "algo=kto weighting=on_policy_likelihood label_noise=flips",
        "algo=cringe weighting=on_policy_likelihood",
        "algo=pairwise_cringe weighting=on_policy_likelihood",
        "algo=wpo polarity=negative",
    ],
)
def test_text_and_loss_agree_under_every_loss_of_labels(overrides: str) -> None:
    plain = [item.replace("algo=wpo", "algo=dpo") for item in overrides.split() if "weighting" not in item]
    changes = []
    for seed in (0, 1, 2):
        trained, written, text = trained_and_written(overrides.split(), seed)
        assert written == pytest.approx(trained, rel=1e-9)
        assert "aligned" in text
        changes.append(abs(trained - trained_and_written(plain, seed)[0]))
    assert max(changes) > 1e-3


def test_at_the_reference_the_preset_is_the_weight_times_log_2():
    _, arrow = arrow_of("algo=wpo")
    rows = random_rows([2], 0)
    rows[0]["prefer"] = rows[0]["prefer"] * 0 + [[0.0, 1.0], [0.0, 0.0]]
    batch, _ = batch_of(rows)
    logp = padded(rows, "logp")
    scores = Scores(logp, logp, token={"log_sum_p2": logp + 0.35})  # a = -0.35, twice
    assert arrow(batch, scores).share.item() == pytest.approx(math.exp(-0.7) * math.log(2))


def test_the_loss_is_not_divided_by_the_weights():
    """A row that counts little pulls little: rows are averaged by their own weights."""
    _, arrow = arrow_of("algo=wpo")
    batch, _ = batch_of(random_rows([2, 2], 1))
    likely, unlikely = torch.zeros(2), torch.tensor([0.0, 9.0])
    logp = padded(random_rows([2, 2], 1), "logp")
    values = [
        arrow(batch, Scores(logp, logp - 0.1, token={"log_sum_p2": logp + by[:, None, None]})).share
        for by in (likely, unlikely)
    ]
    assert values[1] < values[0]


def _with_gradient(self: Any, batch: Batch, context: Context) -> Batch:
    assert context.logp_BKT is not None
    ratio_BK = (context.logp_BKT - context.token["log_sum_p2"]).sum(-1)
    return dataclasses.replace(batch, prefer_BKK=batch.prefer_BKK * ratio_BK[:, :, None].exp())


def test_a_weight_with_a_gradient_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OnPolicyLikelihood, "masses", _with_gradient)
    with pytest.raises(AssertionError):
        test_weights_have_no_gradient_and_read_no_padding()
