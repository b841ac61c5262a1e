"""annotator=judge: templates of one's own, and what is refused before anything is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.annotator.judging import judge_of, label, record, wins
from tests.judge.server import answer, prefers_long, serving
from xpo.annotator.base import Desk, LabelError
from xpo.annotator.judge import Judge
from xpo.compose import build, compose_config
from xpo.compose.errors import ConfigError

HERE = {"url": "http://127.0.0.1:9/v1", "model": "m"}


def own(folder: Path, content: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(content)
    return str(path)


def test_a_template_of_ones_own(tmp_path: Path):
    text = 'options: ["1", "2"]\nask:\n  - role: user\n    content: "{prompt}|{first}|{second}"\n'
    with serving(lambda body, n: answer("2")) as server:
        judge = judge_of(server, template=own(tmp_path, text), both_orders=True)
        found = wins(judge, record("x", "y"), tmp_path)
        assert found[0][1] == 0.5
        other = judge_of(server, template=own(tmp_path, text.replace("|", "/")))
        assert other.fingerprint(Desk(tmp_path)) != judge_of(server).fingerprint(Desk(tmp_path))
    assert {body["messages"][0]["content"] for body in server.bodies} == {
        "Say something.|x|y",
        "Say something.|y|x",
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"clamp": (0.6, 0.4)}, "clamp must be"),
        ({"clamp": (0.5, 0.5)}, "clamp must be"),
        ({"clamp": (0.6, 0.9)}, "clamp must be"),
        ({"instructions": " "}, "instructions is empty: say what is better, or null"),
        ({"rationale_tokens": -1}, "rationale_tokens must be 0"),
        ({"template": "none.yaml"}, "there is no such file, and xpo brings: impartial"),
        (
            {"content": 'options: ["A", "B"]\nask: [{role: user, content: "{first} {second}"}]'},
            "no place for {prompt}",
        ),
        ({"content": 'ask: [{role: user, content: "{prompt} {first} {second}"}]'}, "options must be two"),
        (
            {
                "content": 'options: ["A", "B"]\nask: [{role: user, content: "{prompt} {first} {second}"}]',
                "instructions": "Prefer short ones.",
            },
            "has no {instructions}: leave instructions away",
        ),
    ],
)
def test_settings_without_a_meaning_are_refused(given: dict[str, Any], said: str, tmp_path: Path):
    content = given.pop("content", None)
    if content is not None:
        given["template"] = own(tmp_path, content)
    with pytest.raises(ValueError, match=said):
        Judge(**HERE, **given)


def test_who_is_asked_must_be_said_before_anything_is_loaded():
    with pytest.raises(ConfigError, match="annotator=judge: path .* or url .* got neither"):
        build(compose_config(["algo=dpo", "data=jsonl", "data.path=x.jsonl", "annotator=judge"]))


def test_a_row_with_one_response_is_refused_before_anything_is_asked(tmp_path: Path):
    with serving(prefers_long) as server:
        with pytest.raises(LabelError, match="rows.jsonl:2: annotator=judge compares responses"):
            label(judge_of(server), [record("x", "y"), record("z", line=2)], tmp_path)
    assert server.calls == 0
