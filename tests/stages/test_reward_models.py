"""Whole runs: a reward model is trained, transformers loads its folder, another run asks it."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.stages.test_resume import logged, overrides
from tests.stages.tiny import SIZES, STAGE, run_here, stop_at_checkpoint, weights, write_lists
from xpo.data.record import Record
from xpo.reward_model.heads import Opinion
from xpo.reward_model.saved import SavedReward, load_reward

RUN = (*SIZES, *STAGE, "trainer.steps=2")
LORA = ("adapter=lora", "adapter.r=2", "adapter.merge=true", "adapter.target_modules=[q_proj,v_proj]")
KINDS = {
    "bt": ("algo=reward_bt",),
    "members": ("algo=reward_bt", "reward.members=3"),
    "qwen3, untied": ("algo=reward_bt", "model.model_type=qwen3", "model.tie_embeddings=false"),
    "gpt2, eager": ("algo=reward_bt", "model.model_type=gpt2", "model.attention=eager"),
    "lora": ("algo=reward_bt", *LORA),
    "pm": ("algo=reward_pm",),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lists, and demonstrations in a file of their own."""
    folder = tmp_path_factory.mktemp("rewards")
    write_lists(folder / "lists.jsonl")
    shown = [{"prompt": record.prompt, "completion": record.responses[0]} for record in lists(folder)[:9]]
    write(folder / "shown.jsonl", shown)
    return folder


@pytest.fixture(scope="module")
def trained(place: Path) -> dict[str, Path]:
    """A finished run of each kind."""
    for kind, settings in KINDS.items():
        train(place, place / kind, *settings, f"data.demonstrations={place / 'shown.jsonl'}")
    return {kind: place / kind for kind in KINDS}


def train(place: Path, out: Path, *settings: str, data: str = "lists.jsonl") -> None:
    run_here(out, *RUN, f"data.path={place / data}", f"cache={place / 'cache'}", *settings)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def lists(place: Path) -> list[Record]:
    """The data as xpo reads them: prompt and completion are put together as they are."""
    rows = [json.loads(line) for line in (place / "lists.jsonl").read_text().splitlines()]
    return [Record(row["prompt"], tuple(row["completions"])) for row in rows]


def scores(saved: SavedReward, records: list[Record]) -> torch.Tensor:
    """N x members."""
    said = [torch.stack([o.reward_BK for o in opinions], 1) for opinions in saved.opinions(records)]
    return torch.cat(said)


def merit(opinion: Opinion) -> list[float]:
    """Rewards, or shares of wins that are expected against the other two."""
    if opinion.log_odds_BKK is None:
        return opinion.reward_BK.tolist()
    return [sum(row[:i] + row[i + 1 :]) for i, row in enumerate(opinion.log_odds_BKK.sigmoid().tolist())]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "pm"])
def test_a_run_leaves_a_classifier_whose_scores_are_rewards_plus_offset(kind: str, place: Path, trained: Any):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = trained[kind] / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    records = lists(place)[:3]
    texts = [f"{r.prompt}{y}{tokenizer.eos_token}" for r in records for y in r.responses]
    batch = tokenizer(texts, return_tensors="pt", padding=True)
    assert len(set(batch.attention_mask.sum(1).tolist())) > 2
    with torch.no_grad():
        logits = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
    offset = torch.tensor(json.loads((folder / "config.json").read_text())["xpo"]["offset"])
    assert offset.abs().min() > 1e-3
    torch.testing.assert_close(logits - offset, scores(load_reward(str(folder)), records), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["bt", "members"])
def test_demonstrations_are_worth_nothing_on_average(kind: str, place: Path, trained: Any):
    saved = load_reward(str(trained[kind] / "model"))
    shown = [Record(record.prompt, record.responses[:1]) for record in lists(place)[:9]]
    assert scores(saved, shown).mean(0).tolist() == pytest.approx([0.0] * saved.members, abs=1e-5)
    assert scores(saved, shown).std() > 1e-3


def test_what_a_run_wrote_of_held_out_rows_its_folder_says_again(trained: Any):
    for kind in ("members", "pm"):
        line = json.loads((trained[kind] / "scores.jsonl").read_text().splitlines()[0])
        record = Record(line["prompt"], tuple(line["responses"]))
        (said,) = load_reward(str(trained[kind] / "model")).opinions([record])
        mean = torch.stack([opinion.reward_BK for opinion in said]).mean(0)
        assert line["rewards"] == pytest.approx(mean.tolist(), abs=1e-5)


@pytest.mark.parametrize(("kind", "annotator"), [("bt", "reward_model"), ("pm", "preference_model")])
def test_a_run_learns_from_its_labels(kind: str, annotator: str, place: Path, trained: Any):
    """As from a file with the same scores in it."""
    saved = load_reward(str(trained[kind] / "model"))
    records = lists(place)
    said = [merit(opinions[0]) for opinions in saved.opinions(records)]
    rows = [
        {"prompt": record.prompt, "completions": record.responses, "scores": found}
        for record, found in zip(records, said, strict=True)
    ]
    write(place / f"{kind}.jsonl", rows)
    asked = (f"annotator={annotator}", f"annotator.path={trained[kind] / 'model'}")
    train(place, place / f"dpo {kind} asked", "algo=dpo", *asked)
    train(place, place / f"dpo {kind} read", "algo=dpo", data=f"{kind}.jsonl")
    train(place, place / "dpo", "algo=dpo")
    one, same, other = (weights(place / name) for name in (f"dpo {kind} asked", f"dpo {kind} read", "dpo"))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_a_policy_that_was_trained_is_an_annotator(place: Path):
    train(place, place / "q_star", "algo=q_star")
    train(place, place / "implicit", "algo=simpo", "annotator=implicit", f"annotator.run={place / 'q_star'}")
    (kept,) = (place / "cache" / "labels").glob("implicit-*.jsonl")
    assert len(kept.read_text().splitlines()) == 32


def test_in_the_gold_world_a_reward_model_labels(tmp_path: Path):
    gold = ("data=gold", "trainer.steps=2", "sft.steps=2", f"cache={tmp_path / 'cache'}")
    small = ("data.mode=sampled", "data.records=40")
    run_here(tmp_path / "reward", "algo=reward_bt", *gold, *small)
    asked = ("annotator=reward_model", f"annotator.path={tmp_path / 'reward' / 'model'}")
    run_here(tmp_path / "drawn", "algo=dpo", *gold, *small, *asked)
    assert (tmp_path / "drawn" / "model" / "model.safetensors").is_file()
    soft = ("feedback.soft=true", "trainer.steps=1")
    run_here(tmp_path / "soft", "algo=dpo", *gold, *asked, *soft)


def test_a_stopped_and_resumed_run_ends_with_the_same_head(tmp_path: Path):
    whole, halted = tmp_path / "whole", tmp_path / "halted"
    own = ("sft.steps=2", "reward.members=2")
    run_here(whole, *overrides(tmp_path, whole, "reward_bt"), *own)
    arguments = [*overrides(tmp_path, halted, "reward_bt"), *own]
    code, printed = stop_at_checkpoint(halted / "checkpoints", *arguments, f"hydra.run.dir={halted}")
    assert code == 128 + signal.SIGTERM, printed
    run_here(halted, *arguments)
    ends = [weights(folder) for folder in (whole, halted)]
    assert ends[0].keys() == ends[1].keys() and "score.weight" in ends[0]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    configs = [json.loads((folder / "model" / "config.json").read_text()) for folder in (whole, halted)]
    assert configs[0]["xpo"]["offset"] == configs[1]["xpo"]["offset"]
    assert logged(whole) == logged(halted)


def test_what_a_cost_model_says_is_a_cost(place: Path, trained: Any):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    sides = {"safe_chosen": True, "safe_rejected": False}
    rows = [
        {"prompt": record.prompt, "chosen": record.responses[0], "rejected": record.responses[1], **sides}
        for record in lists(place)
    ]
    write(place / "safe.jsonl", rows)
    train(place, place / "cost", "algo=reward_cost", data="safe.jsonl")
    asked = (f"annotator.helpfulness={trained['bt'] / 'model'}", f"annotator.cost={place / 'cost' / 'model'}")
    train(place, place / "kto", "algo=kto", "annotator=safety", *asked)
    (kept,) = (place / "cache" / "labels").glob("safety-*.jsonl")
    tokenizer = AutoTokenizer.from_pretrained(place / "cost" / "model")
    model: Any = AutoModelForSequenceClassification.from_pretrained(place / "cost" / "model").eval()
    costs = []
    for record in lists(place):
        texts = [f"{record.prompt}{response}{tokenizer.eos_token}" for response in record.responses]
        ids = [tokenizer(text, return_tensors="pt").input_ids for text in texts]
        costs.append([model(input_ids=row).logits.item() for row in ids])
    said = [json.loads(line)["value"] for line in kept.read_text().splitlines()]
    for found, expected in zip(sorted(one["why"]["cost"] for one in said), sorted(costs), strict=True):
        assert found == pytest.approx(expected, abs=1e-5)
    assert all(one["labels"] == [cost < 0 for cost in one["why"]["cost"]] for one in said)
