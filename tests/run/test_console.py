"""The tables at the end of a run and of a sweep."""

from __future__ import annotations

import pytest

from xpo.run.console import SWEEP_METRICS, duration, render_outcome, render_sweep

GOLD = {
    "before": {"gold/gap_closed": 0.0, "gold/reward": 0.1234567, "gold/win_rate": 0.5},
    "after": {"gold/gap_closed": 0.9961, "gold/reward": 0.8, "gold/win_rate": 0.9, "unknown": 1.0},
    "optimum": {"gold/gap_closed": 1.0, "gold/reward": float("nan")},
}


def outcome(terminal: bool) -> str:
    return render_outcome(GOLD, title="algo=dpo", seconds=42.13, where="outputs/dpo/x", terminal=terminal)


def test_a_plain_outcome() -> None:
    assert outcome(terminal=False).splitlines() == [
        "algo=dpo",
        "                                before   after  optimum",
        "gap to the optimum closed        0.0 %  99.6 %  100.0 %",
        "reward                          0.1235     0.8      nan",
        "win rate against the reference  50.0 %  90.0 %",
        "42.1 s; everything lies in outputs/dpo/x",
    ]


def test_a_terminal_gets_a_box_with_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    text = outcome(terminal=True)
    assert "\x1b[" in text and "99.6 %" in text and "0.1235" in text


def test_off_a_terminal_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert render_outcome({}, title="t", seconds=1, where="w") == "t\n1.0 s; everything lies in w\n"


ROWS = [
    {
        "cell": 0,
        "settings": {"algo": "dpo", "divergence": "js"},
        "status": "done",
        "metrics": {"gold/gap_closed": 0.991, "gold/kl_to_optimum": 0.5},
        "seconds": 61.0,
        "dir": "outputs/0",
    },
    {
        "cell": 1,
        "settings": {"algo": "kto", "divergence": "js"},
        "status": "refused",
        "reason": "no [difference]",
    },
]


def test_a_plain_sweep() -> None:
    assert render_sweep(ROWS, terminal=False).splitlines() == [
        "2 cells: 1 done, 1 refused",
        "algo  divergence  status   gold/gap_closed  gold/kl_to_optimum       time",
        "dpo   js          done              99.1 %                 0.5  1 min 1 s",
        "kto   js          refused",
        "",
        "refused: algo=kto divergence=js",
        "  no [difference]",
    ]


def test_a_sweep_on_a_terminal_takes_brackets_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    assert "no [difference]" in render_sweep(ROWS, terminal=True)


def test_a_long_reason_stays_a_sentence_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    reason = "its reward is known up to a constant of the prompt, and the objective needs it itself"
    text = render_sweep([ROWS[0], {**ROWS[1], "reason": reason}], terminal=True)
    assert f"refused: algo=kto divergence=js\n  {reason}\n" in text
    assert len(text.splitlines()) < 16


def test_a_sweep_of_everything_breaks_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    row = {**ROWS[0], "settings": {"algo": "simpo", "divergence": "reverse_kl"}}
    heads = {"eval/accuracy", "eval/sign_accuracy"}  # of reward models, which have no policy
    sampled, exact = {"eval/sample_score"}, {name for name in SWEEP_METRICS if name.startswith("gold/")}
    for other, words in ((sampled, ("optimum", "closed")), (exact, ("sample score",))):
        # what is known exactly is not measured on samples: no cell has both
        metrics = dict.fromkeys([name for name in SWEEP_METRICS if name not in other | heads], 0.0005265)
        text = render_sweep([{**row, "metrics": metrics}], terminal=True)
        assert "reverse_kl" in text and "0.0005265" in text
        assert all(word in text for word in ("accuracy", "log-prob", *words))


def test_what_reward_models_are_trained_for_is_shown() -> None:
    metrics = {"eval/accuracy": 0.75, "eval/share_good": 0.5, "eval/sign_accuracy": 1.0}
    text = render_outcome({"after": metrics}, title="t", seconds=1, where="w", terminal=False)
    assert all(line in text for line in ("labels told right", "75.0 %", "signs told right", "50.0 %"))
    row = {**ROWS[0], "metrics": metrics}
    assert "eval/accuracy  eval/sign_accuracy" in render_sweep([row], terminal=False)
    assert "signs" in render_sweep([row], terminal=True)


def test_a_title_is_one_line_however_narrow_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    title = "Direct Preference Optimization (data=jsonl, divergence=reverse_kl)"
    table = {"after": {"eval/loss": 0.2}}
    assert title in render_outcome(table, title=title, seconds=1, where="w", terminal=True)


def test_a_sweep_without_settings_shows_overrides_and_no_empty_column() -> None:
    text = render_sweep([{"overrides": ["algo=dpo", "seed=1"], "status": "done"}], terminal=False)
    assert text.splitlines()[1:] == ["overrides        status  time", "algo=dpo seed=1  done"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 0 s"), (7800, "2 h 10 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
