"""Games: who beats whom by hand, and that everything that labels says the game's win probabilities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import xpo.gold.game as game_module
from xpo.annotator.gold import Gold
from xpo.data.prompts import Prompt
from xpo.data.record import Record
from xpo.gold.answers import Asked, prompts_of
from xpo.gold.game import Game, Rules
from xpo.gold.labels import PLAIN, LabelModel
from xpo.gold.rows import draw, list_rows, population_rows, records
from xpo.gold.steps import Steps

SAID = {
    ("y*", "z"): 0.8,
    ("y*", "R"): 0.6,
    ("y*", "P"): 0.6,
    ("y*", "S"): 0.6,
    ("z", "R"): 0.95,
    ("z", "P"): 0.95,
    ("z", "S"): 0.95,
    ("R", "S"): 0.9,
    ("S", "P"): 0.9,
    ("P", "R"): 0.9,
}
NAMES = ("y*", "z", "R", "P", "S")


def condorcet() -> Game:
    return Game(prompts=3, symbols=5, max_symbols=2, seed=7)


def kinds(world: Game, x: int) -> list[str]:
    """The class of each response, by the letter that it begins with."""
    stands_for = dict(zip("abcde", world.class_XA[x].tolist(), strict=True))
    return [NAMES[stands_for[text[0]]] for text in world.response_texts]


def expected(one: str, other: str) -> float:
    if one == other:
        return 0.5
    return SAID[one, other] if (one, other) in SAID else 1 - SAID[other, one]


def says_the_game(win: Any, kind: list[str], noise: float = 0.0) -> None:
    for i, one in enumerate(kind):
        for j, other in enumerate(kind):
            p = expected(one, other)
            assert float(win[i][j]) == pytest.approx((1 - noise) * p + noise * (1 - p), abs=1e-12)


def test_who_beats_whom() -> None:
    world = condorcet()
    for x in range(world.prompts):
        says_the_game(world.win_XNN[x], kinds(world, x))
    assert torch.equal(world.win_XNN + world.win_XNN.mT, torch.ones_like(world.win_XNN))


def test_each_prompt_has_symbols_of_its_own() -> None:
    world = Game(symbols=5)
    assert all(sorted(row) == [0, 1, 2, 3, 4] for row in world.class_XA.tolist())
    assert len({tuple(row) for row in world.class_XA.tolist()}) > 4
    assert not torch.equal(world.class_XA, Game(symbols=5, seed=1).class_XA)
    assert torch.equal(world.class_XA, Game(symbols=5, max_symbols=1).class_XA)


@pytest.mark.parametrize(
    ("world", "shares"),
    [(condorcet(), [0.1, 0.1, 0.3, 0.3, 0.2]), (Game(2, 3, 3, 0, "cycle"), [0.5, 0.3, 0.2])],
    ids=["condorcet", "cycle"],
)
def test_the_base_policy_begins_with_these_shares(world: Game, shares: list[float]) -> None:
    base_XN = world.base_logp_XN.exp()
    assert base_XN.sum(1).tolist() == pytest.approx([1.0] * world.prompts)
    for x in range(world.prompts):
        for c, share in enumerate(shares):
            mine = world.class_XN[x] == c
            assert float(base_XN[x, mine].sum()) == pytest.approx(share)
            assert float(world.by_class(world.base_logp_XN)[x, c]) == pytest.approx(share)


def test_population_lists_and_draws_say_the_game() -> None:
    world = condorcet()
    ref, index = world.base_logp_XN, {ids: n for n, ids in enumerate(world.response_ids)}
    model = LabelModel(noise=0.1)
    labels = model.of_world(world, ref)
    assert labels.reward_K is None and labels.margin_KK is not None
    for x, row in enumerate(population_rows(world, ref, labels=labels)):
        kind, p = kinds(world, x), ref[x].exp()
        says_the_game(row.wins, kind, noise=0.1)
        i, j = kind.index("z"), kind.index("y*")
        assert np.asarray(row.prefer)[i, j] / np.asarray(row.prefer)[j, i] == pytest.approx(0.26 / 0.74)
        assert np.asarray(row.prefer)[i, j] == pytest.approx(float(p[i] * p[j]) * 0.26 / 0.5)
        assert np.asarray(row.margins)[j, i] == pytest.approx(math.log(4))
    for n, row in enumerate(list_rows(world, draw(world, ref, 4, 6, seed=1))):
        kind = kinds(world, n % 3)
        says_the_game(row.wins, [kind[index[tuple(ids)]] for ids in row.responses])
    labelled = Gold()(records(world, draw(world, ref, 3, 6, seed=1)))
    for n, record in enumerate(labelled):
        kind = dict(zip(world.response_texts, kinds(world, n % 3), strict=True))
        assert record.wins is not None
        says_the_game(record.wins, [kind[str(text).strip()] for text in record.responses])


def test_answers_say_the_game() -> None:
    world = condorcet()
    asked = prompts_of(world, PLAIN, Asked())
    for x, ids in enumerate(world.prompt_ids):
        prompt = Prompt(ids, ids, Record(world.prompt_texts[x], ()))
        (record,) = Gold()([asked.said(prompt, world.response_ids)])
        assert record.wins is not None and record.scores is not None
        says_the_game(record.wins, kinds(world, x))


def test_steps_say_the_game() -> None:
    """Who begins wins; what follows makes no difference."""
    world = condorcet()
    steps = Steps.of(world, world.base_logp_XN)
    for row in steps.rows():
        x = world.prompt_ids.index(tuple(row.prompt))
        kind = kinds(world, x)[:5] if row.skip == 0 else ["z"] * 5
        says_the_game(row.wins, kind)
    for record in steps.records(30, seed=0):
        x = world.prompt_texts.index(str(record.prompt))
        kind = dict(zip(world.response_texts, kinds(world, x), strict=True))
        (labelled,) = Gold()([record])
        assert labelled.wins is not None
        says_the_game(labelled.wins, [kind[str(text).strip()] for text in record.responses])


@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize("pair", [("y*", "z"), ("R", "S"), ("R", "P"), ("S", "S")], ids="-".join)
def test_drawn_labels_follow_win_probabilities(pair: tuple[str, str], noise: float) -> None:
    world, n = Game(prompts=1, symbols=5, max_symbols=2, seed=7), 10_000
    kind = kinds(world, 0)
    i = kind.index(pair[0])
    j = len(kind) - 1 - kind[::-1].index(pair[1])
    labelled = Gold(noise=noise)(records(world, torch.tensor([[i, j]]).expand(1, n, 2)))
    won = sum(record.scores[0] > record.scores[1] for record in labelled if record.scores is not None) / n
    p = expected(*pair)
    assert won == pytest.approx((1 - noise) * p + noise * (1 - p), abs=4 * 0.5 / math.sqrt(n))


def swapped(rules: Rules) -> Rules:
    """Deliberately broken: who loses is taken for who wins."""
    return Rules(rules.classes, tuple(zip(*rules.win, strict=True)), rules.first, rules.nash)


def test_broken_games_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = (test_who_beats_whom, test_answers_say_the_game, test_steps_say_the_game)
    monkeypatch.setitem(game_module.RULES, "condorcet", swapped(game_module.RULES["condorcet"]))
    for check in checks:
        with pytest.raises(AssertionError):
            check()


class Signed(Game):
    """Deliberately broken: what scores do not say is taken off."""

    @property
    def excess(self) -> tuple[tuple[float, ...], ...]:  # type: ignore[override]
        return tuple(tuple(-value for value in row) for row in super().excess)


class Scored(Game):
    """Deliberately broken: a score says who wins after all."""

    @property
    def excess(self) -> tuple[tuple[float, ...], ...]:  # type: ignore[override]
        return ()


@pytest.mark.parametrize("broken", [Signed, Scored])
def test_broken_labellers_are_caught(monkeypatch: pytest.MonkeyPatch, broken: type[Game]) -> None:
    import tests.gold.test_game as here

    monkeypatch.setattr(here, "Game", broken)
    for check in (
        test_population_lists_and_draws_say_the_game,
        test_answers_say_the_game,
        test_steps_say_the_game,
        lambda: test_drawn_labels_follow_win_probabilities(("R", "S"), 0.0),
    ):
        with pytest.raises(AssertionError):
            check()
