"""Samples and the exported folder, with a tiny random Llama."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from xpo.adapter.lora import Lora
from xpo.gold.tokens import build_tokenizer
from xpo.run.card import Card, model_card
from xpo.run.export import export_model, support_settings
from xpo.run.files import OutputError
from xpo.run.quiet import quiet_libraries
from xpo.run.samples import Generation, Policy, Question, generate, response_logp, write_samples
from xpo.scoring.score import Scoring
from xpo.scoring.support import Support

PROMPTS = [[1, 9, 10], [1, 11]]
CARD = Card(
    method="dpo",
    title="Direct Preference Optimization",
    formula="-log sigmoid(beta gap)",
    axes={"reward": "implicit", "divergence": "reverse_kl"},
    dataset="/somebody/home/pairs.jsonl",
    base_model="owner/name",
    paper="arXiv 2305.18290",
    settings={"optimizer": {"lr": 0.001}, "model": {"path": "/somebody/home/base"}},
    metrics={"eval/rewards/accuracies": 0.75},
    license="apache-2.0",
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    quiet_libraries()
    return build_tokenizer(6)


@pytest.fixture
def model(tokenizer: Any) -> Any:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    return LlamaForCausalLM(
        LlamaConfig(vocab_size=len(tokenizer), pad_token_id=0, bos_token_id=1, eos_token_id=2, **sizes)
    ).eval()


@pytest.fixture
def support(tokenizer: Any) -> Support:
    allowed = torch.zeros(4, len(tokenizer), dtype=torch.bool)
    allowed[:3, 3:9] = True
    allowed[1:, 2] = True
    return Support(allowed)


def oracle(model: Any, prompt: list[int], response: list[int]) -> float:
    """log pi(response | prompt), one token at a time."""
    total, seen = 0.0, list(prompt)
    for token in response:
        logits = model(torch.tensor([seen])).logits[0, -1]
        total += torch.log_softmax(logits, -1)[token].item()
        seen.append(token)
    return total


def test_logps_are_those_of_the_model(model: Any, tokenizer: Any) -> None:
    policy = Policy(model, tokenizer, Scoring())
    responses = [[3, 4, 2], [5]]
    expected = [oracle(model, p, r) for p, r in zip(PROMPTS, responses, strict=True)]
    assert response_logp(policy, PROMPTS, responses) == pytest.approx(expected, abs=1e-4)


def test_greedy_is_the_likeliest_token_whatever_the_padding(model: Any, tokenizer: Any) -> None:
    answers = generate(Policy(model, tokenizer, Scoring()), PROMPTS, Generation(3), sample=False)
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        seen = list(prompt)
        for token in answer:
            assert token == model(torch.tensor([seen])).logits[0, -1].argmax().item()
            seen.append(token)


def test_sampling_has_its_own_seed_and_disturbs_nothing(model: Any, tokenizer: Any) -> None:
    policy = Policy(model.train(), tokenizer, Scoring())
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first = generate(policy, PROMPTS, Generation(8, seed=3), sample=True)
    assert torch.rand(1) == expected
    assert generate(policy, PROMPTS, Generation(8, seed=3), sample=True) == first
    assert generate(policy, PROMPTS, Generation(8, seed=4), sample=True) != first
    assert model.training


def test_samples_stay_within_the_support(model: Any, tokenizer: Any, support: Support) -> None:
    policy = Policy(model, tokenizer, Scoring(support=support))
    for seed in range(5):
        for answer in generate(policy, PROMPTS * 4, Generation(9, seed=seed), sample=True):
            assert answer[-1] == 2 and 2 <= len(answer) <= 4
            assert all(3 <= token < 9 for token in answer[:-1])


def test_samples_file(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    policy, path = Policy(model, tokenizer, Scoring()), tmp_path / "samples.jsonl"
    questions = [Question(PROMPTS[0], [3, 4, 2], "data:1"), Question(PROMPTS[1])]
    write_samples(path, policy, questions, Generation(4), "before")
    write_samples(path, policy, questions, Generation(4), "after")
    write_samples(path, policy, questions, Generation(4), "before")  # a resumed run writes it again
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted((r["when"], r["mode"]) for r in records) == sorted(
        (when, mode) for when in ("before", "after") for mode in ("greedy", "sampled") for _ in questions
    )
    told, untold = records[0], records[2]
    assert told["prompt"] == tokenizer.decode(PROMPTS[0]) and told["source"] == "data:1"
    assert told["data_response"] == "a b"
    assert told["data_logp"] == pytest.approx(oracle(model, PROMPTS[0], [3, 4, 2]), abs=1e-4)
    assert untold["data_response"] is None and untold["data_logp"] is None
    assert told["tokens"] <= 4 and told["finished"] in (True, False)


def test_no_questions_no_generation(tokenizer: Any, tmp_path: Path) -> None:
    assert (
        write_samples(tmp_path / "s.jsonl", Policy(None, tokenizer, Scoring()), [], Generation(), "after")
        == []
    )


def test_the_folder_loads_and_generates(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    folder = export_model(model, tokenizer, tmp_path / "model", CARD)
    tokenizer.chat_template = None
    loaded, words = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    ids = torch.tensor([PROMPTS[0]])
    assert torch.equal(loaded(ids).logits, model(ids).logits)
    assert words.get_vocab() == tokenizer.get_vocab() and words.chat_template
    answer = loaded.generate(ids, max_new_tokens=3, do_sample=False)
    assert answer.tolist() == model.generate(ids, max_new_tokens=3, do_sample=False).tolist()
    assert loaded.generation_config.eos_token_id == 2 and loaded.generation_config.pad_token_id == 0
    assert (folder / "model.safetensors").is_file() and not list(tmp_path.glob(".model*"))


def test_the_folder_of_an_enumerable_world_answers_within_it(
    model: Any, tokenizer: Any, support: Support, tmp_path: Path
) -> None:
    folder = export_model(model, tokenizer, tmp_path / "model", CARD, support_settings(support, 2))
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    torch.manual_seed(0)
    for answer in loaded.generate(torch.tensor([PROMPTS[0]] * 20), do_sample=True)[:, 3:].tolist():
        response = answer[: answer.index(2)]
        assert 1 <= len(response) <= 3 and all(3 <= token < 9 for token in response)


def test_an_adapter_is_merged_or_stands_alone(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    ids = torch.tensor([PROMPTS[0]])
    adapted = Lora(r=2).apply(model, seed=0)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter)
    expected = adapted(ids).logits
    merged = export_model(Lora(r=2).export(adapted), tokenizer, tmp_path / "merged", CARD)
    assert torch.allclose(AutoModelForCausalLM.from_pretrained(merged)(ids).logits, expected, atol=1e-4)
    alone = export_model(Lora(r=2, merge=False).export(adapted), tokenizer, tmp_path / "alone", CARD)
    assert (alone / "adapter_model.safetensors").is_file() and (alone / "adapter_config.json").is_file()


def test_a_folder_is_replaced_whole(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model-00002.safetensors").write_text("of an older run")
    export_model(model, tokenizer, tmp_path / "model", CARD)
    assert not (tmp_path / "model" / "model-00002.safetensors").exists()


def test_an_unwritable_place_is_a_clear_error(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write the model folder"):
        export_model(model, tokenizer, tmp_path / "file" / "model", CARD)


def test_the_card_says_what_was_trained() -> None:
    import yaml

    text = model_card(CARD)
    front = yaml.safe_load(text.split("---")[1])
    assert front["tags"] == ["xpo", "dpo"] and front["base_model"] == "owner/name"
    assert "datasets" not in front and "/somebody" not in text  # a machine's folders stay private
    for part in (
        "-log sigmoid(beta gap)",
        "| divergence | reverse_kl |",
        "| optimizer.lr | 0.001 |",
        "2305.18290",
    ):
        assert part in text
    assert "pairs.jsonl" in text and "| torch | " in text
