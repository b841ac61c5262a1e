"""Small models for options that ask for a folder, and what such annotators make of the gold world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from xpo.annotator.base import Desk
from xpo.compose import ConfigError, build, compose_config
from xpo.explain.left_open import left_open
from xpo.explain.matrix_data import SMALL, in_context
from xpo.explain.options import Option, options
from xpo.explain.stand_ins import Given, filled, stand_ins
from xpo.gold.target import kl
from xpo.reward_model.saved import load_reward
from xpo.scoring.score import Scoring
from xpo.stages.source import Policy

WORLD = ("data.prompts=2", "data.symbols=3", "data.max_symbols=2", *SMALL)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return stand_ins(["data=gold", *WORLD], tmp_path_factory.mktemp("stand-ins") / "gold")


def option(group: str, name: str) -> Option:
    return next(option for option in options(group) if option.name == name)


def test_there_is_one_of_each_kind(given: Given) -> None:
    language, scores, pairs = (way["path"] for way in given)
    assert not load_reward(scores, "path").of_pairs and load_reward(pairs, "path").of_pairs
    with pytest.raises(ValueError, match="no head"):
        load_reward(language, "path")


def test_what_is_left_to_the_user_is_filled_in_every_way(given: Given) -> None:
    config = compose_config(["algo=dpo"])
    ways = list(filled(config, option("annotator", "reward_model"), given))
    assert [way["path"] for way in ways] == [way["path"] for way in given]
    (nothing,) = filled(config, option("annotator", "judge"), given)
    assert nothing["path"] is None  # a choice of its user's, no gap
    bare = [{"path": way["path"]} for way in given]
    with pytest.raises(ConfigError, match="annotator=safety needs annotator.helpfulness and annotator.cost"):
        list(filled(config, option("annotator", "safety"), bare))
    for name in ("safety", "weighted"):
        build({**config, "annotator": next(filled(config, option("annotator", name), given))})
    cost = load_reward(given[0]["cost"], "cost").meaning
    assert cost is not None and cost.sign == -1


def test_presets_are_put_on_data_that_they_take() -> None:
    rows = Path("rows.jsonl")
    assert "data.records=48" in in_context("dpo", "gold", rows)
    assert "data.mode=population" in in_context("reward_prm", "gold", rows)
    assert "data.path=rows.jsonl" in in_context("dpo", "file", rows)
    assert "data.mode=population" in in_context("rloo", "gold", rows)
    assert "annotator.path=unread" in in_context("rloo", "file", rows)
    assert "annotator.models=[{path: unread}]" in in_context("prm_rl", "file", rows)


def test_keys_that_only_a_user_can_set() -> None:
    assert left_open("safe_rlhf", "jsonl") == ["annotator.helpfulness", "annotator.cost"]
    assert left_open("safe_rlhf", "gold") == []  # the world labels
    assert left_open("prm_rl", "jsonl") == []
    assert left_open("prm_rl", "jsonl", {"models"}) == ["annotator.models"]
    assert left_open("dpo", "jsonl", {"rules"}) == []


def opened(cache: Path, *overrides: str) -> tuple[Any, Policy]:
    c = build(compose_config([*overrides, *WORLD, f"cache={cache}"]))
    source = c.data.open(c, Desk.of(c))
    loaded = c.model.load(seed=0, texts=source.texts, tokenizer=source.tokenizer)
    return source, Policy(loaded.model, loaded.tokenizer, Scoring(support=source.support), trained=True)


def test_a_reward_model_labels_the_whole_world(given: Given, tmp_path: Path) -> None:
    model = ["annotator=reward_model", f"annotator.path={given[1]['path']}"]
    source, start = opened(tmp_path, "algo=dpo", "reward.beta=2", *model)
    (row, *_) = source.rows(start, frozenset({"comparisons", "scores"})).train
    score, prefer = np.asarray(row.scores), np.asarray(row.prefer)
    assert len(score) == 12 and len(set(score.tolist())) > 6
    above = score[:, None] > score[None, :]
    assert (prefer[above] > 0).all() and (prefer[~above] == 0).all()
    assert source.measure(start).target is None

    source, start = opened(tmp_path, "algo=dpo", "reward.beta=2", "feedback.soft=true", *model)
    rows = source.rows(start, frozenset({"comparisons", "scores"})).train
    ruler = source.measure(start)
    scores = torch.tensor([row.scores for row in rows], dtype=torch.float64)
    assert ruler.target is not None
    assert kl(torch.log_softmax(ruler.ref_logp_XN + scores / 2, 1), ruler.target.logp_XN) < 1e-6
    told = ruler.optimum
    true = (ruler.target.logp_XN.exp() * source.world.reward_XN).sum(1).mean()
    assert told["gold/reward"] == pytest.approx(float(true)) and told["gold/gap_closed"] == pytest.approx(1)


def test_a_preference_model_labels_the_whole_world(given: Given, tmp_path: Path) -> None:
    model = ["annotator=preference_model", f"annotator.path={given[2]['path']}", "feedback.soft=true"]
    source, start = opened(tmp_path, "algo=ipo", "length=sum", *model)
    (row, *_) = source.rows(start, frozenset({"comparisons", "wins"})).train
    assert np.allclose(np.asarray(row.wins) + np.asarray(row.wins).T, 1)
    assert source.measure(start).target is not None
