"""Tokenizers and files for the data tests."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

CHAT = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def byte_bpe(texts: Iterable[str], *, bos: bool = True, split: bool = True, **special: Any) -> Any:
    """Byte-level BPE trained on ``texts``; without ``split`` a merge may span white space and words."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split)
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=["<s>", "</s>", "<pad>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    names = {"eos_token": "</s>", "pad_token": "<pad>", **({"bos_token": "<s>"} if bos else {}), **special}
    return PreTrainedTokenizerFast(tokenizer_object=core, **names)


TEXTS = [
    "What is two and two? It is four.",
    "Où est le café? Là-bas, près de l'école.",
    "日本語のテキスト 🙂🙃",
] * 4


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return byte_bpe(TEXTS, chat_template=CHAT)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Rows (or raw text) to a JSON lines file; the path as a string."""

    def to_file(rows: Any, name: str = "rows.jsonl") -> str:
        text = (
            rows
            if isinstance(rows, str)
            else "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        )
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return str(path)

    return to_file


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real preference data."""
    folder = os.environ.get("XPO_TEST_DATA")
    if not folder:
        pytest.skip("XPO_TEST_DATA names no folder with real data")
    return Path(folder)
