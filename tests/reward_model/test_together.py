"""A preference model that reads both responses at once: its odds, its training, its folder."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.module.test_reward_model import ROWS, evaluated, module_of, softplus
from tests.stages.tiny import SIZES, run_here, weights, write_lists
from xpo.compose import build, compose_config
from xpo.contracts import Row, StepTotals
from xpo.data.collate import Collator
from xpo.data.record import Record
from xpo.data.truncate import Limits, fit, for_two
from xpo.errors import UserError
from xpo.reward_model.heads import JointHead
from xpo.reward_model.read import pair_features
from xpo.reward_model.saved import load_reward

EOS = 2
TOGETHER = ("reward_form=pairwise", "reward.reading=together")


def test_half_the_difference_of_both_orders_by_hand() -> None:
    """s_12 = 3, s_21 = 1: log-odds 1. What is added to every first place cancels."""
    score_BKK1 = torch.tensor([[[0.0, 3.0], [1.0, 0.0]]])[..., None]
    present_BK = torch.ones(1, 2, dtype=torch.bool)
    (opinion,) = JointHead(4, seed=0)(score_BKK1, present_BK)
    assert opinion.log_odds_BKK.tolist() == [[[0.0, 1.0], [-1.0, 0.0]]]
    assert opinion.reward_BK.tolist() == [[1.0, -1.0]]
    (biased,) = JointHead(4, seed=0)(score_BKK1 + 7.0, present_BK)
    assert torch.equal(biased.log_odds_BKK, opinion.log_odds_BKK)


def test_one_order_alone_would_prefer_a_place() -> None:
    """What the head says of one order is not antisymmetric: the half difference is what cancels."""
    module = module_of(*TOGETHER)
    with torch.no_grad():
        score_BKK = pair_features(module.policy, module.head, module.scoring, batch_of(ROWS)).squeeze(-1)
    assert (score_BKK[:, 0, 1] + score_BKK[:, 1, 0]).abs().min() > 1e-3


def batch_of(rows: list[Row]) -> Any:
    collate = Collator(0, whole=True, separator=EOS)
    return collate(rows, range(len(rows)), StepTotals(float(len(rows)), 1.0, 1))


def test_the_loss_is_that_of_a_loop_over_pairs_in_both_orders() -> None:
    module = module_of(*TOGETHER)

    def score(row: Row, i: int, j: int) -> float:
        ids = torch.tensor([[*row.prompt, *row.responses[i], EOS, *row.responses[j]]])
        with torch.no_grad():
            return float(module.head.score(module.policy.model(input_ids=ids).last_hidden_state[0, -1]))

    expected = 0.0
    for row in ROWS:
        for i in range(len(row.responses)):
            for j in range(len(row.responses)):
                if i != j and row.prefer is not None:
                    odds = (score(row, i, j) - score(row, j, i)) / 2
                    expected += row.prefer[i][j] * softplus(-odds) / len(ROWS)
    loss, metrics = evaluated(module, batch_of(ROWS))
    assert loss == pytest.approx(expected, abs=1e-5)
    above, below = metrics["rewards/accuracies"]
    assert 0 <= float(above / below) <= 1


def test_the_order_in_which_two_are_read_changes_nothing_but_the_sign() -> None:
    module = module_of(*TOGETHER)
    turned = [Row(row.prompt, list(row.responses)[::-1], row.prefer) for row in ROWS[:2]]
    with torch.no_grad():
        one, other = (module.scores(batch_of(rows)).opinion for rows in (ROWS[:2], turned))
    assert one is not None and other is not None
    torch.testing.assert_close(one.log_odds_BKK[:, 0, 1], -other.log_odds_BKK[:, 0, 1], atol=1e-6, rtol=1e-5)
    assert torch.equal(one.log_odds_BKK, -one.log_odds_BKK.mT)
    assert one.log_odds_BKK.abs().max() > 1e-3


def test_a_likelihood_beside_it_is_of_single_responses() -> None:
    module, alone = module_of(*TOGETHER, "sft=merged"), module_of(*TOGETHER)
    rows = [Row(r.prompt, r.responses, r.prefer, demo=(1.0, *[0.0] * (len(r.responses) - 1))) for r in ROWS]
    loss, metrics = evaluated(module, batch_of(rows))
    apart, told = evaluated(module_of("reward_form=pairwise", "sft=merged"), batch_of(rows))
    assert float(metrics["nll_loss"][0]) == pytest.approx(float(told["nll_loss"][0]), abs=1e-5)
    assert loss == pytest.approx(
        evaluated(alone, batch_of(rows))[0] + float(metrics["nll_loss"][0]), abs=1e-5
    )


def test_a_row_for_two_fits_into_the_window() -> None:
    limits = for_two(Limits(max_length=40, min_prompt=4, min_response=4))
    for prompt, lengths in ((100, (50, 60)), (3, (50, 2)), (100, (2, 3)), (10, (13, 13))):
        cut, responses = fit([5] * prompt, [[6] * n for n in lengths], limits, None)
        assert len(cut) + len(responses[0]) + 1 + len(responses[1]) <= 40
    assert for_two(Limits(max_length=40, max_response_length=5, min_response=2)).max_response_length == 5
    assert for_two(Limits()) == Limits()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one micro-batch, and one of eight."""
    folder = tmp_path_factory.mktemp("together")
    data = write_lists(folder / "lists.jsonl")
    plain = [item for item in SIZES if not item.startswith("eval.samples")]
    run = ["algo=reward_pm", "reward.reading=together", "sft=none", "trainer.steps=3", "eval.samples=4"]
    for budget in (100_000, 1):
        out = folder / str(budget)
        more = [f"data.path={data}", f"cache={folder / 'c'}", f"trainer.tokens_per_micro_batch={budget}"]
        run_here(out, *run, *plain, *more)
    return folder


def test_one_micro_batch_equals_eight(place: Path) -> None:
    ends = [weights(place / budget) for budget in ("100000", "1")]
    counts = [json.loads((place / b / "manifest.json").read_text())["sizes"] for b in ("100000", "1")]
    assert [count["micro_batches_per_step"] for count in counts] == [1, 8]
    assert all(torch.allclose(ends[0][name], ends[1][name], atol=3e-5) for name in ends[0])


def test_its_folder_says_the_same(place: Path) -> None:
    saved = load_reward(str(place / "100000" / "model"), device="cpu")
    assert saved.of_pairs and saved.judge.parts.reward.together
    lines = [json.loads(line) for line in (place / "100000" / "scores.jsonl").read_text().splitlines()]
    records = [Record(line["prompt"], tuple(line["responses"])) for line in lines]
    for line, (opinion,) in zip(lines, saved.opinions(records), strict=True):
        assert opinion.log_odds_BKK is not None
        told = torch.tensor(line["log_odds"])
        torch.testing.assert_close(opinion.log_odds_BKK, told, atol=1e-5, rtol=1e-4)
        assert torch.equal(opinion.log_odds_BKK, -opinion.log_odds_BKK.mT)
    card = (place / "100000" / "model" / "README.md").read_text()
    assert "half the difference" in card and "annotator=preference_model" in card


def test_transformers_gives_the_score_of_an_order(place: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    folder = place / "100000" / "model"
    saved = load_reward(str(folder), device="cpu")
    plain = AutoModelForSequenceClassification.from_pretrained(folder)
    record = Record("Say red and green 7:", (" red", " blue small"))
    prompt, (one, other) = saved.reader.row(record)
    scores = []
    for first, second in ((one, other), (other, one)):
        with torch.no_grad():
            ids = torch.tensor([[*prompt, *first, saved.tokenizer.eos_token_id, *second]])
            scores.append(float(plain(ids).logits[0, 0]))
    ((opinion,),) = saved.opinions([record])
    assert float(opinion.log_odds_BKK[0, 1]) == pytest.approx((scores[0] - scores[1]) / 2, abs=1e-5)


def test_what_is_too_long_is_cut_for_texts_and_refused_for_tokens(place: Path) -> None:
    saved = load_reward(str(place / "100000" / "model"), device="cpu")
    ((opinion,),) = saved.opinions([Record("Say red:" * 50, (" red" * 90, " blue" * 80))])
    assert math.isfinite(float(opinion.log_odds_BKK[0, 1]))
    with pytest.raises(UserError, match="prompt and two responses are 71 tokens long"):
        list(saved.of_tokens([([5] * 20, [[6] * 20, [7] * 30])]))


def test_its_formula_is_half_the_difference() -> None:
    from xpo.arrow import OffPolicy
    from xpo.explain.formula import formula

    c = build(compose_config(["algo=reward_pm", "data=jsonl", "data.path=x", "reward.reading=together"]))
    assert r"\tfrac{1}{2}" in formula(OffPolicy.of(c, False)).latex
