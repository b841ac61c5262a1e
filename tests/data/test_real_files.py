"""Public preference data, end to end: every row is a batch's row, or counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.data.conftest import byte_bpe
from xpo.annotator.human import Human
from xpo.arity.list import List
from xpo.arity.pair import Pair
from xpo.arity.single import Single
from xpo.data.build import Pipeline, Prepared, prepare, texts
from xpo.data.collate import Collator
from xpo.data.jsonl import Jsonl
from xpo.data.loader import ProbeRows, StepLoader
from xpo.data.plan import Sizes
from xpo.feedback.binary import Binary
from xpo.feedback.preference import Preference


def prepared(real: Path, name: str, feedback: Any, arity: Any, **options: Any) -> tuple[Prepared, Any]:
    data = Jsonl(
        path=str(real / f"{name}.train.jsonl.gz"), test_path=str(real / f"{name}.test.jsonl.gz"), **options
    )
    splits = data.read()
    tokenizer = byte_bpe(texts(splits))
    return prepare(Pipeline(data, Human(), feedback, arity), tokenizer, splits=splits, window=512), tokenizer


def check_epoch(result: Prepared, tokenizer: Any, probes: ProbeRows | None = None) -> None:
    loader = StepLoader(result.train, Sizes(32, 16_384), Collator(tokenizer.pad_token_id), probes=probes)
    seen = []
    for batch in loader:
        assert batch.present_BK[:, 0].all() and batch.length_BK[batch.present_BK].ge(1).all()
        seen += [i for i in batch.index_B.tolist() if i >= 0]
    assert sorted(seen) == list(range(len(result.train)))


def test_pairs(real: Path) -> None:
    result, tokenizer = prepared(real, "hh_harmless", Preference(), Pair(), limit=400)
    tally = result.counts["train"]
    assert (
        tally.kept
        == len(result.train)
        == 400 - tally.dropped["empty response"] - tally.dropped["identical responses"]
    )
    assert all(list(row.prompt).count(tokenizer.bos_token_id) == 1 for row in result.train)
    ends = [response[-1] == tokenizer.eos_token_id for row in result.train for response in row.responses]
    assert ends.count(False) == tally.noted["response cut (no EOS trained)"]
    check_epoch(result, tokenizer)


def test_binary_rows_of_pairs(real: Path) -> None:
    result, tokenizer = prepared(real, "hh_harmless", Binary(), Single(), limit=200)
    good = sum(row.good == (1.0,) for row in result.train)
    assert good == len(result.train) / 2
    check_epoch(
        result, tokenizer, ProbeRows(frozenset({"mismatched"}), result.limits, tokenizer.bos_token_id)
    )


@pytest.mark.parametrize(("name", "size"), [("qa_feedback", 4), ("alpaca_judged", 8)])
def test_lists(real: Path, name: str, size: int) -> None:
    result, tokenizer = prepared(real, name, Preference(), List(), limit=60)
    assert max(len(row.responses) for row in result.train) == size
    for row in result.train:
        assert row.scores is not None and list(row.scores) == sorted(row.scores, reverse=True)
        assert sum(map(sum, row.prefer or ())) == pytest.approx(1)
    tally = result.counts["train"]
    assert len(result.train) == 60 - tally.dropped["tie"]
    assert bool(tally.unread) == (name == "qa_feedback")
    check_epoch(result, tokenizer)
