"""Trained models as annotators: beside plain transformers and hand numbers; what they refuse."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.reward_model.folders import RECORDS, leave, meaning, policy, tokenizer
from tests.reward_model.test_folder import logits
from xpo.annotator.base import Desk, LabelError
from xpo.annotator.implicit import Implicit
from xpo.annotator.preference_model import PreferenceModel
from xpo.annotator.reward_model import RewardModel, bradley_terry
from xpo.annotator.safety import Safety
from xpo.data.record import Record
from xpo.errors import UserError
from xpo.reward_model import ask


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "cache")


def scores(records: Sequence[Record]) -> list[float]:
    return [score for record in records for score in record.scores or ()]


def test_members_are_combined_by_hand():
    reward_MK = torch.tensor([[1.0, 3.0], [3.0, 3.0], [5.0, 0.0]], dtype=torch.float64)
    mean = RewardModel("a").combined(reward_MK)
    assert mean.tolist() == [3.0, 2.0]
    assert RewardModel("a", "min").combined(reward_MK).tolist() == [1.0, 0.0]
    wary = RewardModel("a", "uncertainty", 0.75).combined(reward_MK)  # variances 8 / 3 and 2
    assert wary.tolist() == pytest.approx([1.0, 0.5])
    deviation = mean - 0.75 * reward_MK.std(0)
    assert wary.tolist() != pytest.approx(deviation.tolist(), abs=0.1)


def test_wins_are_of_score_differences():
    wins = bradley_terry(torch.tensor([0.0, 1.0986122886681098, 0.0], dtype=torch.float64))
    assert wins[1] == pytest.approx((0.75, 0.5, 0.75)) and wins[0] == pytest.approx((0.5, 0.25, 0.5))


def test_one_model_gives_its_scores_without_the_offset(tmp_path: Path, desk: Desk):
    path = leave(tmp_path / "model", told=meaning(offset=(0.5,)))
    found = RewardModel(path)(RECORDS, desk)
    assert scores(found) == pytest.approx((logits(path) - 0.5).flatten().tolist(), abs=1e-5)
    first, second = scores(found[1:2])
    odds = torch.sigmoid(torch.tensor(first - second)).item()
    assert found[1].wins is not None and found[1].wins[0][1] == pytest.approx(odds)
    assert found[0].labels is None and found[0].ranks is None


def test_members_and_folders_are_combined_alike(tmp_path: Path, desk: Desk):
    head = leave(tmp_path / "head", told=meaning(offset=(0.5, -0.5)))
    other = leave(tmp_path / "other", policy(seed=1), meaning(offset=(1.0,)))
    members = torch.cat([logits(head) - torch.tensor([0.5, -0.5]), logits(other) - 1.0], 1)
    found = RewardModel((head, other), "min")(RECORDS, desk)
    assert scores(found) == pytest.approx(members.amin(1).tolist(), abs=1e-5)
    found = RewardModel((head, other))(RECORDS, desk)
    assert scores(found) == pytest.approx(members.mean(1).tolist(), abs=1e-5)


def test_a_pairwise_model_gives_wins(tmp_path: Path, desk: Desk):
    path = leave(tmp_path / "model", told=meaning("pairwise"))
    found = PreferenceModel(path)(RECORDS[:2], desk)
    wins = found[0].wins
    assert wins is not None
    r, a, b = (logits(path)[:3, part].double() for part in (0, slice(1, 3), slice(3, 5)))
    odds = r[0] - r[2] + a[0] @ b[2] - b[0] @ a[2]
    assert wins[0][2] == pytest.approx(torch.sigmoid(odds).item(), abs=1e-5)
    assert wins[2][0] == pytest.approx(1 - wins[0][2]) and wins[1][1] == 0.5
    assert scores(found)[0] == pytest.approx((wins[0][1] + wins[0][2]) / 2)
    with pytest.raises(LabelError, match="a:3: annotator=preference_model compares responses"):
        PreferenceModel(path)(RECORDS, desk)


def test_an_implicit_reward_is_of_log_ratios(tmp_path: Path, desk: Desk):
    models = [policy(), policy(seed=1)]
    for model, name in zip(models, ("policy", "reference"), strict=True):
        model.save_pretrained(tmp_path / name)
        tokenizer().save_pretrained(tmp_path / name)
    option = Implicit(path=str(tmp_path / "policy"), reference=str(tmp_path / "reference"), beta=0.5)
    ids = tokenizer()("Say red and green: warm<|eos|>", return_tensors="pt").input_ids
    start = len(tokenizer()("Say red and green:").input_ids)
    logp = [model(input_ids=ids).logits[0].log_softmax(-1) for model in models]
    terms = [(logp[0] - logp[1])[t - 1, ids[0, t]].item() for t in range(start, ids.shape[1])]
    assert scores(option(RECORDS, desk))[-1] == pytest.approx(0.5 * sum(terms), abs=1e-4)
    swapped = dataclasses.replace(option, path=option.reference, reference=option.path)
    assert scores(swapped(RECORDS, desk)) == pytest.approx(
        [-s for s in scores(option(RECORDS, desk))], abs=1e-5
    )


def test_safety_is_helpfulness_less_the_cost(tmp_path: Path, desk: Desk):
    helpful = leave(tmp_path / "helpful", told=meaning(offset=(0.5,)))
    costly = leave(tmp_path / "cost", policy(seed=1), meaning(offset=(0.0,), sign=-1))
    reward, cost = (logits(helpful) - 0.5).flatten(), logits(costly).flatten()
    limit = cost.mean().item()
    found = Safety(helpful, costly, weight=2.0, limit=limit)(RECORDS, desk)
    assert scores(found) == pytest.approx((reward - 2 * (cost - limit)).tolist(), abs=1e-4)
    labels = [label for record in found for label in record.labels or ()]
    assert labels == [value < limit for value in cost.tolist()] and 0 < sum(labels) < 6
    found = Safety(helpful, costly, weight=2.0, limit=limit, excess=True)(RECORDS, desk)
    above = [max(0.0, value - limit) for value in cost.tolist()]
    expected = [r - 2 * c for r, c in zip(reward.tolist(), above, strict=True)]
    assert scores(found) == pytest.approx(expected, abs=1e-4)


def test_labels_are_kept_by_weights_not_by_folders(tmp_path: Path, desk: Desk, monkeypatch: Any):
    one, other = (leave(tmp_path / name) for name in ("one", "other"))
    first = RewardModel(one)(RECORDS, desk)

    def loaded(*_: Any, **__: Any) -> Any:
        raise AssertionError("asked again")

    ask.hash_of(other, "path")
    monkeypatch.setattr("xpo.annotator.reward_model.load", loaded)
    assert RewardModel(other, tokens=99)(RECORDS, desk) == first
    with pytest.raises(LabelError, match="asked again"):
        RewardModel((one, leave(tmp_path / "third", policy(seed=1))))(RECORDS, desk)


def test_a_model_that_says_nothing_finite_is_stopped_at_its_row(tmp_path: Path, desk: Desk):
    model = policy()
    with torch.no_grad():
        model.get_input_embeddings().weight[tokenizer()(" warm").input_ids[-1]] = float("nan")
    with pytest.raises(LabelError, match="a:3: a score must be finite, got nan"):
        RewardModel(leave(tmp_path / "model", model))(RECORDS, desk)


def test_cuts_are_told(tmp_path: Path, desk: Desk, capsys: pytest.CaptureFixture[str]):
    long = Record("Say red: " * 20, (" green", " blue"), where="a:4")
    path = leave(tmp_path / "model")
    RewardModel(path)([*RECORDS, long], desk)
    assert f"{path}: texts longer than the model's window: prompt cut 1 times" in capsys.readouterr().out


REFUSED: list[tuple[Any, str]] = [
    (lambda p: RewardModel(()), "a model or several different ones"),
    (lambda p: RewardModel((p["one"], p["one"])), "a model or several different ones"),
    (lambda p: RewardModel(p["two"], "uncertainty"), "penalty is what combine=uncertainty reads"),
    (lambda p: RewardModel(p["two"], "mean", 0.5), "penalty is what combine=uncertainty reads"),
    (lambda p: RewardModel(p["two"], "uncertainty", 0.0), "penalty must be above 0 and finite, got 0.0"),
    (lambda p: RewardModel(p["one"], "min"), "combine=min is not read: there is one model with one member"),
    (lambda p: RewardModel(p["pairs"]), "a model of pairs .*take annotator=preference_model"),
    (lambda p: RewardModel(p["policy"]), "is a LlamaForCausalLM"),
    (lambda p: RewardModel(p["one"], tokens=0), "tokens must be at least 1, got 0"),
    (lambda p: PreferenceModel(p["one"]), "scores single responses .*take annotator=reward_model"),
    (lambda p: Safety(p["one"], p["two"]), "annotator.cost=.* is a reward model"),
    (lambda p: Safety(p["cost"], p["moved"]), "annotator.helpfulness=.* is a model of costs"),
    (lambda p: Safety(p["cost"], p["cost"] + "/../cost"), "helpfulness and cost are one model"),
    (lambda p: RewardModel((p["one"], p["one"] + "/")), "a model or several different ones"),
    (lambda p: RewardModel((p["one"], p["one"] + "/../one")), "a model or several different ones"),
    (lambda p: Safety(p["one"], p["moved"]), "is taken off its costs"),
    (lambda p: Safety(p["one"], p["cost"], weight=0.0), "weight must be above 0 and finite"),
    (lambda p: Implicit(), "give run, or all of path, reference, beta: missing path, reference, beta"),
    (lambda p: Implicit(run="a", beta=1.0), "beta is not read where run says it all"),
    (lambda p: Implicit(path="a", beta=1.0), "missing reference"),
    (lambda p: Implicit(path="a", reference="b", beta=0.0), "beta must be above 0"),
]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("places")
    policy().save_pretrained(folder / "policy")
    told = {
        "one": meaning(offset=(0.5,)),
        "two": meaning(offset=(0.5, 0.0)),
        "pairs": meaning("pairwise"),
        "cost": meaning(offset=(0.0,), sign=-1),
        "moved": meaning(offset=(0.5,), sign=-1),
    }
    return {"policy": str(folder / "policy")} | {
        name: leave(folder / name, told=said) for name, said in told.items()
    }


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_means_nothing_is_refused_before_a_model_is_loaded(
    make: Any, message: str, places: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("transformers.AutoModelForSequenceClassification.from_pretrained", None)
    with pytest.raises(ValueError, match=message):
        make(places)


def test_the_other_kind_is_refused_on_the_hub_too(places: dict[str, str]):
    """Where nothing can be read before."""
    with pytest.raises(UserError, match="take annotator=preference_model"):
        ask.load(places["pairs"], "annotator.path", pairs=False)
