"""A judge on loopback for whole runs, and one in a folder: what it says follows from what it is asked."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from tests.judge.server import Action, answer
from tests.stages.tiny import WORDS
from xpo.judge.bought import request_key
from xpo.model.scratch import Scratch
from xpo.model.tokens import train_bpe


def words(text: str) -> str:
    """A few words, the same for the same text."""
    digest = hashlib.sha256(text.encode()).digest()
    return " ".join(WORDS[byte % len(WORDS)] for byte in digest[: 1 + digest[0] % 4])


def says(body: dict[str, Any], number: int) -> Action:
    """Options by the lengths of what is compared, and words for everything else."""
    text = "\n".join(message["content"] for message in body["messages"])
    if "logprobs" not in body:
        return answer(words(text))
    if "from 1 to 10" in text or "Score" in text:
        return answer("7", {"7": 0.75, "3": 0.25})
    one, other = re.findall(r"^\([AB]\) (.*)$|^Response [12]: (.*)$", text, re.MULTILINE)[:2]
    longer = len("".join(one)) >= len("".join(other))
    first, second = ("1", "2") if "Response 1:" in text else ("A", "B")
    share = 0.8 if longer else 0.2
    return answer(first if longer else second, {first: share, second: 1 - share})


def model_in(folder: Path, positions: int = 2048) -> Path:
    """A random model with a window for whole questions."""
    tokenizer = train_bpe(["Answer with A or B alone, the number 1 or 2", *WORDS] * 3, 290)
    model = Scratch(hidden=16, layers=1, heads=2, max_length=positions).build(tokenizer, 5)
    for part in (model, tokenizer):
        part.save_pretrained(folder)
    return folder


def entries(cache: Path, pattern: str) -> list[str]:
    """The keys of what is stored, in their order."""
    return [
        json.loads(line)["key"]
        for path in sorted(cache.glob(pattern))
        for line in path.read_text().splitlines()
    ]


def bought(cache: Path) -> set[str]:
    """The requests whose answers are kept."""
    return set(entries(cache, "judge/*.jsonl"))


def asked_again(known: set[str], bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Requests for what is known."""
    return [body for body in bodies if request_key(body) in known]
