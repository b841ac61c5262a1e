"""What the world's labeller says, by hand and by loops; and the same drawn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from xpo.annotator.gold import Gold
from xpo.gold.labels import PLAIN, LabelModel, Labels
from xpo.gold.rows import Wanted, draw, list_rows, population_rows
from xpo.gold.steps import Steps
from xpo.gold.world import World

TWO = torch.tensor([1.0, 0.0], dtype=torch.float64)  # utilities a reward unit apart, of one class
SAME = torch.tensor([0, 0])


def of_two(**settings: float) -> Labels:
    return LabelModel(**settings).labels(TWO, SAME)


def test_a_pair_by_hand() -> None:
    """sigmoid(1) is 0.731059, cosh(1/2) is 1.127626, sigmoid(2) is 0.880797."""
    assert of_two().win_KK[0].tolist() == pytest.approx([0.5, 0.731059], abs=1e-6)
    assert of_two(noise=0.1).win_KK[0, 1].item() == pytest.approx(0.684847, abs=1e-6)  # 0.9 p + 0.1 (1 - p)
    assert of_two(scale=2.0).win_KK[0, 1].item() == pytest.approx(0.880797, abs=1e-6)
    tied = of_two(ties=1.0)
    assert tied.tie_KK[0].tolist() == pytest.approx([1 / 3, 1 / (1 + 2.255252)], abs=1e-6)
    assert tied.decided_KK[0, 1].item() == pytest.approx(0.731059, abs=1e-6)  # who decides, decides as before
    assert tied.win_KK[0, 1].item() == pytest.approx(0.731059 * 0.692804 + 0.307196 / 2, abs=1e-6)
    assert (tied.win_KK + tied.win_KK.T).flatten().tolist() == pytest.approx([1.0] * 4)
    assert tied.compared_KK(False).sum().item() == pytest.approx(2 * (2 / 3 + 0.692804) / 2, abs=1e-6)
    assert tied.compared_KK(True).sum().item() == pytest.approx(2.0)


def test_three_parts_of_davidsons_model() -> None:
    """P(i) : P(tie) : P(j) = a : nu sqrt(a b) : b, with worths a and b = e^u."""
    worths = math.exp(1.0), 1.0
    middle = 0.7 * math.sqrt(worths[0] * worths[1])
    total = sum(worths) + middle
    labels = of_two(ties=0.7)
    assert labels.compared_KK(False)[0, 1].item() == pytest.approx(worths[0] / total)
    assert labels.compared_KK(False)[1, 0].item() == pytest.approx(worths[1] / total)
    assert labels.tie_KK[0, 1].item() == pytest.approx(middle / total)


def test_classes_go_in_a_circle() -> None:
    """Paper (1) beats rock (0), scissors (2) paper, rock scissors; sigmoid(3) is 0.952574."""
    win = LabelModel(intransitivity=3.0).labels(torch.zeros(3, dtype=torch.float64), torch.arange(3)).win_KK
    for winner, loser in ((1, 0), (2, 1), (0, 2)):
        assert win[winner, loser].item() == pytest.approx(0.952574, abs=1e-6)
        assert win[loser, winner].item() == pytest.approx(1 - 0.952574, abs=1e-6)
    world = World(prompts=1, symbols=5, max_symbols=2)
    found = dict(zip(world.response_texts, world.class_XN[0].tolist(), strict=True))
    assert [found[text] for text in ("a", "b", "c", "d", "e", "d c", "b a", "c e")] == [
        0,
        1,
        2,
        0,
        1,
        0,
        1,
        2,
    ]


def test_the_labeller_likes_length_and_the_reward_does_not(world: World, ref: Tensor) -> None:
    utility = LabelModel(length_bias=0.25).utility_XN(world)
    for n, text in enumerate(world.response_texts):
        longer = 0.25 * len(text.split())
        assert utility[1, n].item() == pytest.approx(world.reward_XN[1, n].item() + longer)
    (row, *_) = population_rows(world, ref, labels=LabelModel(length_bias=0.25).of_world(world, ref))
    assert row.margins is not None and row.scores is not None
    one, two = world.response_texts.index("a"), world.response_texts.index("a a")
    rewards = world.reward_XN[0]
    assert row.scores[two] == pytest.approx(float(rewards[two]) + 0.5)
    assert row.margins[two][one] == pytest.approx(float(rewards[two] - rewards[one]) + 0.25)


def test_good_is_above_the_mean_utility(world: World, ref: Tensor) -> None:
    labels = LabelModel(noise=0.1, scale=3.0, length_bias=0.2).of_world(world, ref)
    assert labels.good_K is not None and labels.bad_K is not None
    for x in range(world.prompts):
        p = ref[x].exp().tolist()
        symbols = [len(text.split()) for text in world.response_texts]
        u = [r + 0.2 * k for r, k in zip(world.reward_XN[x].tolist(), symbols, strict=True)]
        mean = sum(a * b for a, b in zip(p, u, strict=True))
        for i in (0, 5, 11):
            good = 1 / (1 + math.exp(-3 * (u[i] - mean)))
            assert labels.good_K[x, i].item() == pytest.approx(0.9 * good + 0.1 * (1 - good))
            assert labels.bad_K[x, i].item() == pytest.approx(1 - labels.good_K[x, i].item())


ALL = LabelModel(noise=0.1, ties=0.8, length_bias=-0.3, intransitivity=1.5, scale=1.7)


def by_hand(model: LabelModel, u: list[float], kind: list[int], i: int, j: int) -> tuple[float, float]:
    """P(i is preferred), P(they tie)."""
    cycle = {0: 0, 1: 1, 2: -1}[(kind[i] - kind[j]) % 3]
    d = model.scale * (u[i] - u[j] + model.intransitivity * cycle)
    tie = model.ties / (math.exp(d / 2) + math.exp(-d / 2) + model.ties)
    decided = (1 - model.noise) / (1 + math.exp(-d)) + model.noise / (1 + math.exp(d))
    return (1 - tie) * decided, tie


@pytest.mark.parametrize("splits_ties", [False, True])
def test_masses_by_loops(world: World, ref: Tensor, splits_ties: bool) -> None:
    kind = [{"a": 0, "b": 1, "c": 2}[text[0]] for text in world.response_texts]
    rows = population_rows(world, ref, Wanted(splits_ties=splits_ties), ALL.of_world(world, ref))
    for x, row in enumerate(rows):
        p = ref[x].exp().tolist()
        symbols = [len(text.split()) for text in world.response_texts]
        u = [r - 0.3 * k for r, k in zip(world.reward_XN[x].tolist(), symbols, strict=True)]
        said = [[by_hand(ALL, u, kind, i, j) for j in range(world.size)] for i in range(world.size)]
        mass = np.array(
            [
                [p[i] * p[j] * (win + splits_ties * tie / 2) for j, (win, tie) in enumerate(line)]
                for i, line in enumerate(said)
            ]
        )
        assert np.allclose(np.asarray(row.prefer), mass / mass.sum(), atol=1e-12)
        assert np.allclose(np.asarray(row.wins), [[win + tie / 2 for win, tie in line] for line in said])
        assert list(row.scores or ()) == pytest.approx([0.8 * value for value in u])


@pytest.mark.parametrize("splits_ties", [False, True])
def test_lists_have_the_same_probabilities(world: World, ref: Tensor, splits_ties: bool) -> None:
    index = {ids: n for n, ids in enumerate(world.response_ids)}
    labels = ALL.of_world(world, ref)
    for n, row in enumerate(list_rows(world, draw(world, ref, 4, 6, seed=1), ALL, splits_ties)):
        picked = [index[tuple(ids)] for ids in row.responses]
        assert row.prefer is not None and row.wins is not None and row.scores is not None
        mass = labels.compared_KK(splits_ties)[n % 3][picked][:, picked].fill_diagonal_(0)
        assert np.allclose(np.asarray(row.prefer), (mass / mass.sum()).numpy(), atol=1e-12)
        assert np.allclose(np.asarray(row.wins), labels.win_KK[n % 3][picked][:, picked].numpy())
        assert list(row.scores) == sorted(row.scores, reverse=True)
        assert list(row.scores) == pytest.approx(labels.score_K[n % 3, picked].tolist())


def test_steps_have_the_same_probabilities(world: World, ref: Tensor) -> None:
    """The first symbols' classes go in a circle; of steps with one prefix they are all alike."""
    plain, told = Steps.of(world, ref), Steps.of(world, ref, ALL)
    longer = (ref.exp() * (world.length_N - 1)).sum(1)  # expected symbols, of all responses
    assert (told.mass_XN * (plain.value_XN - told.value_XN) / 0.3)[:, :3].sum(1).tolist() == pytest.approx(
        longer.tolist()
    )
    for row in told.rows():
        assert row.scores is not None and row.wins is not None
        u = [score / 0.8 for score in row.scores]
        kind = [(ids[0] - row.responses[0][0]) % 3 for ids in row.responses]
        win, tie = by_hand(ALL, u, kind, 0, 1)
        assert np.asarray(row.wins)[0, 1] == pytest.approx(win + tie / 2)


class Turned(LabelModel):
    """Deliberately broken: scissors beat rock."""

    def margins(self, utility_K: Tensor, class_K: Tensor) -> Tensor:
        return super().margins(utility_K, -class_K)


class Unhalved(Labels):
    """Deliberately broken: a tie is a win for both."""

    @property
    def win_KK(self) -> Tensor:
        return self.decided_KK * (1 - self.tie_KK) + self.tie_KK


class Counted(LabelModel):
    """Deliberately broken: EOS is a symbol."""

    def utility_XN(self, world: World) -> Tensor:
        return world.reward_XN + self.length_bias * world.length_N.double()


def test_broken_labellers_are_caught(world: World, ref: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    import tests.gold.test_labels as here

    for name, value, check in (
        ("LabelModel", Turned, test_classes_go_in_a_circle),
        ("LabelModel", Counted, lambda: test_the_labeller_likes_length_and_the_reward_does_not(world, ref)),
        (
            "of_two",
            lambda **told: Unhalved(**vars(LabelModel(**told).labels(TWO, SAME))),
            test_a_pair_by_hand,
        ),
    ):
        with monkeypatch.context() as patched, pytest.raises(AssertionError):
            patched.setattr(here, name, value)
            check()


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("noise", 0.5, "below 0.5"),
        ("ties", -0.1, "0 or more"),
        ("ties", math.inf, "finite"),
        ("intransitivity", -1.0, "0 or more"),
        ("length_bias", math.nan, "finite"),
        ("scale", 0.0, "above 0"),
        ("scale", math.nan, "above 0"),
    ],
)
def test_ranges(name: str, wrong: float, said: str) -> None:
    settings: dict[str, Any] = {name: wrong}
    for make in (LabelModel, Gold):
        with pytest.raises(ValueError, match=rf"{name} must be .*{said}.*got {wrong}"):
            make(**settings)


def test_the_plain_labeller_is_what_it_was(world: World, ref: Tensor) -> None:
    """Bit by bit: nothing that a run without these settings trains on has moved."""
    labels = PLAIN.of_world(world, ref)
    assert torch.equal(labels.win_KK, world.win_XNN) and torch.equal(labels.compared_KK(False), world.win_XNN)
    assert torch.equal(labels.score_K, world.reward_XN)
    prefer = ref.exp()[:, :, None] * ref.exp()[:, None, :] * world.win_XNN
    (row, *_) = population_rows(world, ref)
    assert np.array_equal(np.asarray(row.prefer), (prefer / prefer.sum((1, 2), keepdim=True))[0].numpy())
    desk: Any = None
    assert Gold().fingerprint(desk) == "Gold(noise=0.0, seed=0)"
    told = Gold(ties=0.2, scale=2.0).fingerprint(desk)
    assert told == "Gold(noise=0.0, seed=0, ties=0.2, scale=2.0)"
