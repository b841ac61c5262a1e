"""Lists whose data have ranks and no scores: what reads orders trains, what reads scores says so."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.stages.tiny import SIZES, STAGE, run_here, write_lists
from xpo.compose import Refused, build, compose_config
from xpo.errors import UserError


@pytest.fixture
def ranked(tmp_path: Path) -> Path:
    """Three answers a prompt, the last two tied."""
    path = write_lists(tmp_path / "lists.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        del row["scores"]
        row["ranks"] = [0, 1, 1]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("preset", "start"),
    [
        ("pl_dpo", math.log(3)),
        ("lipo", 2 * (1 / math.log(2) - 1 / math.log(3)) * math.log(2)),  # psi 1, 0, 0; places 1, 2, 2
        ("rrhf", None),
        ("lipo objective=pair_logistic", 2 * math.log(2)),
        ("lipo objective=pair_hinge", 2.0),
        ("lipo objective=list_mle", math.log(3)),
    ],
    ids=str,
)
def test_orders_suffice(preset: str, start: float | None, ranked: Path, tmp_path: Path) -> None:
    algo, *others = preset.split()
    config = compose_config([f"algo={algo}"])
    stage = STAGE if "steps" in config["sft"] else ()
    given = (f"data.path={ranked}", f"cache={tmp_path / 'cache'}", "trainer.steps=2", "eval.samples=0")
    metrics = run_here(tmp_path / "out", f"algo={algo}", *SIZES, *given, *stage, *others)
    assert all(math.isfinite(value) for value in metrics.values())
    if start is not None:
        lines = (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()
        first = next(line for line in map(json.loads, lines) if line["stage"] == "align")
        assert first["eval/loss"] == pytest.approx(start, abs=1e-4)


@pytest.mark.parametrize("preset", ["infonca", "exo_reward", "stable_alignment"])
def test_scores_are_asked_for(preset: str, ranked: Path, tmp_path: Path) -> None:
    given = (f"data.path={ranked}", f"cache={tmp_path / 'cache'}", "trainer.steps=2")
    with pytest.raises((UserError, ValueError), match="scores"):
        run_here(tmp_path / "out", f"algo={preset}", *SIZES, *given)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ("algo=pl_dpo label_noise=smoothing", "changes only how surely"),
        ("algo=pl_dpo label_noise=flips", "changes only how surely"),
        ("algo=lipo label_noise=flips", "label_noise"),
        ("algo=pl_dpo reward=explicit reward.scale=2", "leaves as it is"),
        ("algo=pl_dpo data.mode=population", "orders, which have to be drawn"),
        ("algo=lipo objective=list_mle", "orders, which have to be drawn"),
        ("algo=infonca arity=single", "one response a row"),
        ("algo=infonca label_noise=smoothing", "nothing would change"),
        ("algo=infonca reward=implicit", "reads the scores of an explicit reward"),
        ("algo=infonca reward_form=pairwise", "which it does not read"),
        ("algo=exo_reward margin=constant", "reads no margin"),
        ("algo=nca_reward divergence=js", "does not depend on differences alone"),
        ("algo=lipo objective=softmax", "reads the scores of an explicit reward"),
        ("algo=pro arity=single", "one response a row"),
    ],
)
def test_what_would_not_be_read_is_refused(overrides: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        build(compose_config(overrides.split()))


@pytest.mark.parametrize(
    "overrides",
    [
        "algo=lipo label_noise=smoothing",
        "algo=lipo reward=explicit reward.scale=0.5",
        "algo=lipo reward=explicit reward_form=pairwise",
        "algo=lipo reward=explicit objective=softmax",
        "algo=lipo reward=explicit objective=point_squared",
        "algo=lipo objective=pair_hinge label_noise=flips margin=constant",
        "algo=pl_dpo reward=explicit",
        "algo=pl_dpo divergence=js length=mean",
        "algo=infonca divergence=forward_kl arity=pair",
        "algo=rrhf reference=frozen divergence=reverse_kl length=sum",
        "algo=stable_alignment objective.over=max",
    ],
)
def test_what_has_a_meaning_is_accepted(overrides: str) -> None:
    build(compose_config(overrides.split()))
