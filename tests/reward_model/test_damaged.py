"""config.json of any origin: each value that means nothing is named with its folder and key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.reward_model.folders import head_of, leave, meaning
from xpo.annotator.preference_model import PreferenceModel
from xpo.annotator.reward_model import RewardModel
from xpo.errors import UserError
from xpo.model.hf import HuggingFace
from xpo.model.scorer import Start, begin_with
from xpo.reward_model.saved import load_reward

XPO: dict[str, tuple[dict[str, Any], str]] = {
    "true as sign": ({"sign": True}, "xpo.sign in its config.json must be 1 or -1, got True"),
    "an offset of 400 digits": ({"offset": [10**400]}, "xpo.offset in its config.json must be a list of num"),
    "no such form": ({"reward_form": {"name": "foo"}}, "xpo.reward_form is .*foo.*, which is none"),
    "a form in a list": ({"reward_form": {"name": ["pointwise"]}}, "xpo.reward_form must be an option with"),
    "no form": ({"reward_form": {"name": "none"}}, "xpo.reward_form is none, which no head gives"),
    "a form made of others": (
        {"reward_form": {"name": "win_rate"}},
        "reward_form is win_rate, which no head",
    ),
    "no such level": ({"reward_level": {"name": "foo"}}, "xpo.reward_level is .*foo.*, which is none"),
    "no level": ({"reward_level": {"name": "none"}}, "xpo.reward_level is none, which gives no reward"),
    "no such pieces": (
        {"reward_level": {"name": "span", "segments": "bogus"}},
        "xpo.reward_level is .*which is none: reward_level.segments must be one of",
    ),
    "a reward without a head": ({"reward": {"name": "implicit"}}, "xpo.reward is implicit, which trains no"),
    "members as 1.0": ({"reward": {"name": "head", "members": 1.0}}, "reward.members must be a whole number"),
    "members as null": ({"reward": {"name": "head", "members": None}}, "reward.members must be a whole num"),
    "members as a text": ({"reward": {"name": "head", "members": "two"}}, "reward.members must be a whole"),
    "no members": ({"reward": {"name": "head", "members": 0}}, "members must be at least 1, got 0"),
    "together": (
        {"reward": {"name": "head", "reading": "together"}},
        "xpo.reward reads two responses together, and .*reward_form is pointwise",
    ),
    "a penalty of a text": ({"length": {"name": "penalty", "alpha": "x"}}, "xpo.length is .*which is none"),
}
WHOLE: dict[str, tuple[Any, str]] = {
    "a list": ([1], "its config.json must be an object, got"),
    "architectures as a number": ({"architectures": 5}, "architectures in its config.json must be a list of"),
    "architectures as a text": (
        {"architectures": "LlamaForSequenceClassification"},
        "must be a list of names",
    ),
    "no positions": ({"max_position_embeddings": 0}, "max_position_embeddings in its config.json must be at"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return leave(tmp_path_factory.mktemp("damaged") / "model")


@pytest.fixture
def restored(folder: str) -> Any:
    file = Path(folder) / "config.json"
    before = file.read_text()
    yield file
    file.write_text(before)


@pytest.mark.parametrize("case", [*XPO, *WHOLE])
def test_a_damaged_config_is_told_before_weights_are_read(case: str, folder: str, restored: Path):
    config = json.loads(restored.read_text())
    if case in XPO:
        change, message = XPO[case]
        config["xpo"].update(change)
    else:
        change, message = WHOLE[case]
        config = {**config, **change} if isinstance(change, dict) else change
    restored.write_text(json.dumps(config))
    for make in (RewardModel, PreferenceModel):
        with pytest.raises(UserError, match=f"annotator.path={folder}.*{message}"):
            make(folder)
    with pytest.raises(UserError, match=f"model.path={folder}.*{message}"):
        HuggingFace(folder).load(seed=0)


def test_a_head_that_is_not_finite_is_told_before_it_is_trained(tmp_path: Path):
    folder = leave(tmp_path / "model")
    file = Path(folder) / "model.safetensors"
    weights = load_file(file)
    weights["score.weight"][0, 0] = float("nan")
    save_file(weights, file, metadata={"format": "pt"})
    for load in (lambda: HuggingFace(folder).load(seed=0), lambda: load_reward(folder, "model.path")):
        with pytest.raises(UserError, match=f"model.path={folder}.* its head .score. are not all finite"):
            load()


def config(**changes: Any) -> dict[str, Any]:
    told = meaning("pairwise")
    options = {"reward_form": told.reward_form, "reward_level": told.reward_level, "length": told.length}
    return {**options, "reward": told.reward, **changes}


def test_a_head_goes_on_with_the_reading_that_it_had():
    joint = meaning("pairwise", reward={"name": "head", "reading": "together"})
    start = Start(torch.ones(1, 16), joint, "model.path=m")
    with pytest.raises(UserError, match="set reward.reading=together"):
        begin_with(head_of(meaning("pairwise")), start, config())
    apart = Start(torch.ones(1, 16), meaning("pairwise"), "model.path=m")
    with pytest.raises(UserError, match="set reward.reading=apart"):
        begin_with(head_of(meaning("pairwise")), apart, config(reward=joint.reward))


def test_a_head_of_tokens_goes_on_with_the_length_that_it_had():
    token = {"name": "token"}
    start = Start(torch.ones(1, 16), meaning(reward_level=token, length={"name": "mean"}), "model.path=m")
    here = {**config(), "reward_form": {"name": "pointwise"}, "reward": {"name": "head"}}
    head = head_of(meaning())
    with pytest.raises(
        UserError, match="trained with length=mean, and this run has length=sum.*Set length=mean"
    ):
        begin_with(head, start, {**here, "reward_level": token})
    begin_with(head, start, {**here, "reward_level": token, "length": {"name": "mean"}})
    assert torch.equal(head.score.weight, torch.ones(1, 16))
