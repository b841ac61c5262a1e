"""Training of heads: members and their halves, the loss by a loop, metrics by log-odds."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import nn

from xpo.arrow import OffPolicy, Steps
from xpo.compose import build, compose_config
from xpo.contracts import Batch, Row, StepTotals
from xpo.data.collate import Collator
from xpo.module.reward_model import RewardModule
from xpo.reference.none import NoReference
from xpo.scoring.parts import output_idle
from xpo.scoring.score import Scoring

PAIR = ((0.0, 1.0), (0.0, 0.0))
ROWS = [
    Row([1, 5, 6], [[7, 8, 2], [9, 2]], PAIR, margins=((0.0, 0.7), (-0.7, 0.0))),
    Row([1, 4], [[7, 8, 9, 2], [7, 2]], PAIR, margins=((0.0, 0.2), (-0.2, 0.0))),
    Row([1, 3, 3], [[6, 2], [8, 8, 2], [6, 6, 6, 2]], ((0.0, 1 / 3, 1 / 3), (0.0, 0.0, 1 / 3), (0.0,) * 3)),
]


def composed(*overrides: str) -> Any:
    return build(compose_config(["algo=reward_bt", "data=jsonl", "data.path=unread.jsonl", *overrides]))


def module_of(*overrides: str) -> RewardModule:
    from transformers import LlamaConfig, LlamaForCausalLM

    c = composed(*overrides)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=20,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    policy = LlamaForCausalLM(config)
    head = c.reward.build(c.reward_form, policy, c.seed)
    reference = NoReference().prepare(policy, Scoring(), None)
    arrow = OffPolicy.of(c, c.reference.given)
    return RewardModule(
        policy, arrow, Scoring(), reference, c.optimizer, 1, None, head=head, lr_scale=c.reward.lr_scale
    )


def batch_of(rows: list[Row], start: int = 0) -> Batch:
    totals = StepTotals(float(len(rows)), 1.0, 1)
    return Collator(0, whole=True)(rows, range(start, start + len(rows)), totals)


def alone(module: RewardModule, row: Row, response: list[int]) -> torch.Tensor:
    """The head's outputs at the last token, from an unpadded row through the decoder."""
    ids = torch.tensor([[*row.prompt, *response]])
    with torch.no_grad():
        return module.head.score(module.policy.model(input_ids=ids).last_hidden_state[0, -1])


def evaluated(module: RewardModule, batch: Batch) -> tuple[float, dict[str, Any]]:
    """The loss, and metrics as numerators and denominators."""
    with torch.no_grad():
        loss, metrics = module.evaluate(batch, Steps())
    return float(loss), metrics


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


@pytest.mark.parametrize("form", ["pointwise", "pairwise"])
def test_the_loss_is_that_of_a_loop_over_pairs(form: str) -> None:
    module = module_of(f"reward_form={form}")
    expected = 0.0
    for row in ROWS:
        outputs = [alone(module, row, list(response)) for response in row.responses]
        for i, a in enumerate(outputs):
            for j, b in enumerate(outputs):
                gap = a[0] - b[0]
                for plane in range(1, 5) if form == "pairwise" else ():
                    gap = gap + a[plane] * b[plane + 4] - a[plane + 4] * b[plane]
                assert row.prefer is not None
                expected += row.prefer[i][j] * softplus(-float(gap)) / len(ROWS)
    loss, _ = evaluated(module, batch_of(ROWS))
    assert loss == pytest.approx(expected, abs=1e-5)


def test_a_sign_or_a_token_that_is_wrong_is_noticed() -> None:
    """Liked responses rejected, or the last token unread, is another loss by far."""
    module = module_of()
    right, _ = evaluated(module, batch_of(ROWS))
    flipped = [dataclasses.replace(row, prefer=tuple(zip(*row.prefer, strict=True))) for row in ROWS]  # pyright: ignore
    wrong, _ = evaluated(module, batch_of(flipped))
    cut = [dataclasses.replace(row, responses=[r[:-1] for r in row.responses]) for row in ROWS]
    early, _ = evaluated(module, batch_of(cut))
    assert abs(wrong - right) > 1e-3 and abs(early - right) > 1e-3


def test_scores_of_all_tokens_are_pooled_by_the_length_rule() -> None:
    module = module_of("reward_level=token", "length=mean")
    expected = 0.0
    for row in ROWS[:2]:
        rewards = []
        for response in row.responses:
            ids = torch.tensor([[*row.prompt, *response]])
            with torch.no_grad():
                states = module.policy.model(input_ids=ids).last_hidden_state[0, len(row.prompt) :]
            rewards.append(float(module.head.score(states).detach().mean()))
        expected += softplus(rewards[1] - rewards[0]) / 2
    loss, _ = evaluated(module, batch_of(ROWS[:2]))
    assert loss == pytest.approx(expected, abs=1e-5)


def test_a_margin_of_the_data_is_asked_of_scores_and_of_log_odds() -> None:
    for form in ("pointwise", "pairwise"):
        module = module_of(f"reward_form={form}", "margin=data")
        expected = 0.0
        for row, margin in zip(ROWS[:2], (0.7, 0.2), strict=True):
            with torch.no_grad():
                scores = module.scores(batch_of([row])).opinion
            assert scores is not None
            odds = scores.log_odds_BKK
            gap = scores.reward_BK[0, 0] - scores.reward_BK[0, 1] if odds is None else odds[0, 0, 1]
            expected += softplus(margin - float(gap)) / 2
        loss, _ = evaluated(module, batch_of(ROWS[:2]))
        assert loss == pytest.approx(expected, abs=1e-5)


def test_accuracy_is_by_log_odds_where_pairs_are_read() -> None:
    """Three in a circle, each ahead of the next: the means against the others are equal, the odds are not."""
    module = module_of("reward_form=pairwise", "reward.planes=1")
    # r = 0, v at three angles: every log-odds of the circle is sin(120 degrees)
    angles = [2 * math.pi * k / 3 for k in range(3)]
    set_scores(module, [[0.0] * 3, [math.cos(a) for a in angles], [math.sin(a) for a in angles]])
    row = dataclasses.replace(ROWS[2], prefer=((0.0, 1 / 3, 0.0), (0.0, 0.0, 1 / 3), (1 / 3, 0.0, 0.0)))
    loss, metrics = evaluated(module, batch_of([row]))
    above, below = metrics["rewards/accuracies"]
    assert float(above / below) == pytest.approx(1.0)
    assert loss == pytest.approx(softplus(-math.sqrt(3) / 2), abs=1e-6)
    above, below = metrics["rewards/margins"]
    assert float(above) == pytest.approx(0.0, abs=1e-6)


def set_scores(module: RewardModule, feature_FK: list[list[float]]) -> None:
    """A head that says these numbers of the first row's responses, whatever it reads."""

    class Told(nn.Module):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return torch.tensor(feature_FK).T[None] + 0 * hidden.sum()

    module.head.score = Told()
    module.head.features = module.head.score.__call__  # pyright: ignore


def test_what_predicts_tokens_stands_still_where_nothing_reads_it() -> None:
    module = module_of()
    embeds = module.policy.lm_head.weight
    with output_idle(module.policy):
        assert not embeds.requires_grad
        assert all(p.requires_grad for p in module.policy.model.parameters())
    assert embeds.requires_grad
    with output_idle(module.policy, idle=False):
        assert embeds.requires_grad
    module.policy.lm_head.weight = module.policy.model.embed_tokens.weight
    with output_idle(module.policy):
        assert module.policy.lm_head.weight.requires_grad, "it embeds the tokens that are read"
    assert [name for name, _ in module.beside()[0]] == ["head.score.weight"]


@pytest.mark.parametrize("path", ["shared", "plain"])
def test_a_merged_likelihood_is_of_the_same_pass(path: Any) -> None:
    """Beside the head's loss: 0.3 times the negative log-likelihood of the good responses, by token."""
    module, alike = module_of("sft=merged", "sft.weight=0.3"), module_of()
    module.scoring = Scoring(path=path)
    nll, tokens = 0.0, 0
    for row in (rows := [dataclasses.replace(r, demo=(1.0, *(0.0,) * (len(r.responses) - 1))) for r in ROWS]):
        ids = torch.tensor([[*row.prompt, *row.responses[0]]])
        with torch.no_grad():
            logp_SV = module.policy(input_ids=ids).logits[0].log_softmax(-1)
        for t, token in enumerate(row.responses[0]):
            nll -= float(logp_SV[len(row.prompt) - 1 + t, token])
            tokens += 1
    batch = batch_of(rows)
    batch = dataclasses.replace(batch, totals=dataclasses.replace(batch.totals, tokens=float(tokens)))
    loss, metrics = evaluated(module, batch)
    of_pairs, _ = evaluated(alike, batch_of(ROWS))
    assert loss == pytest.approx(of_pairs + 0.3 * nll / tokens, abs=1e-5)
    assert float(metrics["nll_loss"][0]) == pytest.approx(nll / tokens, abs=1e-5)
