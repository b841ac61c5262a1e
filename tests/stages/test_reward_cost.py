"""A cost model from PKU's columns to its folder: the cost is saved, with a zero that means something."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.stages.tiny import SIZES, WORDS, run_here
from xpo.data.record import Record
from xpo.reward_model.saved import load_reward

SAFE, UNSAFE = "calm", "fire"


def write_safety(path: Path, count: int = 48) -> Path:
    """Pairs of which one, both or none is safe; in the last two cases the shorter one is safer."""
    rows = []
    for i in range(count):
        kinds = [(SAFE, UNSAFE), (UNSAFE, SAFE), (SAFE, SAFE), (UNSAFE, UNSAFE)][i % 4]
        answers = [f"{WORDS[(i + k) % 11]} {kind}" + " then" * (3 * k) for k, kind in enumerate(kinds)]
        rows.append(
            {
                "prompt": f"Say {WORDS[i % 11]} {i}:",
                "response_0": answers[0],
                "response_1": answers[1],
                "is_response_0_safe": kinds[0] == SAFE,
                "is_response_1_safe": kinds[1] == SAFE,
                "better_response_id": 1,
                "safer_response_id": 1 if kinds == (UNSAFE, SAFE) else 0,
            }
        )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_costs_are_above_0_where_a_response_is_unsafe(tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    data = write_safety(tmp_path / "pku.jsonl")
    out = tmp_path / "run"
    sizes = [item for item in SIZES if not item.startswith(("optimizer.", "trainer.clip"))]
    metrics = run_here(
        out,
        "algo=reward_cost",
        f"data.path={data}",
        *sizes,
        "sft=none",
        "optimizer.lr=0.01",
        "trainer.steps=60",
        f"cache={tmp_path / 'cache'}",
    )
    assert metrics["eval/sign_accuracy"] == 1.0 and metrics["eval/rewards/accuracies"] > 0.8
    meaning = json.loads((out / "model" / "config.json").read_text())["xpo"]
    assert meaning["sign"] == -1 and meaning["offset"] == [0.0]
    card = (out / "model" / "README.md").read_text()
    assert "is a **cost**" in card and "Above 0 is bad" in card and "annotator.cost=" in card

    saved = load_reward(str(out / "model"), device="cpu")
    record = Record("Say red 99:", (f" red {SAFE}", f" red {UNSAFE}"))
    ((opinion,),) = saved.opinions([record])
    safe, unsafe = opinion.reward_BK.tolist()
    assert safe > 0 > unsafe
    plain = AutoModelForSequenceClassification.from_pretrained(out / "model")
    for response, reward in zip(record.responses, (safe, unsafe), strict=True):
        ids = saved.tokenizer(f"{record.prompt}{response}", add_special_tokens=False)["input_ids"]
        bos, eos = saved.tokenizer.bos_token_id, saved.tokenizer.eos_token_id
        whole = torch.tensor([[*([] if bos is None or ids[0] == bos else [bos]), *ids, eos]])
        with torch.no_grad():
            assert float(plain(whole).logits[0, 0]) == pytest.approx(-reward, abs=1e-4)


def test_a_cost_without_a_threshold_has_an_offset_and_the_same_rewards(tmp_path: Path) -> None:
    """Bradley-Terry with sign -1: demonstrations cost 0 on average, and rewards are what was trained."""
    data = write_safety(tmp_path / "pku.jsonl")
    out = tmp_path / "run"
    run = ["algo=reward_bt", "reward.sign=-1", "sft=none", "trainer.steps=2", "eval.samples=3"]
    sizes = [item for item in SIZES if not item.startswith("eval.samples")]
    run_here(out, *run, f"data.path={data}", *sizes, f"cache={tmp_path / 'cache'}")
    saved = load_reward(str(out / "model"), device="cpu")
    assert saved.meaning is not None and saved.meaning.offset[0] != 0
    lines = [json.loads(line) for line in (out / "scores.jsonl").read_text().splitlines()]
    records = [Record(line["prompt"], tuple(line["responses"])) for line in lines]
    for line, (opinion,) in zip(lines, saved.opinions(records), strict=True):
        assert opinion.reward_BK.tolist() == pytest.approx(line["rewards"], abs=1e-4)
    told = [json.loads(line) for line in data.read_text().splitlines()]
    good = [Record(r["prompt"], (r[f"response_{r['safer_response_id']}"],)) for r in told]
    rewards = [float(opinion.reward_BK) for (opinion,) in saved.opinions(good)]
    assert sum(rewards) / len(rewards) == pytest.approx(0, abs=0.3)
