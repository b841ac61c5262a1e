"""What a folder's numbers are: ours beside those of plain transformers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.reward_model.folders import RECORDS, leave, meaning, policy, words
from xpo.reward_model.folder import require_classifier
from xpo.reward_model.saved import SavedReward, load_reward
from xpo.scoring.score import Scoring
from xpo.scoring.states import TokenStates

TEXT = [(record.prompt, response) for record in RECORDS for response in record.responses]


def logits(folder: str, padded: bool = True) -> Tensor:
    """Plain transformers on prompt + response + EOS: one right-padded batch, or row by row."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    texts = [f"{prompt}{response}{tokenizer.eos_token}" for prompt, response in TEXT]
    groups = [texts] if padded else [[text] for text in texts]
    with torch.no_grad():
        rows = [tokenizer(group, return_tensors="pt", padding=padded) for group in groups]
        found = [model(input_ids=row.input_ids, attention_mask=row.attention_mask).logits for row in rows]
    return torch.cat(found)


def rewards(saved: SavedReward) -> Tensor:
    """Of all responses, in their order, a column for each member."""
    opinions = list(saved.opinions(RECORDS))
    return torch.stack([torch.cat([said[m].reward_BK for said in opinions]) for m in range(saved.members)], 1)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "gpt2"])
def test_transformers_gives_reward_plus_offset(kind: str, tmp_path: Path):
    folder = leave(tmp_path / "model", policy(kind), meaning(offset=(0.5,)))
    saved = load_reward(folder)
    assert {len(ids) for _, responses in map(saved.reader.row, RECORDS) for ids in responses} > {2}
    torch.testing.assert_close(logits(folder) - 0.5, rewards(saved), atol=1e-5, rtol=0)
    plain = dataclasses.replace(saved, scoring=Scoring("plain"))
    torch.testing.assert_close(rewards(plain), rewards(saved), atol=1e-5, rtol=0)


def test_each_member_has_its_own_offset(tmp_path: Path):
    folder = leave(tmp_path / "model", told=meaning(offset=(0.5, -2.0, 0.0)))
    found = rewards(load_reward(folder))
    assert found.shape == (6, 3) and not torch.allclose(found[:, 0], found[:, 1])
    torch.testing.assert_close(logits(folder) - torch.tensor([0.5, -2.0, 0.0]), found, atol=1e-5, rtol=0)


def test_a_cost_is_minus_a_reward(tmp_path: Path):
    folder = leave(tmp_path / "model", told=meaning(offset=(0.0,), sign=-1))
    saved = load_reward(folder)
    assert saved.sign == -1
    torch.testing.assert_close(-logits(folder), rewards(saved), atol=1e-5, rtol=0)


def test_pairs_have_log_odds_of_one_pass(tmp_path: Path):
    folder = leave(tmp_path / "model", told=meaning("pairwise"))
    feature_NF = logits(folder)[:3].double()  # reward, then the two halves of v
    ((opinion,), *_) = load_reward(folder).opinions(RECORDS)
    assert opinion.log_odds_BKK is not None
    for i in range(3):
        for j in range(3):
            r, a, b = (feature_NF[:, part] for part in (0, slice(1, 3), slice(3, 5)))
            odds = r[i] - r[j] + a[i] @ b[j] - b[i] @ a[j]
            assert opinion.log_odds_BKK[i, j].item() == pytest.approx(odds.item(), abs=1e-5)


def test_where_pad_is_eos_rows_are_read_one_by_one(tmp_path: Path):
    """transformers would read the token before EOS: without a pad id it reads EOS, or refuses to guess."""
    spelling = words()
    folder = leave(tmp_path / "model", policy(spelling=spelling), spelling=spelling)
    assert spelling.pad_token_id == spelling.eos_token_id
    torch.testing.assert_close(logits(folder, False) - 0.5, rewards(load_reward(folder)), atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="no padding token"):
        logits(folder)


def test_reading_the_last_column_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = leave(tmp_path / "model")
    right = rewards(load_reward(folder))

    def last_column(states: TokenStates, batch: Any) -> Tensor:
        return states.hidden_SD[states.node_BKT[..., -1]]

    monkeypatch.setattr(TokenStates, "last", last_column)
    assert not torch.allclose(rewards(load_reward(folder)), right, atol=1e-2)


def test_weights_are_safetensors_alone(tmp_path: Path):
    leave(tmp_path / "model")
    suffixes = {path.suffix for path in (tmp_path / "model").iterdir()}
    assert suffixes == {".json", ".safetensors", ".md", ".jinja"}


def test_an_architecture_without_such_a_head_is_refused_before_training():
    from transformers import BertConfig, BertForMaskedLM

    sizes: Any = {"vocab_size": 8, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = BertForMaskedLM(BertConfig(**sizes, intermediate_size=8))
    with pytest.raises(ValueError, match="BertForSequenceClassification has no linear layer `score`"):
        require_classifier(model)
    require_classifier(policy("gpt2"))
