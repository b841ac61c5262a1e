"""What runs with rewards of tokens leave, and that it can be read back as a scorer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.stages.tiny import SIZES, STAGE, run_here, write_lists
from xpo.errors import UserError
from xpo.scorer.implicit import ImplicitReward

FILES = ("token_rewards.jsonl", "token_rewards.html")


def run(tmp_path: Path, *overrides: str) -> Path:
    data = write_lists(tmp_path / "lists.jsonl")
    out = tmp_path / "run"
    run_here(out, *SIZES, *STAGE, f"data.path={data}", f"cache={tmp_path / 'cache'}", *overrides)
    return out


def lines_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / FILES[0]).read_text(encoding="utf-8").splitlines()]


KINDS = {
    "frozen": [],
    "frozen, not cached": ["reference.cache=false"],
    "a bent link": ["divergence=js"],
    "a mean": ["length=mean"],
    "lists": ["arity=list"],
    "lora": ["adapter=lora", "adapter.r=2", "adapter.merge=true", "adapter.target_modules=[q_proj,v_proj]"],
    "lora, base": [
        "adapter=lora",
        "adapter.r=2",
        "adapter.merge=true",
        "adapter.target_modules=[q_proj,v_proj]",
        "reference=base",
    ],
    "previous": ["reference=previous", "reference.every=3"],
    "ema": ["reference=ema"],
    "whole distributions": ["algo=tdpo2"],
    "none": ["algo=simpo", "reward_level=token"],
    "rounds": ["algo=sdpo", "reward_level=token"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_is_what_the_runs_own_models_say(kind, tmp_path):
    out = run(tmp_path, "algo=q_star", "trainer.steps=4", *KINDS[kind])
    assert all((out / name).is_file() for name in FILES)
    lines = lines_of(out)
    size, count = (3, 8) if kind == "lists" else (2, 24)  # 8 held-out lists of three, or their pairs
    assert len(lines) == size * count
    scorer = ImplicitReward.of_run(out)
    rows = [lines[i : i + size] for i in range(0, len(lines), size)]
    prompts = [scorer.tokenizer(row[0]["prompt"]).input_ids for row in rows]
    batch = scorer.batch(
        [(p, [line["tokens"] for line in row]) for p, row in zip(prompts, rows, strict=True)]
    )
    token_BKT, response_BK = scorer.score_BKT(batch), scorer.score_BK(batch)
    moved = 0.0
    for b, row in enumerate(rows):
        for k, line in enumerate(row):
            length = len(line["tokens"])
            torch.testing.assert_close(
                torch.tensor(line["rewards"]), token_BKT[b, k, :length], atol=2e-5, rtol=1e-3
            )
            assert line["reward"] == pytest.approx(response_BK[b, k].item(), abs=2e-5)
            assert line["text"] == "".join(line["pieces"]) and len(line["pieces"]) == length
            assert line["label"] in ("preferred", "dispreferred", "as good as the others")
            moved = max(moved, max(map(abs, line["rewards"])))
            if kind == "none":
                assert line["ref_logp"] == [None] * length
    assert moved > 1e-4
    assert (out / "reference").is_dir() == (kind != "none")
    page = (out / FILES[1]).read_text(encoding="utf-8")
    assert page.count("<article>") == size * count and page.count("<section>") == count


def test_single_labelled_responses(tmp_path):
    out = run(tmp_path, "algo=kto", "reward_level=token", "trainer.steps=2")
    assert {line["label"] for line in lines_of(out)} == {"good", "bad"}


def test_how_many_rows_are_written(tmp_path):
    out = run(tmp_path, "algo=q_star", "trainer.steps=1", "eval.token_rewards=3")
    assert [line["row"] for line in lines_of(out)] == [0, 0, 1, 1, 2, 2]


def test_a_world_of_enumerated_responses(tmp_path):
    """The scorer knows which tokens may stand where, as the run did."""
    out = tmp_path / "run"
    run_here(out, "algo=q_star", "trainer.steps=3", "sft.steps=3", f"cache={tmp_path / 'cache'}")
    lines = [line for line in lines_of(out) if line["row"] == 0]
    assert len(lines) == 258
    policy = torch.tensor([sum(line["logp"]) for line in lines]).exp().sum()
    assert policy.item() == pytest.approx(1.0, abs=1e-4)
    scorer = ImplicitReward.of_run(out)
    prompt = scorer.tokenizer(lines[0]["prompt"]).input_ids
    batch = scorer.batch([(prompt, [line["tokens"] for line in lines])])
    rewards = torch.tensor([line["reward"] for line in lines])
    torch.testing.assert_close(scorer.score_BK(batch)[0], rewards, atol=1e-4, rtol=1e-3)


def test_an_adapter_without_its_base_is_no_scorer(tmp_path):
    lora = [item.replace("merge=true", "merge=false") for item in KINDS["lora"]]
    out = run(tmp_path, "algo=q_star", "trainer.steps=1", *lora)
    with pytest.raises(UserError, match="run with adapter.merge=true"):
        ImplicitReward.of_run(out)


def test_without_rewards_of_tokens_nothing_is_left_and_the_scorer_says_so(tmp_path):
    out = run(tmp_path, "algo=dpo", "trainer.steps=1")
    assert not any((out / name).exists() for name in (*FILES, "reference"))
    with pytest.raises(UserError, match="runs with reward_level=token leave theirs") as caught:
        ImplicitReward.of_run(out)
    assert f"annotator.path={out}/model annotator.reference=<" in str(caught.value)
    assert "annotator.beta=0." in str(caught.value) and "of_folders" not in str(caught.value)
