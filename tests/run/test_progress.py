"""Progress: plain lines off a terminal, a bar on one, silence on other ranks."""

from __future__ import annotations

import io
import re
import time

import pytest

from xpo.run.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def first_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "XPO_PROGRESS"):
        monkeypatch.delenv(name, raising=False)


def test_off_a_terminal_lines_have_no_control_characters() -> None:
    out = io.StringIO()
    with progress(3, "tokenising", stream=out, interval=0.0) as bar:
        for _ in range(3):
            bar.advance(metrics={"loss": 0.69314})
    lines = out.getvalue().splitlines()
    assert [line.split(" (")[0] for line in lines] == [f"tokenising {i}/3" for i in (1, 2, 3, 3)]
    assert lines[-1].endswith("done)  loss 0.6931")
    assert all(character.isprintable() or character == "\n" for character in out.getvalue())


def test_lines_come_every_interval_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    out = io.StringIO()
    with progress(None, "caching", stream=out, interval=4.0) as bar:
        for _ in range(9):
            bar.advance()
    shown = [line.split(" (")[0] for line in out.getvalue().splitlines()]
    assert len(shown) < 9
    assert shown[-1] == "caching 9"


def test_a_resumed_loop_starts_where_it_was() -> None:
    out = io.StringIO()
    with progress(10, "training", start=7, stream=out) as bar:
        bar.advance(2)
    assert out.getvalue().startswith("training 9/10")


def test_a_loop_that_breaks_is_not_called_done() -> None:
    out = io.StringIO()
    with pytest.raises(RuntimeError), progress(10, "training", stream=out) as bar:
        bar.advance()
        raise RuntimeError
    assert "done" not in out.getvalue()


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    with progress(2, "evaluating", stream=out) as bar:
        bar.advance(metrics={"loss": 1.0})
        bar.advance()
    assert "\x1b[" in out.getvalue()
    assert "2/2" in out.getvalue() and "loss 1" in out.getvalue()


@pytest.mark.parametrize("columns", ["80", "110"])
def test_many_numbers_never_squeeze_the_count(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", columns)
    out = Terminal()
    names = ("loss", "rewards/margins", "rewards/accuracies", "rows_per_second")
    with progress(700, "training (align)", stream=out) as bar:
        bar.advance(700, dict.fromkeys(names, 0.123456))
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue()).strip().splitlines()[-1]
    assert "700/700 0:00:00 loss 0.1235  margins" in last
    assert len(last) <= int(columns)


@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK"])
def test_other_ranks_are_silent(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    out = io.StringIO()
    with progress(1, "training", stream=out) as bar:
        bar.advance()
    assert out.getvalue() == ""
