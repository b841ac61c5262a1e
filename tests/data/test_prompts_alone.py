"""Files of prompts: what is read of them, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from xpo.data.errors import BadRow
from xpo.data.jsonl import Jsonl


def test_an_answer_beside_a_prompt_is_one_where_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "2 + 2?", "answer": "4"}\n')
    alone = Jsonl(path=str(path), format="prompts", test_fraction=0.0).read().train[0]
    assert (alone.responses, alone.answer) == ((), "4")
    shown = Jsonl(path=str(path), test_fraction=0.0).read().train[0]
    assert (shown.responses, shown.answer) == (("4",), None)


@pytest.mark.parametrize("prompt", ['""', '[{"role": "user", "content": ""}]'])
def test_an_empty_prompt(tmp_path: Path, prompt: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"prompt": {prompt}}}\n')
    with pytest.raises(BadRow, match=r"rows.jsonl:1: column 'prompt' is empty: there is nothing to answer"):
        Jsonl(path=str(path), format="prompts").read()
