"""Runs in games: what is refused, whose fixed point self-play is, and presets that go through."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from xpo.compose import Refused, build, compose_config
from xpo.data.gold import Gold as Data
from xpo.data.record import Record
from xpo.gold import reinforced as reinforced_module
from xpo.gold.game import Game
from xpo.gold.game_metrics import regularised_gap
from xpo.gold.labels import PLAIN, LabelModel
from xpo.gold.reinforced import temperature
from xpo.gold.target import Target, population_target
from xpo.on_policy.values import values

GAME, SAMPLED = "data.game=condorcet", "data.mode=sampled"
ROUNDS = ["sampling=on_policy", "schedule=iterative", "schedule.rounds=3", "reference=previous"]
PLAYED = ["algo=rloo", GAME, "annotator=gold", "reward_form=pairwise"]


@pytest.mark.parametrize(
    ("arguments", "said", "fix"),
    [
        (["algo=dpo", "annotator.ties=0.5"], "annotator.ties is not read", "annotator.ties=0"),
        (["algo=dpo", "annotator.scale=2"], "win probabilities of its own", "annotator.scale=1"),
        (
            ["algo=kto", "annotator.length_bias=1", "annotator.intransitivity=1"],
            "annotator.length_bias and annotator.intransitivity are not read",
            "annotator.length_bias=0",
        ),
        (["algo=dpo", SAMPLED, "data.responses=4"], "no order of 4 responses", "data.responses=2"),
        (["algo=pl_dpo", SAMPLED], "no order of 4 responses", "data.responses=2"),
        (["algo=dpo", SAMPLED, "annotator.exact=true"], "no score says who wins", "annotator.exact=false"),
        (
            ["algo=rloo", "annotator=gold", "feedback=preference", "annotator.exact=false"],
            "no order of 4 responses",
            "reward_form=pairwise",
        ),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_what_a_game_does_not_read_is_refused(arguments: list[str], said: str, fix: str) -> None:
    with pytest.raises(Refused, match=said) as caught:
        build(compose_config([*arguments, GAME]))
    assert fix in caught.value.nearest
    build(compose_config([*arguments, GAME, *caught.value.nearest]))


def test_the_data_option_has_one_symbol_for_each_class() -> None:
    assert Data().world().symbols == 6
    assert Data(game="condorcet").world() == Game(symbols=5)
    assert Data(game="cycle", prompts=2).world() == Game(2, 3, name="cycle")
    with pytest.raises(ValueError, match=r"game=condorcet must be 5, one for each .*y\*, z, R, P, S, got 6"):
        Data(game="condorcet", symbols=6)


@pytest.mark.parametrize(
    "arguments",
    [
        ["algo=dpo", "annotator.noise=0.1"],
        ["algo=dpo", SAMPLED, "annotator.seed=3"],
        ["algo=dpo", SAMPLED, "data.responses=4", "feedback.soft=true"],
        ["algo=kto", SAMPLED],
        ["algo=sppo_pair", "reward=explicit", "arity=list", SAMPLED],
        ["algo=spin_step", "reward_level=response", SAMPLED, "data.responses=3", "arity=list"],
        ["algo=rloo", "annotator=gold"],
        ["algo=grpo", "annotator=gold", "reward_form=pairwise"],
        ["algo=raft", "annotator=gold"],
        [*PLAYED, "annotator.exact=true"],
        ["algo=dpo", *ROUNDS, "sampling.responses=8", "data.exact_rounds=true"],
    ],
    ids=" ".join,
)
def test_what_has_a_meaning_is_accepted(arguments: list[str]) -> None:
    build(compose_config([*arguments, GAME]))


WORLD = Game(prompts=1, symbols=5, max_symbols=1, seed=3)
REF = WORLD.base_logp_XN


def played(*more: str) -> Any:
    return build(compose_config([*PLAYED, *more]))


def target_of(parts: Any, drawn: bool = True) -> Target | None:
    return population_target(WORLD, REF, parts, PLAIN.of_world(WORLD, REF), drawn)


def push(parts: Any, logp_N: Tensor) -> Tensor:
    """The expected policy gradient by logits: every K samples there are, through the run's own components."""
    size, win_NN = parts.sampling.responses, WORLD.win_XNN[0]
    p_N, found_N = logp_N.exp(), torch.zeros(5, dtype=torch.float64)
    mask_BKT = torch.ones(1, size, 1, dtype=torch.bool)
    for drawn in itertools.product(range(5), repeat=size):
        nodes = list(drawn)
        wins = tuple(map(tuple, win_NN[nodes][:, nodes].tolist()))
        worth = values(Record("", ("",) * size, scores=(0.0,) * size, wins=wins), parts)
        ratio_BKT = (logp_N - REF[0])[nodes].reshape(1, size, 1)
        taken_BKT, own_BKT = parts.penalty.terms(parts.divergence, ratio_BKT, mask_BKT)
        reward_BKT = parts.reward.score(torch.tensor(worth, dtype=torch.float64)).reshape(1, size, 1)
        beta = parts.reward.beta
        estimate = parts.advantage(reward_BKT + beta * taken_BKT, None, mask_BKT, beta * own_BKT)
        chance = float(p_N[nodes].prod())
        for n, advantage in zip(nodes, estimate.advantage_BKT.flatten().tolist(), strict=True):
            found_N += chance * advantage * (torch.nn.functional.one_hot(torch.tensor(n), 5) - p_N)
    return found_N


@pytest.mark.parametrize(
    ("more", "tau"),
    [
        (["reward.beta=0.3", "sampling.responses=2"], 0.15),
        (["reward.beta=0.3", "sampling.responses=3"], 0.2),
        (["reward.beta=0.2", "reward.scale=2", "sampling.responses=2"], 0.2),
        (["reward.beta=0.3", "sampling.responses=3", "advantage=group", "advantage.scale=none"], 0.2),
        (["reward.beta=0.3", "sampling.responses=3", "advantage=returns"], 0.3),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_self_play_rests_at_its_regularised_nash_policy(more: list[str], tau: float) -> None:
    """The gradient of K samples that are judged against each other, by enumeration."""
    parts = played(*more)
    target = target_of(parts)
    assert target is not None and target.divergence is None
    assert temperature(parts) == pytest.approx(tau)
    assert target.logp_XN.exp().sum().item() == pytest.approx(1)
    assert regularised_gap(WORLD.win_XNN, target.logp_XN, REF, tau) == pytest.approx(0, abs=1e-10)
    assert push(parts, target.logp_XN[0]).abs().max().item() < 1e-9
    moved_N = torch.log_softmax(target.logp_XN[0] + torch.tensor([0.1, 0, 0, 0, 0]), 0)
    assert push(parts, moved_N).abs().max().item() > 1e-4


def test_a_temperature_without_the_others_share_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliberately broken: beta is taken for tau."""
    monkeypatch.setattr(reinforced_module, "temperature", lambda parts: parts.reward.beta)
    with pytest.raises(AssertionError):
        test_self_play_rests_at_its_regularised_nash_policy(["reward.beta=0.3", "sampling.responses=2"], 0.3)


def test_the_reference_decides_between_responses_of_a_class() -> None:
    world = Game(prompts=2, symbols=5, max_symbols=2)
    parts = played("reward.beta=0.3")
    ref = torch.log_softmax(world.base_logp_XN + torch.arange(world.size) / 10, 1)  # any will do
    target = population_target(world, ref, parts, LabelModel(noise=0.1).of_world(world, ref), drawn=True)
    assert target is not None
    assert regularised_gap(
        LabelModel(noise=0.1).of_world(world, ref).win_KK, target.logp_XN, ref, 0.3 * 3 / 4
    ) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize(
    "more",
    [
        ["advantage=group"],  # divided by a deviation of samples that are judged against each other
        ["penalty=loss", "penalty.estimator=k2"],
        ["reward_form=pointwise", "sampling.responses=2", "annotator.exact=false", "arity=list"],
        ["length=penalty"],
    ],
    ids=" ".join,
)
def test_where_no_optimum_is_known_none_is_claimed(more: list[str]) -> None:
    assert target_of(played(*more)) is None


@pytest.mark.parametrize("game", [[], [GAME]], ids=["reward", "game"])
def test_win_rates_against_the_last_policy_do_not_add_up(game: list[str]) -> None:
    rounds = [*game, *ROUNDS, "annotator=gold", "data.exact_rounds=true"]
    assert target_of(build(compose_config(["algo=dno_pair", *rounds])), drawn=False) is None
    alone = build(compose_config(["algo=dno_pair", *game, "annotator=gold"]))
    assert target_of(alone, drawn=False) is not None


def test_scores_that_are_exact_have_their_own_optimum() -> None:
    target = target_of(played("reward_form=pointwise", "reward.beta=0.5"))
    assert target is not None
    assert torch.allclose(target.logp_XN, torch.log_softmax(REF + WORLD.reward_XN / 0.5, 1), atol=1e-9)
    assert target_of(build(compose_config(["algo=dpo", GAME]))) is None  # comparisons are no differences


@pytest.mark.parametrize(
    "arguments",
    [
        ["algo=dpo"],
        ["algo=dpo", SAMPLED, "data.records=64"],
        ["algo=sppo_pair", "reward=explicit", "arity=list", "data.records=64"],
        ["algo=dno_pair", "arity=list", "data.records=64"],
        ["algo=rloo", "annotator=gold", "reward_form=pairwise", "trainer.batch_size=4"],
    ],
    ids=" ".join,
)
def test_presets_go_through(arguments: list[str], tmp_path_factory: Any, tmp_path: Path) -> None:
    from xpo.stages.job import execute

    cache = tmp_path_factory.getbasetemp() / "game-cache"
    small = ["data.prompts=2", "data.max_symbols=2", "trainer.steps=2", "sft.steps=5", f"cache={cache}"]
    found = execute(build(compose_config([*arguments, GAME, *small, "logger=none"])), tmp_path)
    assert 0 < found["gold/exploitability"] < 0.5
    assert found["gold/duality_gap"] == pytest.approx(2 * found["gold/exploitability"])
    assert found["gold/nash_kl"] > 0
    assert ("gold/regularised_gap" in found) == ("gold/kl_to_optimum" in found) == ("algo=rloo" in arguments)


def test_a_preference_model_is_measured_by_the_cycle(tmp_path: Path) -> None:
    """Of the base policy's triples of different responses, .3 x .3 x .2 x 6 of all draws are R, P and S."""
    from xpo.stages.job import execute

    small = ["data.prompts=2", "data.max_symbols=1", "sft.steps=200", "trainer.steps=2", "logger=none"]
    found = execute(
        build(compose_config(["algo=reward_pm", GAME, *small, f"cache={tmp_path / 'cache'}"])),
        tmp_path / "run",
    )
    assert {"gold/exploitability", "gold/gap_closed"}.isdisjoint(found)
    p = [0.1, 0.1, 0.3, 0.3, 0.2]
    different = sum(a * b * c for a, b, c in itertools.combinations(p, 3))
    assert found["gold/intransitive_triads/world"] == pytest.approx(0.3 * 0.3 * 0.2 / different, abs=0.05)
