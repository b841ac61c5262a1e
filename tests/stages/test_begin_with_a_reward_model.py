"""A run that begins with a finished reward model: its trunk and its head go on, or it says why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.stages.tiny import SIZES, run_here, weights, write_lists
from xpo.compose import Refused, build, compose_config
from xpo.errors import UserError

DATA = tuple(item for item in SIZES if item.startswith("data"))
RUN = tuple(item for item in SIZES if not item.startswith(("data", "model")))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("begins")
    write_lists(folder / "lists.jsonl")
    base = [*SIZES, f"data.path={folder / 'lists.jsonl'}", "sft=none", "trainer.steps=3"]
    for kind, more in {
        "score": [],
        "untied": ["model.tie_embeddings=false"],
        "cost": ["reward.sign=-1"],
        "pairs": ["reward_form=pairwise"],
    }.items():
        run_here(folder / kind, "algo=reward_bt", *base, *more, f"cache={folder / 'cache'}")
    return folder


def go_on(place: Path, kind: str, name: str, *more: str) -> dict[str, float]:
    path = f"model.path={place / kind / 'model'}"
    arguments = ["algo=reward_bt", f"data.path={place / 'lists.jsonl'}", *DATA, *RUN, "model=hf", path]
    return run_here(place / name, *arguments, "trainer.steps=1", f"cache={place / 'cache'}", *more)


def first(folder: Path) -> dict[str, float]:
    return json.loads((folder / "metrics.jsonl").read_text().splitlines()[0])


@pytest.mark.parametrize("kind", ["score", "untied", "cost"])
def test_it_begins_where_the_other_ended(place: Path, kind: str) -> None:
    ended = json.loads((place / kind / "summary.json").read_text())["metrics"]
    more = ["reward.sign=-1"] if kind == "cost" else []
    go_on(place, kind, f"{kind}-on", "optimizer.lr=1e-9", *more)
    begun = first(place / f"{kind}-on")
    for name in ("eval/loss", "eval/rewards/margins", "eval/rewards/chosen"):
        assert begun[name] == pytest.approx(ended[name], abs=1e-5)
    there, here = weights(place / kind), weights(place / f"{kind}-on")
    assert there.keys() == here.keys()
    assert all(torch.allclose(there[name], here[name], atol=1e-5) for name in there)
    stages = json.loads((place / f"{kind}-on" / "manifest.json").read_text())["stages"]
    assert {stage["name"]: stage["status"] for stage in stages}["sft"] == "skipped"


def test_it_goes_on_learning(place: Path) -> None:
    go_on(place, "score", "more")
    there, here = weights(place / "score"), weights(place / "more")
    assert not torch.equal(there["score.weight"], here["score.weight"])


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        ("pairs", [], "trained with reward_form=pairwise, and this run has reward_form=pointwise"),
        ("score", ["reward_level=token"], "reward_level=response, and this run has reward_level=token"),
        ("score", ["reward.members=2"], "a head of 1 outputs, and this run's has 2"),
    ],
)
def test_another_head_is_refused(place: Path, kind: str, more: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        go_on(place, kind, "refused", *more)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ("algo=dpo", "begins with a reward model, which predicts no token"),
        ("algo=reward_bt sft=merged", "sft=merged trains a likelihood"),
        ("algo=reward_pmp data.pretraining=x", "pretraining=comparisons trains a likelihood"),
    ],
)
def test_what_predicts_tokens_is_refused_before_anything_is_loaded(
    place: Path, overrides: str, said: str
) -> None:
    model = ["model=hf", f"model.path={place / 'score' / 'model'}", "data=jsonl", "data.path=x"]
    with pytest.raises(Refused, match=said) as caught:
        build(compose_config([*overrides.split(), *model]))
    assert caught.value.nearest


def test_a_reward_model_is_no_reference(place: Path) -> None:
    where = place / "score" / "model"
    arguments = ["algo=dpo", f"data.path={place / 'lists.jsonl'}", *SIZES, "sft=none", "trainer.steps=1"]
    with pytest.raises(UserError, match="reference.path=.* is a reward model"):
        run_here(
            place / "ref", *arguments, "reference=model", f"reference.path={where}", f"cache={place / 'c'}"
        )
