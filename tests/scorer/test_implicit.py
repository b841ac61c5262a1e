"""The implicit reward of a batch: against the training's own, and from folders."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from tests.explain.formula_rows import arrow_of
from xpo.errors import UserError
from xpo.model.scratch import Scratch
from xpo.model.tokens import train_bpe
from xpo.reference.prepared import Prepared, snapshot, standing
from xpo.scorer.implicit import ImplicitReward
from xpo.scoring.score import Scoring

ROWS = [([1, 20], [[30, 31, 32, 2], [30, 2]]), ([1, 21, 22], [[40, 2]])]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_bpe(["a b c"], 270)


@pytest.fixture(scope="module")
def models(tokenizer: Any) -> tuple[Any, Any]:
    found = []
    for seed in (0, 1):
        model = Scratch(hidden=16, heads=2, layers=1).load(seed=seed, tokenizer=tokenizer).model
        torch.manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
        found.append(model)
    return found[0], found[1]


@pytest.fixture(scope="module")
def reward(models: tuple[Any, Any]) -> ImplicitReward:
    policy, reference = models
    return ImplicitReward(policy, Prepared(standing(reference), Scoring(), ""), Scoring(), beta=0.3)


def test_tokens_and_responses_by_whole_rows(models, reward):
    batch = reward.batch(ROWS)
    token_BKT, response_BK = reward.score_BKT(batch), reward.score_BK(batch)
    for b, (prompt, responses) in enumerate(ROWS):
        for k, response in enumerate(responses):
            ids = torch.tensor([[*prompt, *response]])
            with torch.no_grad():
                logp = [model(input_ids=ids).logits[0].log_softmax(-1) for model in models]
            at = range(len(prompt) - 1, ids.shape[1] - 1)
            expected = [
                0.3 * (logp[0][i, token] - logp[1][i, token]).item()
                for i, token in zip(at, response, strict=True)
            ]
            assert token_BKT[b, k, : len(response)].tolist() == pytest.approx(expected, abs=1e-5)
            assert response_BK[b, k].item() == pytest.approx(sum(expected), abs=1e-5)
    assert token_BKT[~batch.mask_BKT].eq(0).all() and response_BK[1, 1] == 0
    assert not token_BKT.requires_grad


@pytest.mark.parametrize(
    "overrides",
    [
        "algo=q_star",
        "algo=simpo reward_level=token",
        "algo=f_dpo reward_level=token",
        "algo=f_dpo",
        "algo=dpo length=penalty",
        "algo=dpo length=shared_length reward_level=token",
    ],
)
def test_responses_have_the_rewards_of_the_training(overrides, reward):
    c, arrow = arrow_of(*overrides.split())
    same = dataclasses.replace(
        reward, beta=c.reward.beta, divergence=c.divergence, level=c.reward_level, length=c.length
    )
    batch = same.batch(ROWS)
    torch.testing.assert_close(same.score_BK(batch), arrow.rewards(batch, *same.logps(batch)))
    if overrides == "algo=f_dpo reward_level=token":
        torch.testing.assert_close(same.score_BKT(batch).sum(-1), same.score_BK(batch))


def test_a_batch_may_bring_the_references_log_probabilities(reward):
    batch = reward.batch(ROWS)
    logp_BKT, _ = reward.logps(batch)
    own = dataclasses.replace(batch, ref_logp_BKT=logp_BKT)
    assert reward.score_BKT(own).eq(0).all()
    alone = dataclasses.replace(reward, reference=None)
    torch.testing.assert_close(alone.score_BKT(batch), 0.3 * logp_BKT)


def test_from_two_folders(tmp_path, models, reward, tokenizer):
    for name, model in zip(("policy", "reference"), models, strict=True):
        model.save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    found = ImplicitReward.of_folders(tmp_path / "policy", tmp_path / "reference", beta=0.3)
    batch = reward.batch(ROWS)
    torch.testing.assert_close(found.score_BKT(batch), reward.score_BKT(batch))
    alone = ImplicitReward.of_folders(tmp_path / "policy", None, beta=0.3)
    torch.testing.assert_close(alone.score_BKT(batch), 0.3 * reward.logps(batch)[0])
    other = train_bpe(["d e f"], 270)
    other.save_pretrained(tmp_path / "reference")
    with pytest.raises(UserError, match="must share one vocabulary"):
        ImplicitReward.of_folders(tmp_path / "policy", tmp_path / "reference", beta=0.3)


def test_it_scores_in_eval_mode_and_leaves_the_policy_as_it_was(models):
    policy = snapshot(models[0]).train()
    reward = ImplicitReward(policy, None, Scoring(), beta=1.0)
    reward.score_BK(reward.batch(ROWS))
    assert policy.training


def test_what_is_no_run_is_said(tmp_path):
    with pytest.raises(UserError, match="no folder of a finished run"):
        ImplicitReward.of_run(tmp_path)
