"""Folders that cannot be used, somebody else's folders, and the two ways to ask."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.reward_model.folders import RECORDS, TEXTS, leave, meaning, policy, tokenizer, words
from xpo.data.record import Message, Record
from xpo.errors import UserError
from xpo.model.tokens import train_bpe
from xpo.reward_model.ask import hash_of
from xpo.reward_model.saved import load_reward


def config_of(folder: str, change: Callable[[dict[str, Any]], Any]) -> None:
    file = Path(folder) / "config.json"
    config = json.loads(file.read_text())
    change(config)
    file.write_text(json.dumps(config))


def weights_of(folder: str, change: Callable[[dict[str, Any]], Any]) -> None:
    file = Path(folder) / "model.safetensors"
    weights = load_file(file)
    change(weights)
    save_file(weights, file, metadata={"format": "pt"})


def no_config(folder: str) -> None:
    (Path(folder) / "config.json").unlink()


def cut_short(folder: str) -> None:
    file = Path(folder) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:200])


def pickled(folder: str) -> None:
    file = Path(folder) / "model.safetensors"
    torch.save(load_file(file), Path(folder) / "pytorch_model.bin")
    file.unlink()


def larger_vocabulary(folder: str) -> None:
    spelling = train_bpe(TEXTS, 290)
    spelling.add_tokens(["<one>", "<two>"])
    spelling.save_pretrained(folder)


BROKEN: dict[str, tuple[Callable[[str], None], str]] = {
    "no config.json": (no_config, "has no config.json"),
    "weights cut short": (cut_short, "no reward model could be loaded"),
    "pickled weights": (pickled, "no reward model could be loaded"),
    "no head": (
        lambda folder: weights_of(folder, lambda weights: weights.pop("score.weight")),
        "score.weight is missing",
    ),
    "a head of other size": (
        lambda folder: weights_of(
            folder, lambda weights: weights.update({"score.weight": torch.ones(3, 16)})
        ),
        r"score.weight has shape \(3, 16\)",
    ),
    "more tokens than embeddings": (larger_vocabulary, "the tokenizer has 2.. tokens, the model embeds only"),
    "two offsets": (
        lambda folder: config_of(folder, lambda config: config["xpo"].update(offset=[1.0, 2.0])),
        "1 outputs and 2 offsets",
    ),
    "an offset that is none": (
        lambda folder: config_of(folder, lambda config: config["xpo"].update(offset=[float("nan")])),
        "xpo.offset in its config.json must be a list of numbers",
    ),
    "a sign that is none": (
        lambda folder: config_of(folder, lambda config: config["xpo"].update(sign=2)),
        "xpo.sign in its config.json must be 1 or -1, got 2",
    ),
    "a key that nothing reads": (
        lambda folder: config_of(folder, lambda config: config["xpo"].update(scale=2)),
        "and none beside",
    ),
    "code to import": (
        lambda folder: config_of(folder, lambda config: config["xpo"].update(length={"name": "os.system"})),
        "xpo.length is .*, which is none",
    ),
    "labels of something else": (
        lambda folder: config_of(folder, lambda config: config.pop("xpo")),
        "classifies into 2 labels and says nothing of rewards",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_folder_that_cannot_be_used_is_named_with_its_key(case: str, tmp_path: Path):
    breaks, message = BROKEN[case]
    members = (0.0, 0.0) if case == "labels of something else" else (0.0,)
    folder = leave(tmp_path / "model", told=meaning(offset=members))
    breaks(folder)
    with pytest.raises(UserError, match=message) as found:
        load_reward(folder, "annotator.path")
    assert "annotator.path=" in str(found.value)


def test_a_causal_model_is_no_reward_model(tmp_path: Path):
    policy().save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="annotator.path=.* is a LlamaForCausalLM, which has no head"):
        load_reward(str(tmp_path), "annotator.path")


def foreign(folder: Path, spelling: Any, pad_id: int | None) -> str:
    """As another library leaves it: nothing of xpo in config.json."""
    path = leave(folder, policy(spelling=spelling), meaning(offset=(0.0,)), spelling)
    config_of(path, lambda config: config.update(pad_token_id=pad_id))
    config_of(path, lambda config: config.pop("xpo"))
    return path


def by_transformers(path: str, texts: list[str]) -> list[float]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    spelling = AutoTokenizer.from_pretrained(path)
    model: Any = AutoModelForSequenceClassification.from_pretrained(path).eval()
    ids = [spelling(text, add_special_tokens=False, return_tensors="pt").input_ids for text in texts]
    with torch.no_grad():
        return [model(input_ids=row).logits.item() for row in ids]


def test_somebody_elses_chat_model_reads_what_its_template_gives(tmp_path: Path):
    spelling = train_bpe(TEXTS, 290)
    spelling.chat_template = (
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ eos_token }}\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    path = foreign(tmp_path / "model", spelling, spelling.pad_token_id)
    texts = ["<|bos|><|user|>Say red:<|eos|>\n<|assistant|> green<|eos|>\n"]
    texts.append("<|bos|><|system|>Be red.<|eos|>\n<|user|>Go.<|eos|>\n<|assistant|>no<|eos|>\n")
    turns = (Message("system", "Be red."), Message("user", "Go."))
    records = [Record("Say red:", (" green",)), Record(turns, ("no",))]
    found = [opinion.reward_BK.item() for (opinion,) in load_reward(path).opinions(records)]
    assert found == pytest.approx(by_transformers(path, texts), abs=1e-5)


def test_somebody_elses_model_that_pads_with_eos_is_read_before_it(tmp_path: Path):
    """As transformers does, and as it was trained."""
    spelling = words()
    path = foreign(tmp_path / "model", spelling, spelling.eos_token_id)
    found = [opinion.reward_BK.item() for (opinion,) in load_reward(path).opinions(RECORDS[2:])]
    texts = ["Say red and green: warm <end>", "Say red and green: warm"]
    assert by_transformers(path, texts) == pytest.approx(found * 2, abs=1e-5)


def test_token_rows_and_texts_agree(tmp_path: Path):
    saved = load_reward(leave(tmp_path / "model"))
    rows = [saved.reader.row(record) for record in RECORDS]
    said = [opinion.reward_BK for (opinion,) in saved.opinions(RECORDS)]
    for tokens in (1, 20, 16_384):
        found = [opinion.reward_BK for (opinion,) in saved.of_tokens(rows, tokens)]
        for one, other in zip(found, said, strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
    asked: list[int] = []

    def texts() -> list[Record]:
        asked.append(1)
        return RECORDS

    for spelling, times in ((tokenizer(), 0), (train_bpe(["of another text"], 290), 1)):
        found = [opinion.reward_BK for (opinion,) in saved.of_samples(rows, spelling, texts)]
        assert len(asked) == times
        torch.testing.assert_close(torch.cat(found), torch.cat(said), atol=1e-6, rtol=0)


def test_rows_longer_than_the_window(tmp_path: Path):
    saved = load_reward(leave(tmp_path / "model"))
    long = Record("Say red: " * 20, (" green",))
    assert len(list(saved.opinions([long, *RECORDS]))) == 4
    assert saved.reader.counts.noted["prompt cut"] == 1
    with pytest.raises(UserError, match="65 tokens long, the reward model's window is 64"):
        list(saved.of_tokens([([1] * 60, [[5] * 5])]))


def test_the_fingerprint_is_of_weights_and_meaning(tmp_path: Path):
    paths = [
        leave(tmp_path / "a"),
        leave(tmp_path / "b"),
        leave(tmp_path / "c", told=meaning(offset=(0.25,))),
        leave(tmp_path / "d", policy(seed=1)),
    ]
    hashes = [hash_of(path, "path") for path in paths]
    assert hashes[0] == hashes[1] and len(set(hashes)) == 3
    leave(tmp_path / "a", policy(seed=1))
    assert hash_of(paths[0], "path") == hashes[3]
