"""``xpo revise``: what it writes, keeps and refuses."""

from __future__ import annotations

import json

import pytest

from tests.judge.scripted import Scripted, opened, text
from tests.judge.test_revise import says
from xpo.annotator.base import LabelError
from xpo.cli import main
from xpo.compose.errors import ConfigError
from xpo.errors import UserError
from xpo.judge.revise import Recipe
from xpo.judge.verb import main as verb
from xpo.judge.verb import parsed


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
