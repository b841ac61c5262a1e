"""What a schedule of rounds says of each round: where it begins, what is kept, which one is the result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.on_policy.files import small
from tests.stages.tiny import run_here, weights
from xpo.errors import UserError
from xpo.on_policy.experience import Rollout
from xpo.stages import align as align_file
from xpo.stages import rounds as rounds_file

RAFT = ("algo=raft", "sampling.responses=3", "trainer.steps=6", "schedule.rounds=3", "optimizer.lr=0.05")


class Seen:
    """What each round began with."""

    def __init__(self, patched: pytest.MonkeyPatch) -> None:
        self.start: list[torch.Tensor] = []
        self.end: list[torch.Tensor] = []
        self.rate: list[float] = []
        self.rows: list[int] = []
        self.reference: list[torch.Tensor] = []
        align = rounds_file.align

        def told(alignment: Any) -> Any:
            model = alignment.policy.model
            weight = next(p for p in model.parameters() if p.requires_grad)
            self.start.append(weight.detach().clone())
            self.rate.append(alignment.setting.composition.optimizer.lr)
            self.rows.append(len(alignment.rows.train))
            metrics = align(alignment)
            self.end.append(weight.detach().clone())
            return metrics

        made = align_file.make_reference

        def referred(alignment: Any, lasting: bool = False) -> Any:
            found = made(alignment, lasting)
            if found.host is not None:
                with found.host() as model:
                    self.reference.append(next(model.parameters()).detach().clone())
            return found

        patched.setattr(rounds_file, "align", told)
        patched.setattr(align_file, "make_reference", referred)
        patched.setattr(rounds_file, "make_reference", referred)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    return Seen(monkeypatch)


def test_rounds_go_on_from_the_last_one(tmp_path: Path, seen: Seen) -> None:
    run_here(tmp_path / "run", *small(tmp_path, tmp_path / "run", *RAFT))
    assert all(torch.equal(a, b) for a, b in zip(seen.end, seen.start[1:], strict=False))
    assert not torch.equal(seen.start[0], seen.start[1]) and seen.rate == [0.05] * 3


def test_or_begin_with_the_initial_policy(tmp_path: Path, seen: Seen) -> None:
    run_here(tmp_path / "run", *small(tmp_path, tmp_path / "run", *RAFT, "schedule.begin=first"))
    assert all(torch.equal(seen.start[0], start) for start in seen.start)
    assert not torch.equal(seen.end[0], seen.start[0])
    samples = [tmp_path / "run" / "checkpoints" / f"samples-00{n}.pt" for n in (1, 2)]
    first, second = (Rollout.of(torch.load(path, weights_only=True)["train"]).rows for path in samples)
    assert first != second, "the second round's samples are of what the first one came to"


def test_a_resumed_run_begins_its_rounds_with_the_same_policy(tmp_path: Path, seen: Seen) -> None:
    more = (*RAFT, "schedule.begin=first")
    run_here(tmp_path / "whole", *small(tmp_path, tmp_path / "whole", *more))
    out, align = tmp_path / "again", rounds_file.align
    with pytest.MonkeyPatch.context() as patched:

        def killed(alignment: Any) -> Any:
            if alignment.turn.number == 3:
                raise KeyboardInterrupt
            return align(alignment)

        patched.setattr(rounds_file, "align", killed)
        with pytest.raises(KeyboardInterrupt):
            run_here(out, *small(tmp_path, out, *more))
    run_here(out, *small(tmp_path, out, *more))
    one, other = weights(tmp_path / "whole"), weights(out)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_samples_of_earlier_rounds_are_kept(tmp_path: Path, seen: Seen) -> None:
    run_here(tmp_path / "run", *small(tmp_path, tmp_path / "run", *RAFT, "schedule.replay=1"))
    own = [
        len(Rollout.of(torch.load(tmp_path / f"run/checkpoints/samples-00{n}.pt")["train"]).rows)
        for n in (1, 2, 3)
    ]
    assert seen.rows == [own[0], own[0] + own[1], own[1] + own[2]]


def test_a_round_learns_slower_than_the_last(tmp_path: Path, seen: Seen) -> None:
    run_here(tmp_path / "run", *small(tmp_path, tmp_path / "run", *RAFT, "schedule.lr_decay=0.5"))
    assert seen.rate == [0.05, 0.025, 0.0125]


def test_the_best_round_is_the_result(tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    told, measured = iter([0.0, 1.0, 0.0, 3.0, 0.0, 2.0]), align_file.measured  # of starts and ends
    monkeypatch.setattr(align_file, "measured", lambda *of: {**measured(*of), "eval/of_mine": next(told)})
    out = tmp_path / "run"
    metrics = run_here(out, *small(tmp_path, out, *RAFT, "schedule.keep_best=eval/of_mine"))
    assert metrics["eval/of_mine"] == 3.0
    name = next(iter(weights(out)))
    saved = torch.load(out / "checkpoints" / "round-002.pt", weights_only=True)["policy"]
    key = next(k for k in saved if k.endswith(name))
    assert torch.equal(weights(out)[name], saved[key])
    assert [m["eval/of_mine"] for m in json.loads((out / "checkpoints/rounds.json").read_text())] == [1, 3, 2]


def test_a_metric_that_is_not_there_is_named(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(UserError, match="schedule.keep_best=eval/nothing is no metric of this run's rounds"):
        run_here(out, *small(tmp_path, out, *RAFT, "schedule.keep_best=eval/nothing"))


def test_the_reference_is_the_policy_that_the_round_before_left(tmp_path: Path, seen: Seen) -> None:
    """sDPO's shift, with samples: each round's reference is its own start."""
    more = ("algo=iterative_dpo", "reference=previous", *RAFT[1:])
    run_here(tmp_path / "run", *small(tmp_path, tmp_path / "run", *more))
    assert len(seen.reference) == 3
    assert all(torch.equal(a, b) for a, b in zip(seen.reference, seen.start, strict=True))


def test_or_the_initial_one(tmp_path: Path, seen: Seen) -> None:
    run_here(tmp_path / "run", *small(tmp_path, tmp_path / "run", "algo=iterative_dpo", *RAFT[1:]))
    assert len(seen.reference) == 1 and torch.equal(seen.reference[0], seen.start[0])
