"""Whole runs: who is asked about what, how often, and what is trained on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.judge.server import Action, prefers_long, serving
from tests.stages.tiny import ROOT, SIZES, command, environment, run_here
from xpo.annotator.gold import Gold
from xpo.errors import UserError, Waiting
from xpo.on_policy.experience import Rollout

PAIRS, BUDGET = 12, 3
GOLD = [
    *("data=gold", "data.prompts=2", "data.symbols=3", "data.max_symbols=2", "data.records=40"),
    *("sft.steps=5", "trainer.steps=4", "schedule=iterative", "eval.samples=0", "logger=none"),
]


def pairs(folder: Path, labelled: bool = True) -> Path:
    """Pairs whose first response is the shorter one."""
    path = folder / "pairs.jsonl"
    sides = [("red", "small round blue"), ("old", "flat warm green")]
    rows = []
    for n in range(PAIRS):
        short, long = sides[n % 2]
        if labelled:
            rows.append({"prompt": f"Say {short} {n}:", "chosen": short, "rejected": f"{long} {n}"})
        else:
            rows.append({"prompt": f"Say {short} {n}:", "completions": [short, f"{long} {n}"]})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def on_files(folder: Path, *more: str) -> list[str]:
    return [
        "algo=dpo",
        *SIZES,
        f"data.path={folder / 'pairs.jsonl'}",
        "data.test_fraction=0",
        "sft=none",
        "schedule=iterative",
        f"query.budget={BUDGET}",
        "trainer.steps=4",
        "eval.samples=0",
        "logger=none",
        f"cache={folder / 'cache'}",
        *more,
    ]


def chosen(out: Path, number: int) -> dict[str, Any]:
    """What a round had labelled: places, and rows."""
    state = torch.load(out / "checkpoints" / f"labels-{number:03d}.pt", weights_only=True)
    return {"places": state["places"], "rows": Rollout.of(state["rollout"]).rows}


def test_nobody_is_asked_about_what_is_not_chosen_nor_twice_when_killed(tmp_path: Path):
    """A judge over HTTP, in both orders; the run dies while the second round is labelled."""
    pairs(tmp_path)
    asked: list[str] = []
    running: list[subprocess.Popen[str]] = []
    dies_at = 2 * BUDGET + 3  # the second round's first pair is paid for, and half of its second

    def script(body: dict[str, Any], number: int) -> Action:
        if number == dies_at:
            os.kill(running[0].pid, signal.SIGKILL)
            return lambda handler: None
        asked.append(json.dumps(body))
        return prefers_long(body, number)

    judge = ("query=uncertain", "annotator=judge", "annotator.model=m", "annotator.concurrency=1")
    out = tmp_path / "run"
    with serving(script) as server:
        given = on_files(tmp_path, *judge, "feedback.soft=true", f"annotator.url={server.url}")
        line = command(*given, f"hydra.run.dir={out}")
        pipe = subprocess.PIPE
        running.append(
            subprocess.Popen(line, cwd=ROOT, env=environment(), stdout=pipe, stderr=pipe, text=True)
        )
        running[0].communicate(timeout=240)
        assert running[0].returncode == -signal.SIGKILL
        before = torch.load(out / "checkpoints" / "labels-002.pt", weights_only=True)
        assert "rollout" not in before  # chosen, and not labelled yet
        run_here(out, *given)
    assert len(asked) == 2 * 2 * BUDGET and set(Counter(asked).values()) == {1}
    first, second = chosen(out, 1), chosen(out, 2)
    assert second["places"] == before["places"]
    assert len({*first["places"], *second["places"]}) == 2 * BUDGET
    about = {json.dumps(json.loads(body)["messages"]) for body in asked}
    prompts = [json.loads(line)["prompt"] for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    named = {n for n, prompt in enumerate(prompts) if any(prompt in messages for messages in about)}
    assert named == {*first["places"], *second["places"]}


def test_labels_of_earlier_rounds_stay_and_no_others_are_trained_on(tmp_path: Path, monkeypatch):
    from xpo.stages import rounds

    pairs(tmp_path)
    seen: list[list[str]] = []
    original = rounds.align
    monkeypatch.setattr(
        rounds, "align", lambda a: seen.append([r.source for r in a.rows.train]) or original(a)
    )
    run_here(tmp_path / "run", *on_files(tmp_path, "query=random", "schedule.rounds=3"))
    assert [len(sources) for sources in seen] == [BUDGET, 2 * BUDGET, 3 * BUDGET]
    assert seen[1][:BUDGET] == seen[0] and seen[2][: 2 * BUDGET] == seen[1]
    assert len(set(seen[2])) == 3 * BUDGET


def test_a_person_is_asked_about_what_is_chosen(tmp_path: Path):
    pairs(tmp_path, labelled=False)
    given = on_files(tmp_path, "query=uncertain")
    with pytest.raises(Waiting, match=f"{BUDGET} of {BUDGET} rows have no label"):
        run_here(tmp_path / "run", *given)
    path = tmp_path / "run" / "to_label.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) == BUDGET
    path.write_text("".join(json.dumps(row | {"choice": 1}) + "\n" for row in rows))
    with pytest.raises(Waiting, match=f"{BUDGET} of {BUDGET} rows have no label"):  # the next round's
        run_here(tmp_path / "run", *given)
    assert len(path.read_text().splitlines()) == 2 * BUDGET


def test_the_first_round_is_drawn_whatever_chooses_later(tmp_path: Path):
    found = {}
    for query in ("random", "uncertain"):
        run_here(tmp_path / query, "algo=dpo", "data.mode=sampled", f"query={query}", "query.budget=8", *GOLD)
        found[query] = [chosen(tmp_path / query, n)["places"] for n in (1, 2)]
    assert found["random"][0] == found["uncertain"][0] and found["random"][1] != found["uncertain"][1]


@pytest.mark.parametrize(
    "options",
    [
        ("algo=reward_bt", "reward.members=3", "query=disagreement"),
        ("algo=reward_bt", "query=information"),
        ("algo=reward_pm", "query=uncertain"),
        ("algo=dpo", "query=information"),
        ("algo=kto", "feedback=preference", "query=uncertain"),
        ("algo=simpo", "query=uncertain", "query.side=sure"),
    ],
    ids=" ".join,
)
def test_whatever_is_trained_chooses(options: tuple[str, ...], tmp_path: Path):
    run_here(tmp_path / "run", *options, "data.mode=sampled", "query.budget=8", *GOLD)
    first, second = chosen(tmp_path / "run", 1), chosen(tmp_path / "run", 2)
    assert len({*first["places"], *second["places"]}) == 16


def test_samples_are_labelled_by_the_budget(tmp_path: Path, monkeypatch):
    """Of what the policy answers; held-out prompts as many as are measured."""
    counts: list[int] = []
    label = Gold.__call__

    def counted(self, records, desk=None):
        counts.append(len(records))
        return label(self, records, desk)

    monkeypatch.setattr(Gold, "__call__", counted)
    options = ("algo=iterative_dpo", "annotator=gold", "query=uncertain", "query.budget=5", "eval.rows=2")
    run_here(tmp_path / "run", *options, *GOLD)
    assert counts == [5, 2] * 3  # three rounds
    for number in (1, 2, 3):
        path = tmp_path / "run" / "checkpoints" / f"samples-{number:03d}.pt"
        assert len(torch.load(path, weights_only=True)["train"]["rows"]) <= 5


def test_a_choice_that_takes_the_wrong_end_is_seen(tmp_path: Path, monkeypatch):
    """The second round's pairs are those of which the policy after the first is least sure."""
    from xpo.stages import chooser

    told: list[list[float]] = []
    original = chooser.Chooser._told

    def watched(self, rows, reference):
        found = original(self, rows, reference)
        told.append([float(one.log_odds_MKK[0, 0, 1].abs()) for one in found])
        return found

    monkeypatch.setattr(chooser.Chooser, "_told", watched)
    run_here(tmp_path / "run", "algo=dpo", "data.mode=sampled", "query=uncertain", "query.budget=6", *GOLD)
    first, second = (chosen(tmp_path / "run", n)["places"] for n in (1, 2))
    left = [place for place in range(40) if place not in first]
    gaps = dict(zip(left, told[0], strict=False))
    assert max(gaps[place] for place in second) <= min(gaps[p] for p in left if p not in second) + 1e-6
    assert max(gaps.values()) > 2 * max(gaps[place] for place in second)


def test_a_budget_of_more_than_there_is(tmp_path: Path):
    pairs(tmp_path)
    with pytest.raises(
        UserError, match="query.budget=7 in 2 rounds are 14 labels, and 12 rows.*to 6 at most"
    ):
        run_here(tmp_path / "run", *on_files(tmp_path, "query=random", "query.budget=7"))
    options = ("algo=iterative_dpo", "annotator=gold", "query=random", "query.budget=41")
    with pytest.raises(UserError, match="query.budget=41 is more than the 40 prompts"):
        run_here(tmp_path / "samples", *options, *GOLD)


def test_a_prompt_with_one_response_is_not_worth_a_label(tmp_path: Path):
    rows = [
        {"prompt": f"Say {n}:", "completions": ["red", "old"][:size], "scores": [1.0, 0.0][:size]}
        for n, size in enumerate([2] * PAIRS + [1] * PAIRS)
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run_here(tmp_path / "run", *on_files(tmp_path, "query=random"))
    found = [row.source for number in (1, 2) for row in chosen(tmp_path / "run", number)["rows"]]
    assert len(found) == 2 * BUDGET and all(int(source.split(":")[-1]) <= PAIRS for source in found)
    pool = json.loads((tmp_path / "run" / "manifest.json").read_text())["dropped_rows"]["pool"]
    assert (pool["read"], pool["kept"], pool["dropped"]) == (
        2 * PAIRS,
        PAIRS,
        {"fewer than 2 responses": PAIRS},
    )
