"""The file of rows that wait: what is written, what may be edited into it, what may not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from xpo.data.errors import DataError
from xpo.data.record import Message, Record
from xpo.labelling.asked import asked_of, read_asked, with_label, write_asked

LIST = Record("a\u2028b \N{SNOWMAN}", ("x", "y", "z"), where="f:1")
CHAT = Record((Message("user", "q"),), ((Message("assistant", "a"),),), where="f:2")


def file_of(tmp_path: Path, *changes: dict[str, Any]) -> Path:
    """A file whose last row has these changes."""
    path = tmp_path / "to_label.jsonl"
    write_asked(path, [asked_of(CHAT, ("label",)), asked_of(LIST, ("choice", "scores"))])
    lines = path.read_text(encoding="utf-8").split("\n")
    for change in changes:
        lines[1] = json.dumps({**json.loads(lines[1]), **change})
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    one, two = read_asked(file_of(tmp_path))
    assert one.prompt == [{"role": "user", "content": "q"}] and one.ways == ("label",) and one.said is None
    assert two.prompt == LIST.prompt and two.completions == LIST.responses and two.where == "f:1"
    assert two.ways == ("choice", "scores") and two.line == 2


@pytest.mark.parametrize(
    ("said", "ranks", "scores"),
    [
        ({"choice": 2}, (1, 0, 1), None),
        ({"choice": 1}, (0, 1, 1), None),
        ({"choice": "tie"}, (0, 0, 0), None),
        ({"scores": [1, 2.5, -1]}, None, (1.0, 2.5, -1.0)),
    ],
    ids=str,
)
def test_what_a_person_said(tmp_path: Path, said: dict[str, Any], ranks: Any, scores: Any) -> None:
    row = read_asked(file_of(tmp_path, said))[1]
    assert row.said == said
    record = with_label(LIST, row.said or {})
    assert (record.ranks, record.scores, record.labels) == (ranks, scores, None)


def test_one_response_is_good_or_bad() -> None:
    assert with_label(CHAT, {"label": False}).labels == (False,)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"choice": 0}, "choice must be 1 to 3, or tie, got 0"),
        ({"choice": 4}, "choice must be 1 to 3, or tie, got 4"),
        ({"choice": "2"}, "choice must be 1 to 3, or tie, got '2'"),
        ({"choice": True}, "choice must be 1 to 3, or tie, got True"),
        ({"choice": [1]}, r"choice must be 1 to 3, or tie, got \[1\]"),
        ({"scores": [1, 2]}, r"scores must be 3 finite numbers, one for each response, got \[1, 2\]"),
        ({"scores": [1, 2, float("nan")]}, "scores must be 3 finite numbers"),
        ({"scores": [1, 2, None]}, "scores must be 3 finite numbers"),
        ({"scores": 1}, "scores must be 3 finite numbers"),
        ({"label": True}, "label says nothing of 3 responses: give choice or scores"),
        ({"choice": 1, "scores": [1, 2, 3]}, "choice and scores are given: give one of them"),
        ({"chioce": 1}, "nothing reads 'chioce'; .* Did you mean 'choice'"),
        ({"key": None}, "it has no key and prompt of a run"),
        (json.loads(asked_of(CHAT, ("label",)).as_json()), "the row of line 1 stands here again"),
        ({"scores": [1, 2, 10**400]}, "scores must be 3 finite numbers"),
        (
            {"completions": ["y", "x", "z"], "choice": 1},
            "its prompt and completions are not those that its key",
        ),
        ({"completions": ["x", "y", "z."]}, "they were edited or moved"),
        ({"prompt": "another"}, "they were edited or moved"),
        ({"prompt": [{"rule": "q"}]}, "they were edited or moved"),
        ({"key": "abc", "choice": 1}, "not those that its key stands for"),
        ({"completions": "x"}, "completions must be a list of responses"),
    ],
    ids=str,
)
def test_a_bad_edit_is_told_with_its_line(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=rf"to_label.jsonl:2: .*{said}"):
        read_asked(file_of(tmp_path, change))


@pytest.mark.parametrize("content", [b"\n{broken\n", b"\n[1]\n", b'\n{"key": 3}\n'])
def test_what_is_no_row(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "to_label.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match="to_label.jsonl:2: no"):
        read_asked(path)


def test_what_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "to_label.jsonl"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="cannot be read"):
        read_asked(path)


def test_a_key_twice_is_told_with_its_line(tmp_path: Path) -> None:
    path = file_of(tmp_path, {"choice": 1})
    path.write_text(path.read_text().replace('"choice": 1', '"choice": 1, "choice": 2'))
    with pytest.raises(DataError, match="to_label.jsonl:2: the key 'choice' stands more than once"):
        read_asked(path)
