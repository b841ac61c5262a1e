"""What asking costs, counted by hand, and where it stops."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.judge.asking import OPTIONS, asked_all, backend, questions
from tests.judge.server import answer, hang_up, serving, status
from xpo.judge.errors import JudgeError
from xpo.run.files import OutputError

PRICES = {"price_per_million_prompt_tokens": 1000.0, "price_per_million_completion_tokens": 5000.0}
ONE = 100 * 0.001 + 2 * 0.005  # what an answer with USAGE costs
USAGE = (100, 2)
MOST = (3 + 64 + 64) * 0.001 + 16 * 0.005  # of a question of three bytes


def account(folder: Path) -> dict[str, float]:
    return json.loads((folder / "out" / "judge.json").read_text())


def test_tokens_and_cost_are_added_up_over_the_sessions_of_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with serving(lambda body, n: answer("A", usage=USAGE)) as server:
        asked_all(server, tmp_path, ["one", "two"], **PRICES)
        asked_all(server, tmp_path, ["two", "six"], **PRICES)
    found = account(tmp_path)
    assert (found["prompt_tokens"], found["completion_tokens"]) == (300, 6)
    assert (found["requests"], found["cached"], found["uncounted"]) == (3, 1, 0)
    assert found["cost"] == pytest.approx(3 * ONE)
    assert "cost 0.33" in capsys.readouterr().out


def test_a_run_stops_before_it_costs_more_and_keeps_what_it_has(tmp_path: Path):
    limit = 2 * ONE + MOST - 1e-9  # a third could pass it
    with serving(lambda body, n: answer("A", usage=USAGE)) as server:
        with backend(server, tmp_path, concurrency=1, max_cost=limit, **PRICES) as made:
            found = made.options(questions("one", "two", "six", "ten"), OPTIONS)
            assert [next(found), next(found)] == [(1.0, 0.0)] * 2
            with pytest.raises(JudgeError, match="max_cost=.* could be passed"):
                next(found)
        assert server.calls == 2 and account(tmp_path)["cost"] == pytest.approx(2 * ONE)
        asked_all(server, tmp_path, ["one", "two", "six"], max_cost=limit + 2e-9, **PRICES)
    assert server.calls == 3


def test_requests_under_way_count_against_the_limit(tmp_path: Path):
    with serving(lambda body, n: answer("A", usage=USAGE)) as server:
        with pytest.raises(JudgeError, match="max_cost"):
            asked_all(
                server, tmp_path, [f"q{n:02}" for n in range(40)], concurrency=8, max_cost=1.0, **PRICES
            )
    assert account(tmp_path)["cost"] == pytest.approx(server.calls * ONE)
    assert account(tmp_path)["cost"] <= 1.0


def test_a_request_without_a_count_is_charged_at_its_most(tmp_path: Path):
    replies = [hang_up, status(500, "not billed"), answer("A", usage=None)]
    with serving(lambda body, n: replies[n]) as server:
        asked_all(server, tmp_path, ["one"], **PRICES)
    found = account(tmp_path)
    assert (found["requests"], found["retries"], found["uncounted"]) == (3, 2, 2)
    assert found["cost"] == pytest.approx(2 * MOST)


def test_an_account_that_is_damaged_is_not_taken_for_nothing(tmp_path: Path):
    path = tmp_path / "out" / "judge.json"
    path.parent.mkdir()
    with serving(lambda body, n: answer("A")) as server:
        for content, error, said in (
            ("{", OutputError, "cannot read"),
            ('{"cost": 1}', JudgeError, "no account"),
        ):
            path.write_text(content)
            with pytest.raises(error, match=said):
                asked_all(server, tmp_path, ["one"])
    assert server.calls == 0


@pytest.mark.parametrize(
    "change",
    [{"cost": float("nan")}, {"cost": "nan"}, {"requests": "x"}, {"requests": -1}, {"cached": 1.5}],
    ids=str,
)
def test_an_account_that_is_damaged_is_refused(change: dict[str, object], tmp_path: Path):
    with serving(lambda body, n: answer("A", usage=USAGE)) as server:
        asked_all(server, tmp_path, ["one"], **PRICES)
        path = tmp_path / "out" / "judge.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
        with pytest.raises(JudgeError, match=f"no account of a judge's requests .{next(iter(change))} is"):
            asked_all(server, tmp_path, ["one"], **PRICES)
