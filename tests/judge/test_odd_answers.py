"""Answers that carry a key in disguise, half characters, numbers out of range, or a refusal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.judge.asking import OPTIONS, asked_all, backend, questions
from tests.judge.scripted import Scripted
from tests.judge.server import answer, raw, serving
from xpo.data.record import Message
from xpo.judge.ask import judged
from xpo.judge.backend import Draw
from xpo.judge.errors import JudgeError
from xpo.judge.secret import hidden
from xpo.judge.template import Template

KEY = "sk-SECRET/abc+def=="
SPELT = {
    "as it is": KEY,
    "slash": KEY.replace("/", "\\/"),
    "unicode": "".join(f"\\u{ord(c):04X}" for c in KEY),
    "some unicode": KEY.replace("S", "\\u0053").replace("+", "\\u002b"),
    "json in json": KEY.replace("/", "\\\\/"),
    "unicode in json in json": "".join(f"\\\\u{ord(c):04x}" for c in KEY),
}


def written(folder: Path) -> str:
    """All files, read as text and, line by line, as JSON."""
    texts = [path.read_text() for path in folder.rglob("*") if path.is_file()]
    kept = [path.read_text() for path in folder.rglob("*.jsonl")]
    rows = [json.loads(line) for text in kept for line in text.splitlines()]
    return "".join(texts) + "".join(map(str, rows))


@pytest.mark.parametrize("how", SPELT)
def test_a_key_in_an_error_is_not_shown(how: str, tmp_path: Path):
    body = '{"error": {"message": "wrong key ' + SPELT[how] + '"}}'
    with serving(lambda _, n: raw(body.encode(), 401)) as server, pytest.raises(JudgeError) as caught:
        asked_all(server, tmp_path, ["which?"], key=KEY)
    assert str(caught.value).endswith("wrong key [key]")


@pytest.mark.parametrize("how", SPELT)
def test_a_key_in_an_answer_is_not_kept(how: str, tmp_path: Path):
    body = '{"choices": [{"message": {"content": "' + SPELT[how] + '\\nAnswer: A"}}]}'
    with serving(lambda _, n: raw(body.encode())) as server:
        assert asked_all(server, tmp_path, ["which?"], key=KEY) == [(1.0, 0.0)]
    assert "[key]" in written(tmp_path) and "SECRET" not in written(tmp_path)


def test_a_key_that_is_cut_by_the_longest_message_is_not_shown(tmp_path: Path):
    body = json.dumps({"error": {"message": "x" * 290 + KEY}})
    with serving(lambda _, n: raw(body.encode(), 401)) as server, pytest.raises(JudgeError) as caught:
        asked_all(server, tmp_path, ["which?"], key=KEY)
    assert "sk-" not in str(caught.value)


def test_tokens_that_spell_a_key_are_not_kept(tmp_path: Path):
    parts = ["sk-SEC", "RET/abc", "+def==", " A"]
    places = [{"token": t, "top_logprobs": [{"token": t, "logprob": -0.1}]} for t in parts]
    choice = {"message": {"content": "Answer: A"}, "logprobs": {"content": places}}
    with serving(lambda _, n: raw(json.dumps({"choices": [choice]}).encode())) as server:
        asked_all(server, tmp_path, ["which?"], key=KEY)
    assert "RET/abc" not in written(tmp_path)


def test_other_texts_are_left_as_they_are():
    assert hidden("sk-secret/abc+def==", KEY) == "sk-secret/abc+def=="
    assert hidden(KEY, None) == KEY


def test_half_a_character_is_replaced(tmp_path: Path):
    body = b'{"choices": [{"message": {"content": "I think\\ud800 so"}}]}'
    with serving(lambda _, n: raw(body)) as server, backend(server, tmp_path) as made:
        assert list(made.answers(questions("why?"), Draw())) == [("I think\ufffd so",)]
    assert "I think\ufffd so" in written(tmp_path)


def logprobs(value: str) -> bytes:
    top = '[{"token": "A", "logprob": ' + value + "}]"
    return (
        '{"choices": [{"message": {"content": "A"}, "logprobs": {"content": [{"token": "A", "top_logprobs": '
        + top
        + "}]}}]}"
    ).encode()


@pytest.mark.parametrize("value", ["-1" + "0" * 400, "true", "5", '"-1"', "NaN"])
def test_what_is_no_log_probability_is_an_error(value: str, tmp_path: Path):
    with serving(lambda _, n: raw(logprobs(value))) as server:
        with pytest.raises(JudgeError, match="no log-probability"):
            asked_all(server, tmp_path, ["which?"])


def test_a_count_of_tokens_beyond_all_bounds_is_none(tmp_path: Path):
    prices = {"price_per_million_prompt_tokens": 1.0, "price_per_million_completion_tokens": 1.0}
    with serving(lambda _, n: answer("A", usage=(10**400, 1))) as server:
        assert asked_all(server, tmp_path, ["which?"], **prices) == [(1.0, 0.0)]
    assert json.loads((tmp_path / "out" / "judge.json").read_text())["uncounted"] == 1


@pytest.mark.parametrize("text", [5, None, ["A"], {"a": 1}])
def test_what_is_no_reply_in_the_cache_is_bought_again(text: Any, tmp_path: Path):
    with serving(lambda _, n: answer("A", {"A": 0.75, "B": 0.25})) as server:
        asked_all(server, tmp_path, ["which?"])
        (path,) = (tmp_path / "cache" / "judge").glob("*.jsonl")
        row = json.loads(path.read_text())
        for damaged in ({"text": text, "tokens": None}, {"text": "A", "tokens": [["A", [["A", "x"]]]]}):
            path.write_text(json.dumps({**row, "value": damaged}) + "\n")
            assert asked_all(server, tmp_path, ["which?"]) == [pytest.approx((0.75, 0.25))]
    assert server.calls == 3


@pytest.mark.parametrize(
    "choice",
    [
        {"message": {"content": ""}, "finish_reason": "content_filter"},
        {"message": {"content": "A", "refusal": "I cannot"}},
    ],
)
def test_a_refusal_is_no_answer(choice: dict[str, Any], tmp_path: Path):
    with serving(lambda _, n: raw(json.dumps({"choices": [choice]}).encode())) as server:
        with pytest.raises(JudgeError, match="refused to answer"), backend(server, tmp_path) as made:
            list(made.answers(questions("why?"), Draw()))


def test_an_empty_rationale_is_an_error():
    ask, say = (Message("user", "which?"),), (Message("user", "why?"),)
    thinking = Template(ask, say, ask, OPTIONS, "", "")
    silent = Scripted(prefer=lambda *_: (0.5, 0.5), say=lambda *_: " \n")
    with pytest.raises(JudgeError, match="empty rationale: take rationale_tokens=0"):
        list(judged(silent, thinking, OPTIONS, [{}], 10))
