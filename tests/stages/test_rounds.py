"""Schedules of several rounds: which rows, which reference, which policy each begins with."""

from __future__ import annotations

import json
import zipfile

import pytest
import torch

from xpo.compose import Refused, build, compose_config
from xpo.contracts import Row
from xpo.run.files import OutputError
from xpo.stages import align as align_module
from xpo.stages import rounds as rounds_module
from xpo.stages.alignment import Turn
from xpo.stages.job import execute

SMALL = ["data.prompts=2", "data.symbols=3", "data.max_symbols=2", "sft.steps=5", "trainer.log_every=1"]


def composed(cache, *overrides):
    return build(compose_config(["algo=sdpo", *SMALL, f"cache={cache}", "data.records=40", *overrides]))


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model" / "model.safetensors")


def watched(monkeypatch):
    """What each round's alignment was given, and the reference's log-probs when it began."""
    seen = []
    original = align_module.align

    def align(alignment):
        reference = alignment.reference or align_module.make_reference(alignment)
        batch = next(iter(align_module.EvalLoader(SAME, alignment.sizes, alignment.collator())))
        with torch.no_grad():
            policy = alignment.policy.scoring(alignment.policy.model, batch)
        seen.append((list(alignment.rows.train), alignment.turn, reference(batch), policy))
        return original(alignment)

    monkeypatch.setattr(rounds_module, "align", align)
    return seen


SAME = [Row([1, 6], [[3, 2], [4, 5, 2]])]  # ids of the gold world's tokenizer: BOS, a word, symbols, EOS


def test_chunks_and_references(tmp_path, monkeypatch):
    seen = watched(monkeypatch)
    execute(composed(tmp_path / "cache", "trainer.steps=6", "schedule.rounds=3"), tmp_path / "run")
    sizes = [len(rows) for rows, *_ in seen]
    assert max(sizes) - min(sizes) <= 1 and 30 < sum(sizes) <= 40
    sources = [{row.source for row in rows} for rows, *_ in seen]
    assert not sources[0] & sources[1] and not sources[1] & sources[2]
    for _, turn, reference, policy in seen:  # each round's reference is the policy that it begins with
        torch.testing.assert_close(reference, policy)
        assert turn.of == 3
    assert not torch.allclose(seen[0][2], seen[1][2])
    stages = [
        json.loads(line)["stage"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    ]
    assert {"align", "align-2", "align-3"} <= set(stages)


def test_a_frozen_reference_is_the_initial_policy_in_every_round(tmp_path, monkeypatch):
    seen = watched(monkeypatch)
    run = composed(tmp_path / "cache", "trainer.steps=4", "reference=frozen", "schedule.rows=all")
    execute(run, tmp_path / "run")
    (rows, _, first, start), (again, _, second, later) = seen
    assert len(rows) == len(again)
    assert torch.equal(first, second) and torch.allclose(first, start) and not torch.allclose(second, later)


def test_easy_rows_come_first(tmp_path, monkeypatch):
    seen = []
    original = rounds_module._ease
    monkeypatch.setattr(
        rounds_module, "_ease", lambda alignment: seen.append(original(alignment)) or seen[-1]
    )
    chunks = []
    monkeypatch.setattr(rounds_module, "align", lambda a: chunks.append((a.rows.train, a)) or {})
    with pytest.raises(KeyError):  # nothing was measured: the stub trains nothing
        execute(composed(tmp_path / "cache", "trainer.steps=2"), tmp_path / "run")["gold/reward"]
    (ease,) = seen
    first, second = ([sum_of_log_probs(alignment, row) for row in rows] for rows, alignment in chunks)
    assert min(first) >= max(second) and sorted(ease, reverse=True) == pytest.approx(
        sorted(first + second, reverse=True), abs=1e-4
    )


def sum_of_log_probs(alignment, row):
    """log p(preferred) - log p(other), from the model's own logits within the world's support."""
    batch = next(iter(align_module.EvalLoader([row], alignment.sizes, alignment.collator())))
    with torch.no_grad():
        logp = alignment.policy.scoring(alignment.policy.model, batch).sum(-1)[0]
    return float(logp[0] - logp[1])


def test_a_finished_round_is_not_trained_again(tmp_path, monkeypatch):
    whole = composed(tmp_path / "cache", "trainer.steps=6")
    execute(whole, tmp_path / "whole")
    original, calls = rounds_module.align, []

    def killed(alignment):
        calls.append(alignment.turn.number)
        if alignment.turn.number == 2 and len(calls) == 2:
            raise KeyboardInterrupt
        return original(alignment)

    monkeypatch.setattr(rounds_module, "align", killed)
    with pytest.raises(KeyboardInterrupt):
        execute(whole, tmp_path / "again")
    execute(whole, tmp_path / "again")
    assert calls == [1, 2, 2]
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "again")
    assert all(torch.equal(one[name], other[name]) for name in one)


def killed_in_round_two(monkeypatch, composition, folder):
    """A run whose second round never begins."""
    original = rounds_module.align

    def killed(alignment):
        if alignment.turn.number == 2:
            raise KeyboardInterrupt
        return original(alignment)

    with monkeypatch.context() as patched:
        patched.setattr(rounds_module, "align", killed)
        with pytest.raises(KeyboardInterrupt):
            execute(composition, folder)


@pytest.mark.parametrize("algo", ["tr_dpo", "dro"])
def test_a_moving_reference_and_a_critic_go_on_too(algo, tmp_path, monkeypatch):
    rounds = [
        f"algo={algo}",
        "schedule=iterative",
        "schedule.rows=all",
        "trainer.steps=4",
        "data.mode=sampled",
    ]
    run = composed(tmp_path / "cache", f"algo={algo}", *rounds)
    execute(run, tmp_path / "whole")
    killed_in_round_two(monkeypatch, run, tmp_path / "again")
    execute(run, tmp_path / "again")
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "again")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_damaged_round_is_told_and_a_new_beginning_takes_none_up(tmp_path, monkeypatch):
    run = composed(tmp_path / "cache", "trainer.steps=4")
    killed_in_round_two(monkeypatch, run, tmp_path / "run")
    (left,) = (tmp_path / "run" / "checkpoints").glob("round-*.pt")
    saved = torch.load(left, weights_only=True)
    torch.save({"policy": dict(list(saved["policy"].items())[:1])}, left)
    with pytest.raises(OutputError, match="round-001.pt is damaged .*is missing.*Take away what round 1"):
        execute(run, tmp_path / "run")
    left.write_bytes(b"no checkpoint")
    with pytest.raises(OutputError, match="damaged"):
        execute(run, tmp_path / "run")
    anew = composed(tmp_path / "cache", "trainer.steps=4", "trainer.resume=never")
    killed_in_round_two(monkeypatch, anew, tmp_path / "run")
    assert left.is_file() and zipfile.is_zipfile(left)


def test_steps_are_shared_out():
    assert [Turn(n, 3).share(10) for n in (1, 2, 3)] == [3, 3, 4]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["algo=dpo", "reference=previous"], "has one round"),
        (["algo=dpo", "schedule=iterative", "schedule.rows=in_order"], "other rows"),
    ],
)
def test_what_has_no_meaning_is_refused(overrides, said):
    with pytest.raises(Refused, match=said):
        build(compose_config(overrides))
