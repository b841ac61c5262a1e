"""Rows that are too long to be revised: an error that names the key, or left out with a count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.judge.local_models import policy, templated
from tests.judge.scripted import Scripted, opened
from xpo.annotator.base import LabelError
from xpo.compose.errors import ConfigError
from xpo.judge.local import LocalBackend
from xpo.judge.verb import main as verb

TEMPLATE = """think: [{role: user, content: "{prompt}{response}{critique}"}]
then: [{role: user, content: "{revision}"}]
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Responses of 1, 40, 2 and 200 letters to a model of 96 positions."""
    opened(monkeypatch, LocalBackend(policy(templated())))  # pyright: ignore[reportArgumentType]
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "principles.yaml").write_text("- {compare: c, critique: a, revision: b}\n")
    rows = [{"prompt": f"{i}", "completion": "z" * size} for i, size in enumerate((1, 40, 2, 200))]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [
        "annotator=constitution",
        "annotator.path=any",
        f"annotator.principles={tmp_path}/principles.yaml",
        f"template={tmp_path}/template.yaml",
        "data=jsonl",
        f"data.path={tmp_path}/rows.jsonl",
        "data.test_fraction=0",
        f"cache={tmp_path}/cache",
        f"out={tmp_path}/new.jsonl",
        "rounds=1",
        "max_new_tokens=2",
    ]


def written(tmp_path: Path) -> list[str]:
    return [json.loads(line)["prompt"] for line in (tmp_path / "new.jsonl").read_text().splitlines()]


def test_the_error_names_the_key(command: list[str]) -> None:
    with pytest.raises(
        LabelError, match=r"rows.jsonl:4: the judge's question .*data.on_long_row=drop leaves"
    ):
        verb(command)


def test_what_the_window_does_not_hold_is_left_out(command: list[str], tmp_path: Path, capsys: Any) -> None:
    assert verb([*command, "data.on_long_row=drop"]) == 0
    said = capsys.readouterr().out
    assert "1 left out because they are too long (data.on_long_row=drop)" in said
    assert "3" not in written(tmp_path)


def test_limits_of_the_data_leave_rows_out(command: list[str], tmp_path: Path, capsys: Any) -> None:
    assert verb([*command, "data.on_long_row=drop", "data.max_response_length=20"]) == 0
    assert "2 left out because they are too long" in capsys.readouterr().out
    assert set(written(tmp_path)) <= {"0", "2"}


def test_limits_that_would_cut_or_cannot_be_counted(command: list[str], monkeypatch: Any) -> None:
    with pytest.raises(ConfigError, match="data.max_length cuts longer rows, .* data.on_long_row=drop"):
        verb([*command, "data.max_length=64"])
    opened(monkeypatch, Scripted())
    with pytest.raises(ConfigError, match="data.max_length counts tokens, .*annotator.url"):
        verb([*command, "data.max_length=64", "data.on_long_row=drop"])
