"""``xpo label`` as a person uses it: keys, orders, going on; and a run that waits for it."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.stages.tiny import (
    ROOT,
    SIZES,
    STAGE,
    command,
    environment,
    run_command,
    run_here,
    summary,
    weights,
    write_lists,
)
from xpo.compose.errors import ConfigError
from xpo.data.errors import DataError
from xpo.data.record import Message, Record
from xpo.labelling.asked import asked_of, read_asked, write_asked
from xpo.labelling.label import main
from xpo.labelling.session import Session
from xpo.labelling.shown import blind_order, harmless

RESPONSES = ("red", "green", "blue")
RECORDS = [Record(f"question {i}?", RESPONSES, where=f"f:{i}") for i in range(4)]


class Typed:
    """A person who types this."""

    single = False

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    def key(self) -> str | None:
        return self.line()

    def line(self) -> str | None:
        return self.answers.pop(0) if self.answers else None


def waiting(
    tmp_path: Path, ways: tuple[str, ...] = ("choice", "scores"), records: Sequence[Record] = RECORDS
) -> Path:
    path = tmp_path / "to_label.jsonl"
    write_asked(path, [asked_of(record, ways) for record in records])
    return path


def sit(path: Path, *answers: str, seed: int = 0, width: int = 60) -> str:
    """One sitting; what the screen showed."""
    screen = io.StringIO()
    Session(path, seed, Console(file=screen, width=width), Typed(*answers)).run()
    return screen.getvalue()


def said(path: Path) -> list[Any]:
    return [row.said for row in read_asked(path)]


def best(row: int, number: int, seed: int = 0, path: Path | None = None) -> str:
    """The response that stood at a number of the screen."""
    assert path is not None
    asked = read_asked(path)[row]
    return asked.completions[blind_order(asked, seed)[number - 1]]


def test_a_number_is_the_response_on_the_screen(tmp_path: Path) -> None:
    path = waiting(tmp_path)
    screen = sit(path, "1", "3", "t")
    for i, number in ((0, 1), (1, 3)):
        assert RESPONSES[said(path)[i]["choice"] - 1] == best(i, number, path=path)
    assert said(path)[2:] == [{"choice": "tie"}, None]
    assert "0 of 4 labelled  f:0" in screen and "3 of 4 labelled  f:3" in screen
    shown = screen.split("question 0?")[1]
    assert shown.index(best(0, 1, path=path)) < shown.index(best(0, 2, path=path))


def test_the_order_is_drawn_and_repeatable(tmp_path: Path) -> None:
    path = waiting(tmp_path, records=[Record(f"q{i}", RESPONSES) for i in range(60)])
    orders = [tuple(blind_order(row, 0)) for row in read_asked(path)]
    assert len(set(orders)) == 6 and orders == [tuple(blind_order(row, 0)) for row in read_asked(path)]
    assert orders != [tuple(blind_order(row, 1)) for row in read_asked(path)]
    first = [order[0] for order in orders]
    assert all(10 <= first.count(place) <= 30 for place in range(3))  # 20 each; about 2.7 standard deviations


def test_scores_are_typed_in_the_order_of_the_screen(tmp_path: Path) -> None:
    path = waiting(tmp_path, ("scores",))
    screen = sit(path, "1", "1 2", "3 x 1", "nan 1 2", "0.5 -1 7")
    assert screen.count("none of these") == 2 and "are no numbers" in screen and "finite" in screen
    scores = said(path)[0]["scores"]
    assert [scores[place] for place in blind_order(read_asked(path)[0], 0)] == [0.5, -1, 7]


def test_skip_back_and_quit(tmp_path: Path) -> None:
    path = waiting(tmp_path)
    screen = sit(path, "s", "t", "b", "1", "s", "Q", "t")
    assert [entry is None for entry in said(path)] == [True, False, True, True]
    assert best(1, 1, path=path) == RESPONSES[said(path)[1]["choice"] - 1]
    assert "(choice so far: tie)" in screen
    sit(path, "b", "t", "b", "1")  # begins with the first that has no label; back from there stays there
    assert said(path)[0] is not None and said(path)[2] is None


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    path = waiting(tmp_path)
    sit(path, "t")
    assert "1 of 4 labelled  f:1" in sit(path, "t", "t", "t")
    assert said(path) == [{"choice": "tie"}] * 4 and "labelled" not in sit(path)


def test_edits_made_meanwhile_stay(tmp_path: Path) -> None:
    path = waiting(tmp_path)

    class Editor(Typed):
        def line(self) -> str | None:
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            rows[3]["choice"] = 2
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            return super().line()

    Session(path, 0, Console(file=io.StringIO()), Editor("t")).run()
    assert said(path) == [{"choice": "tie"}, None, None, {"choice": 2}]
    path.write_text(path.read_text().replace("tie", "tied"))
    with pytest.raises(DataError, match="to_label.jsonl:1: choice must be 1 to 3, or tie, got 'tied'"):
        sit(path, "t")


def test_one_response_is_good_or_bad(tmp_path: Path) -> None:
    path = waiting(tmp_path, ("label",), [Record("q", ("a",)), Record("q", ("b",))])
    assert "g good, x bad" in " ".join(sit(path, "t", "1", "g", "x").split())
    assert said(path) == [{"label": True}, {"label": False}]


def test_long_and_foreign_texts_are_wrapped_whole(tmp_path: Path) -> None:
    text = "日本語のテキスト、長い文。" * 20 + " Là-bas 🙂 [red]not red[/red]"
    path = waiting(tmp_path, records=[Record((Message("user", text),), (text, "\x1b[2Jcleared\u202e"))])
    screen = sit(path, "t", width=50)
    assert max(map(len, screen.split("\n"))) <= 90  # the help line is a line of its own
    lines = [line.strip("│ ") for line in screen.split("\n") if "│" in line]
    assert "".join(lines).replace(" ", "").count(text.replace(" ", "")) == 2
    assert "\x1b" not in screen and "<U+001B>[2Jcleared<U+202E>" in screen and "[red]not red[/red]" in screen
    assert harmless("a\tb\r\nc\N{ZERO WIDTH JOINER}") == "a    b\nc\N{ZERO WIDTH JOINER}"


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["run", "seed=x"]])
def test_what_is_no_command(arguments: list[str]) -> None:
    with pytest.raises(ConfigError, match="one folder or file"):
        main(arguments)


def test_a_folder_in_which_nothing_waits(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Nothing waits for a label here"):
        main([str(tmp_path)])
    with pytest.raises(ConfigError, match="no such file or folder"):
        main([str(tmp_path / "missing")])


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_single_keys_on_a_terminal(tmp_path: Path) -> None:
    path = waiting(tmp_path)
    ours, theirs = pty.openpty()
    person = subprocess.Popen(
        command("label", str(path)), cwd=ROOT, env=environment(), stdin=theirs, stdout=subprocess.PIPE
    )
    os.close(theirs)
    end = time.monotonic() + 60
    for number, key in enumerate(b"2ts"):
        os.write(ours, bytes([key]))  # no Enter
        while sum(entry is not None for entry in said(path)) < min(2, number + 1):
            assert time.monotonic() < end and person.poll() is None
            time.sleep(0.02)
    os.write(ours, b"q")
    printed = person.communicate(timeout=60)[0].decode()
    os.close(ours)
    assert person.returncode == 0 and "2 of 4 labelled" in printed
    assert RESPONSES[said(path)[0]["choice"] - 1] == best(0, 2, path=path)
    assert said(path)[1:] == [{"choice": "tie"}, None, None]


def test_a_run_waits_is_labelled_and_goes_on(tmp_path: Path) -> None:
    """To the same weights as one whose rows had these labels from the start."""
    data, bare = write_lists(tmp_path / "lists.jsonl", 12), tmp_path / "bare.jsonl"
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    texts = [{"prompt": row["prompt"], "completions": row["completions"]} for row in rows]
    bare.write_text("".join(json.dumps(row) + "\n" for row in texts))
    out = tmp_path / "run"
    run = ("algo=dpo", *SIZES, *STAGE, "trainer.steps=2", f"cache={tmp_path / 'cache'}", "logger=none")
    first = (*run, f"data.path={bare}", f"hydra.run.dir={out}")

    done = run_command(*first)
    assert done.returncode == 3, done.stderr
    assert "waiting: 12 of 12 rows have no label" in done.stderr and f"xpo label {out}" in done.stderr
    assert (summary(out)["status"], summary(out)["left"], summary(out)["total"]) == ("waiting", 12, 12)
    assert not (out / "model").exists()

    label = [*command("label", str(out))]
    typed = subprocess.run(
        label, input="1\n2\n3\nt\n" * 2, cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    assert typed.returncode == 0 and "8 of 12 labelled" in typed.stdout and "4 left" in typed.stdout

    lines = [json.loads(line) for line in (out / "to_label.jsonl").read_text().splitlines()]
    edited = [line if line["choice"] else {**line, "scores": [0.5, 2, 1]} for line in lines]
    (out / "to_label.jsonl").write_text("".join(json.dumps(line) + "\n" for line in edited))
    done = run_command(*first)
    assert done.returncode == 0, done.stderr
    assert summary(out)["status"] == "done" and (out / "model").exists()

    ours = {line["prompt"]: line for line in edited}
    for row in texts:
        line = ours[row["prompt"]]
        tied = line["choice"] == "tie"
        ranks = [int(not tied and line["choice"] - 1 != k) for k in range(3)] if line["choice"] else [2, 0, 1]
        row["ranks"] = ranks
    data.write_text("".join(json.dumps(row) + "\n" for row in texts))
    other = tmp_path / "other"
    run_here(other, *run, f"data.path={data}")
    mine, theirs = weights(out), weights(other)
    assert all((mine[name] == theirs[name]).all() for name in mine)
