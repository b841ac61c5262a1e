"""Templates, exemplars and principles: data that can break nothing, and files that are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from xpo.annotator.constitution import Constitution
from xpo.annotator.direct import KIND as SCORE
from xpo.annotator.judge import Judge
from xpo.annotator.self import KIND as ADDITIVE
from xpo.data.record import Message
from xpo.judge import principles, template_file
from xpo.judge.principles import drawn, read_principles
from xpo.judge.revise import KIND as REVISE
from xpo.judge.template import fill
from xpo.judge.template_file import Kind, TemplateError, read_template
from xpo.judge.turns import spoken

PAIR = Kind("compare", frozenset({"prompt", "first"}), frozenset({"prompt", "first"}))
KINDS = {kind.folder: kind for kind in (SCORE, ADDITIVE, REVISE, Constitution.kind, Judge.kind)}
SHIPPED = [path.relative_to(template_file.SHIPPED) for path in template_file.SHIPPED.rglob("*.yaml")]


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def written(path: Path, **content: Any) -> str:
    path.write_text(yaml.safe_dump(content))
    return str(path)


def test_holes_are_filled_once():
    values = {"a": "{b} {a} {}", "b": "x{"}
    assert fill("{a}|{b}|{ a }|{}|{a", values) == "{b} {a} {}|x{|{ a }|{}|{a"


def test_two_steps_put_the_rationale_into_the_conversation(tmp_path):
    path = written(
        tmp_path / "t.yaml",
        think=[turn("user", "{prompt}: {first}?"), turn("assistant", "I think")],
        then=[turn("assistant", "\nSo: "), turn("user", "which of {first}?")],
        ask=[turn("user", "{prompt}{first}")],
    )
    template = read_template(PAIR, path, thinking=True)
    values = {"prompt": "p", "first": "{prompt}"}
    assert template.first(values) == (Message("user", "p: {prompt}?"), Message("assistant", "I think"))
    assert template.second(values, " {first}") == (
        Message("user", "p: {prompt}?"),
        Message("assistant", "I think {first}\nSo: "),
        Message("user", "which of {prompt}?"),
    )
    assert read_template(PAIR, path).question(values) == (Message("user", "p{prompt}"),)


def test_exemplars_stand_in_the_question(tmp_path):
    path = written(
        tmp_path / "t.yaml", exemplar="<{first}={prompt}>", ask=[turn("user", "{exemplars}{prompt}{first}")]
    )
    shots = tmp_path / "shots.jsonl"
    shots.write_text("".join(json.dumps({"first": f"{i}{{prompt}}", "prompt": "q"}) + "\n" for i in range(2)))
    question = read_template(PAIR, path, str(shots)).question({"prompt": "P", "first": "F"})
    assert question == (Message("user", "<0{prompt}=q><1{prompt}=q>PF"),)
    assert read_template(PAIR, path).question({"prompt": "P", "first": "F"}) == (Message("user", "PF"),)
    shots.write_text('{"first": "a", "prompt": "b"}\n{"first": "a"}\n')
    with pytest.raises(TemplateError, match=r"shots.jsonl:2: an exemplar has the texts first, prompt"):
        read_template(PAIR, path, str(shots))
    shots.write_text("")
    with pytest.raises(TemplateError, match="has no exemplar"):
        read_template(PAIR, path, str(shots))


ASK = [turn("user", "{prompt}{first}")]
BAD = {
    "no list": ({"ask": "hello"}, "ask must be a list of turns"),
    "no content": ({"ask": [{"role": "user"}]}, "turn 1: needs a role and a content"),
    "odd role": ({"ask": [turn("judge", "x")]}, "role is one of system, user, assistant"),
    "unknown hole": ({"ask": [turn("user", "{second}")]}, r"nothing fills \['second'\]; allowed: .*prompt"),
    "missing hole": ({"ask": [turn("user", "{prompt}")]}, r"ask has no place for {first}"),
    "unknown key": ({"ask": ASK, "asks": ASK}, "nothing reads 'asks'; a template has options"),
    "no ask": ({"think": ASK}, "has no ask"),
    "options that are numbers": ({"ask": ASK, "options": [1, 2]}, "options must be a list of texts"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_files_that_are_refused(tmp_path, content, message):
    with pytest.raises(TemplateError, match=message):
        read_template(PAIR, written(tmp_path / "t.yaml", **content))


def test_files_that_are_none(tmp_path):
    with pytest.raises(TemplateError, match="no such file, and xpo brings: anthropic, google"):
        read_template(PAIR, "antropic")
    (tmp_path / "t.yaml").write_text("a: [")
    with pytest.raises(TemplateError, match="cannot be read"):
        read_template(PAIR, str(tmp_path / "t.yaml"))
    (tmp_path / "t.yaml").write_text("- a")
    with pytest.raises(TemplateError, match="must hold keys"):
        read_template(PAIR, str(tmp_path / "t.yaml"))
    path = written(tmp_path / "t.yaml", ask=ASK)
    (tmp_path / "s.jsonl").write_text('{"first": "a"}\n')
    with pytest.raises(TemplateError, match="says nothing about how an exemplar is written"):
        read_template(PAIR, path, str(tmp_path / "s.jsonl"))
    path = written(tmp_path / "t.yaml", ask=ASK, exemplar="{first}")
    with pytest.raises(TemplateError, match="no turn has a place for exemplars"):
        read_template(PAIR, path, str(tmp_path / "s.jsonl"))


@pytest.mark.parametrize("path", SHIPPED, ids=str)
def test_what_xpo_brings_can_be_used(path, tmp_path):
    kind = KINDS[path.parent.name]
    content = yaml.safe_load((template_file.SHIPPED / path).read_text())
    for key, thinking in (("ask", False), ("think", True)):
        if key not in content:
            continue
        form = content.get("exemplar_thinking" if thinking else "exemplar")
        shots = None
        if form is not None:
            shots = tmp_path / "shots.jsonl"
            shots.write_text(json.dumps({name: f"<{name}>" for name in template_file.holes(form)}) + "\n")
        template = read_template(kind, path.stem, str(shots) if shots else None, thinking)
        values = {name: f"[{name}]" for name in kind.may}
        asked = template.second(values, "well") if thinking else template.question(values)
        text = "\n".join(turn.content for turn in asked)
        assert asked[-1].role == "user" and "{" not in text  # endpoints answer a user, few go on
        assert all(f"[{name}]" in text for name in kind.may)
        assert form is None or text.count("<prompt>") == 1
        assert not thinking or any(turn == Message("assistant", "well") for turn in asked)


def test_a_principle_is_drawn_by_content():
    known = read_principles(None, "compare", "critique", "revision")
    assert len(known) == 12 and len({one.compare for one in known}) == 12
    assert drawn(known, 0, "a", 1) == drawn(known, 0, "a", 1)
    counts = [sum(drawn(known, 0, key) == one for key in range(1200)) for one in known]
    assert min(counts) > 60 and max(counts) < 140
    assert [drawn(known, 0, key) for key in range(9)] != [drawn(known, 1, key) for key in range(9)]


def test_principles_of_ones_own(tmp_path):
    lines = tmp_path / "p.jsonl"
    lines.write_text('{"compare": "A?"}\n{"critique": "C", "revision": "R"}\n')
    assert [one.compare for one in read_principles(str(lines), "compare")] == ["A?"]
    assert [one.revision for one in read_principles(str(lines), "critique", "revision")] == ["R"]
    listed = tmp_path / "p.yaml"
    listed.write_text("- compare: A?\n")
    assert read_principles(str(listed), "compare") == read_principles(str(lines), "compare")
    with pytest.raises(TemplateError, match="no principle has critique and revision"):
        read_principles(str(listed), "critique", "revision")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {compare: A, critic: B}", "principle 1: a principle is like"),
        ("- {compare: A}\n- {compare: 3}", "principle 2: the parts of a principle are texts"),
        ("- {critique: A}", "critique and revision go together"),
        ("compare: A", "must be a YAML list"),
        ("[]", "no principle has compare"),
    ],
)
def test_principles_that_are_refused(tmp_path, text, message):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(TemplateError, match=message):
        read_principles(str(tmp_path / "p.yaml"), "compare")
    with pytest.raises(TemplateError, match="no such file"):
        principles.read_principles(str(tmp_path / "q.yaml"), "compare")


def test_messages_are_spoken_as_a_transcript():
    prompt = (Message("system", "Be kind."), Message("user", "Hi"), Message("assistant", "Yes?"))
    assert spoken(prompt) == "Be kind.\n\nHuman: Hi\n\nAssistant: Yes?"
    assert spoken((Message("assistant", " well \n"),)) == "well" == spoken(" well\n")
