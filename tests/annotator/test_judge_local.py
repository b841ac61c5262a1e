"""annotator=judge with a model of this machine: tiny, random, and exact."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from tests.annotator.judging import label, record
from xpo.annotator.base import Desk, LabelError
from xpo.annotator.judge import Judge
from xpo.judge.backend import Conversation
from xpo.judge.local import LocalBackend
from xpo.model.scratch import Scratch
from xpo.model.tokens import train_bpe


def model_in(folder: Path, seed: int, positions: int = 2048) -> Path:
    tokenizer = train_bpe(["Answer with the letter A or B alone."] * 3, 290)
    model = Scratch(hidden=16, layers=1, heads=2, max_length=positions).build(tokenizer, seed)
    with torch.no_grad():
        for weight in model.model.layers.parameters():
            weight.mul_(20 if weight.dim() == 2 else 1)  # so that what stands where makes a difference
    for part in (model, tokenizer):
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_in(tmp_path_factory.mktemp("judge"), 5)


def test_wins_are_the_means_of_what_the_model_says_of_both_orders(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    said: dict[str, tuple[float, ...]] = {}
    plain = LocalBackend.options

    def listened(
        self: LocalBackend, asked: Sequence[Conversation], options: Sequence[str]
    ) -> Iterator[tuple[float, ...]]:
        for conversation, found in zip(asked, plain(self, asked, options), strict=True):
            said[conversation[-1].content] = found
            yield found

    monkeypatch.setattr(LocalBackend, "options", listened)
    row = record("red and blue", "green")
    (found,) = label(Judge(path=str(folder)), [row], tmp_path)
    (one,) = [shares for text, shares in said.items() if "A ===\nred and blue\n" in text]
    (other,) = [shares for text, shares in said.items() if "A ===\ngreen\n" in text]
    assert sum(one) == pytest.approx(1) and abs(one[0] - other[0]) > 1e-4 and found.wins is not None
    assert found.wins[0][1] == pytest.approx((one[0] + other[1]) / 2, abs=1e-7)
    (turned,) = label(Judge(path=str(folder)), [record("green", "red and blue")], tmp_path)
    assert turned.wins is not None and turned.wins[1][0] == pytest.approx(found.wins[0][1], abs=1e-7)


def test_a_model_is_known_by_its_weights_wherever_it_lies(folder: Path, tmp_path: Path):
    desk = Desk(tmp_path / "cache")
    plain = Judge(path=str(folder)).fingerprint(desk)
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    assert Judge(path=str(moved)).fingerprint(desk) == plain and str(folder) not in plain
    model_in(moved, 6)
    assert Judge(path=str(moved)).fingerprint(desk) != plain


def test_a_question_beyond_the_window_names_its_row(tmp_path: Path):
    small = model_in(tmp_path / "small", 5, positions=600)
    rows = [record("a", "b"), record("long " * 200, "b", line=2)]
    with pytest.raises(LabelError, match="rows.jsonl:2: .*window of 600"):
        label(Judge(path=str(small)), rows, tmp_path)
