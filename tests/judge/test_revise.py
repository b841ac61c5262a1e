"""Sample, critique, revise: in this order, from what was revised last, and never twice."""

from __future__ import annotations

import json

import pytest

from tests.judge.scripted import Scripted, opened, text
from xpo.annotator.base import LabelError
from xpo.cli import main
from xpo.compose.errors import ConfigError
from xpo.data.record import Message
from xpo.errors import UserError
from xpo.judge import revise as module
from xpo.judge.principles import read_principles
from xpo.judge.revise import KIND, Recipe, revise, sampled
from xpo.judge.template_file import read_template
from xpo.judge.verb import main as verb
from xpo.judge.verb import parsed

TEMPLATE = read_template(KIND, "anthropic", thinking=True)
PRINCIPLES = read_principles(None, "critique", "revision")


def says(conversation, number=0):
    """A critique of, or an r more for, what is asked about."""
    response = conversation[0].content.split("answered:\n\n")[1].split("\n\nCritique request")[0]
    return f" critique of {response}\n" if len(conversation) == 1 else f" {response}r "


def ran(items, say=says, **recipe):
    backend = Scripted(say=say)
    return list(revise(backend, TEMPLATE, PRINCIPLES, items, Recipe(**recipe))), backend


def test_a_critique_then_a_revision_which_the_next_round_criticises():
    (one,), backend = ran([("p {response}", " a {prompt}")], rounds=3)
    assert [step.revision for step in one.steps] == ["a {prompt}r", "a {prompt}rr", "a {prompt}rrr"]
    assert [step.critique for step in one.steps][:2] == ["critique of a {prompt}", "critique of a {prompt}r"]
    assert one.last == "a {prompt}rrr" and len(backend.asked) == 6
    for step, first, second in zip(one.steps, backend.asked[::2], backend.asked[1::2], strict=True):
        assert [turn.role for turn in first] == ["user"] and "p {response}" in first[0].content
        assert step.principle.critique in first[0].content and step.principle.revision not in first[0].content
        assert second[:2] == (*first, Message("assistant", step.critique))
        assert second[2].role == "user" and step.principle.revision in second[2].content


def test_principles_are_drawn_by_content_round_and_seed():
    items = [(f"p{i}", "a") for i in range(12)]
    told = [
        [[step.principle for step in one.steps] for one in ran(items, seed=seed)[0]] for seed in (0, 0, 1)
    ]
    assert told[0] == told[1] != told[2]
    assert len({principle for row in told[0] for principle in row}) > 8
    assert any(len(set(row)) > 1 for row in told[0])


def test_an_empty_revision_ends_the_rounds():
    def silent_about_b(conversation, number):
        said = says(conversation)
        return " \n" if said.strip() == "br" else said

    found, backend = ran([("p", "a"), ("p", "b"), ("p", "c")], silent_about_b, rounds=2)
    assert [one.last for one in found] == ["arr", None, "crr"]
    assert len(backend.asked) == 2 * 3 + 2 * 2


@pytest.mark.parametrize(
    ("when", "whole"), [("critique of c", 2), ("cr", 2), ("critique of cr", 2), ("brr", 1)]
)
def test_an_error_comes_at_its_turn(when, whole):
    def fails(conversation, number):
        said = says(conversation)
        if said.strip() == when:
            raise UserError(f"no {when}")
        return said

    items = [("p", letter) for letter in "abcd"]
    found = revise(Scripted(say=fails), TEMPLATE, PRINCIPLES, items, Recipe(rounds=2))
    assert [next(found).last for _ in range(whole)] == ["arr", "brr"][:whole]
    with pytest.raises(UserError, match=f"^no {when}$"):
        next(found)


def test_of_two_errors_the_one_of_the_earlier_response_counts():
    def fails(conversation, number):
        said = says(conversation).strip()
        if said in ("dr", "brr"):  # d in the first round, b in the second
            raise UserError(said)
        return said

    found = revise(Scripted(say=fails), TEMPLATE, PRINCIPLES, [("p", x) for x in "abcd"], Recipe(rounds=2))
    assert next(found).last == "arr"
    with pytest.raises(UserError, match="^brr$"):
        next(found)


def test_the_model_answers_first():
    backend = Scripted(say=lambda conversation, number: f" to {text(conversation)}")
    prompts = ["hi\n", (Message("user", "you"),)]
    assert list(sampled(backend, prompts, Recipe().draw)) == ["to hi", "to you"]


@pytest.mark.parametrize("field", [{"rounds": 0}, {"max_new_tokens": 0}, {"temperature": -0.1}])
def test_recipes_out_of_range(field):
    with pytest.raises(ValueError, match=f"{next(iter(field))} must be"):
        Recipe(**field)


@pytest.fixture
def command(tmp_path):
    rows = [{"prompt": f"say {i}", "chosen": f" {c}", "rejected": "no"} for i, c in enumerate("abcdefgh")]
    rows[0] = {
        "prompt": [{"role": "user", "content": "say"}],
        "chosen": [{"role": "assistant", "content": "a"}],
        "rejected": [{"role": "assistant", "content": "no"}],
    }
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [
        "annotator=constitution",
        "annotator.path=any",
        "data=jsonl",
        f"data.path={tmp_path / 'rows.jsonl'}",
        "data.test_fraction=0",
        f"cache={tmp_path / 'cache'}",
        f"out={tmp_path / 'new' / 'revisions.jsonl'}",
        "rounds=2",
    ]


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_verb_writes_demonstrations_and_asks_once(monkeypatch, tmp_path, command, capsys):
    backend = opened(monkeypatch, Scripted(say=says))
    assert verb(command) == 0
    rows = lines(tmp_path / "new" / "revisions.jsonl")
    assert {"prompt": "say 1", "completion": " brr"} in rows  # the file's responses begin with a space
    assert {"prompt": [{"role": "user", "content": "say"}], "completion": "arr"} in rows
    assert {"prompt": "say 2", "completion": "norr"} in rows
    assert len(rows) == 16 and len(backend.asked) == 16 * 4
    assert "16 demonstrations" in capsys.readouterr().out
    again = opened(monkeypatch, Scripted())
    assert verb(command) == 0 and not again.asked
    assert lines(tmp_path / "new" / "revisions.jsonl") == rows
    trail = lines(next((tmp_path / "cache" / "revisions").glob("*.jsonl")))
    step = trail[0]["value"]["steps"][0]
    assert set(step) == {"principle", "critique", "revision"} and step["critique"].startswith("critique of ")


def test_demonstrations_can_be_read(monkeypatch, command, tmp_path):
    from xpo.compose import compose_config
    from xpo.compose.composition import instantiate

    opened(monkeypatch, Scripted(say=says))
    verb(command)
    data = instantiate(
        compose_config(
            [*command[2:5], f"data.demonstrations={tmp_path / 'new' / 'revisions.jsonl'}", "algo=sft"]
        )
    ).data.read()
    assert len(data.demonstrations) == 16
    assert {record.responses[0] for record in data.demonstrations if record.prompt == "say 1"} == {
        " brr",
        "norr",
    }


def test_a_stopped_command_goes_on(monkeypatch, tmp_path, command):
    def fails_at_e(conversation, number):
        said = says(conversation)
        if said.strip() == "er":
            raise UserError("gone")
        return said

    opened(monkeypatch, Scripted(say=fails_at_e))
    with pytest.raises(LabelError, match=r"rows.jsonl:5: gone"):
        verb(command)
    assert not (tmp_path / "new" / "revisions.jsonl").exists()
    backend = opened(monkeypatch, Scripted(say=says))
    verb(command)
    assert len(backend.asked) == 4 * 8  # 8 of 16 responses come before it


def test_the_models_own_answers_are_revised(monkeypatch, tmp_path, command):
    def answers_first(conversation, number):
        return says(conversation) if "answered" in text(conversation) else f"I {text(conversation)[-1]}"

    opened(monkeypatch, Scripted(say=answers_first))
    verb([*command, "start=model"])
    rows = lines(tmp_path / "new" / "revisions.jsonl")
    assert len(rows) == 8 and {"prompt": "say 3", "completion": " I 3rr"} in rows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("rounds=0", "rounds must be at least 1, got 0"),
        ("rounds=two", "rounds must be a whole number, got 'two'"),
        ("start=me", "start must be one of data, model, got 'me'"),
        ("out=x.json", "out must be a file that ends in .jsonl"),
        ("annotator=human", "annotator=human has no principles to revise by"),
        ("data=gold", "data=gold has no texts to revise"),
        ("template=x", "xpo brings: anthropic"),
    ],
)
def test_what_is_refused(monkeypatch, command, change, message):
    opened(monkeypatch, Scripted())
    group = change.partition("=")[0]
    kept = [argument for argument in command if not argument.startswith((f"{group}=", f"{group}."))]
    with pytest.raises(UserError, match=message):
        verb([*kept, change])


def test_the_file_that_is_read_is_not_written(monkeypatch, tmp_path, command):
    opened(monkeypatch, Scripted())
    with pytest.raises(ConfigError, match="is the file that is read"):
        verb([*command, f"out={tmp_path / 'rows.jsonl'}"])


def test_arguments(capsys):
    given, others = parsed(["a=b", "out=x.jsonl", "rounds=3", "temperature=0.5", "seed=4"])
    assert others == ["a=b"] and given.recipe == Recipe(3, 256, 0.5, 4)
    main(["revise", "--help"])
    assert "usage: xpo revise" in capsys.readouterr().out


def test_broken_variants_are_caught(monkeypatch):
    filling = module.filling

    def revises_the_first(prompt, response):
        return filling(prompt, response.rstrip("r"))

    monkeypatch.setattr(module, "filling", revises_the_first)
    with pytest.raises(AssertionError):
        test_a_critique_then_a_revision_which_the_next_round_criticises()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("annotator.template=google", "annotator.template is of comparisons.*a template=... of its own"),
        ("annotator.seed=3", "annotator.seed is of comparisons.*a seed=... of its own"),
        ("annotator.clamp=[0.1,0.9]", "annotator.clamp is of comparisons.*leave it away"),
        ("annotator.rationale_tokens=5", "annotator.rationale_tokens is of comparisons.*leave it away"),
        ("trainer.steps=9", "xpo revise does not read trainer.steps=9: .* annotator, cache, data"),
        ("algo=simpo", "xpo revise does not read algo=simpo"),
    ],
)
def test_what_revisions_do_not_read_is_refused(monkeypatch, command, change, said):
    opened(monkeypatch, Scripted())
    with pytest.raises(ConfigError, match=said):
        verb([*command, change])


@pytest.mark.parametrize("damaged", [{"first": "a", "steps": []}, {"last": 5}, "x", [1]], ids=str)
def test_a_damaged_entry_is_made_anew(monkeypatch, tmp_path, command, damaged):
    opened(monkeypatch, Scripted(say=says))
    verb(command)
    rows = lines(tmp_path / "new" / "revisions.jsonl")
    (kept,) = (tmp_path / "cache" / "revisions").glob("*.jsonl")
    entries = lines(kept)
    entries[3]["value"] = damaged
    kept.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    backend = opened(monkeypatch, Scripted(say=says))
    verb(command)
    assert lines(tmp_path / "new" / "revisions.jsonl") == rows and len(backend.asked) == 4
