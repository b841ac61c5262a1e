"""The mean of policies at the ends of rounds: by hand, in a file, and where a round is run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from xpo.compose import build, compose_config
from xpo.errors import UserError
from xpo.gold.average import Average
from xpo.gold.evaluate import exact_logp, world_batch
from xpo.gold.game import Game
from xpo.gold.labels import PLAIN
from xpo.gold.ruler import Labelling, Ruler
from xpo.gold.world import World
from xpo.model.scratch import Scratch
from xpo.scoring.score import Scoring

CYCLE = torch.tensor([[[0.5, 0.1, 0.9], [0.9, 0.5, 0.1], [0.1, 0.9, 0.5]]], dtype=torch.float64)


def pure(n: int) -> Tensor:
    """Who always says n."""
    return torch.nn.functional.one_hot(torch.tensor([n]), 3).double().log()


def test_who_goes_in_circles_is_none_on_average() -> None:
    average, found = Average(), []
    for n in (0, 1, 2, 0):
        average.add(pure(n))
        found.append(average.metrics(CYCLE)["gold/average/exploitability"])
    assert found == pytest.approx([0.4, 0.2, 0.0, 0.1])  # of R R P S: paper wins (2 x .9 + .5 + .1) / 4
    said = average.metrics(CYCLE)
    assert said["gold/average/duality_gap"] == pytest.approx(0.2) and said["gold/average/policies"] == 4


def test_probabilities_are_averaged_not_their_logarithms() -> None:
    average = Average()
    for p in ([0.9, 0.05, 0.05], [0.1, 0.45, 0.45]):
        average.add(torch.tensor([p], dtype=torch.float64).log())
    assert average.logp_XN.exp()[0].tolist() == pytest.approx([0.5, 0.25, 0.25])


def test_a_round_that_is_run_again_counts_once(tmp_path: Path) -> None:
    path, whole = tmp_path / "average.safetensors", Average()
    for turn, n in enumerate((0, 1, 1), 1):
        whole.add(pure(n), turn)
    whole.save(path)
    again = Average.load(path, pure(0))
    again.add(pure(1), 2)  # killed before its checkpoint, so that the run begins with the second round
    again.add(pure(2), 3)
    assert len(again) == 3
    assert again.logp_XN.exp()[0].tolist() == pytest.approx([1 / 3] * 3)
    assert [p.name for p in tmp_path.iterdir()] == ["average.safetensors"]


def test_rounds_that_are_missing_are_refused() -> None:
    average = Average()
    average.add(pure(0), 1)
    for turn in (0, 3):
        with pytest.raises(UserError, match=f"holds 1 rounds, and round {turn} has ended"):
            average.add(pure(0), turn)
    with pytest.raises(ValueError, match="of no policies"):
        Average().logp_XN  # noqa: B018


def test_files_that_are_none_of_it_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "average.safetensors"
    assert len(Average.load(path, pure(0))) == 0
    path.write_text("no tensors")
    with pytest.raises(UserError, match="holds no policies"):
        Average.load(path, pure(0))
    save_file({"other": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="holds no policies"):
        Average.load(path, pure(0))
    average = Average()
    average.add(pure(0))
    average.save(path)
    with pytest.raises(UserError, match="another run's"):
        Average.load(path, torch.zeros(2, 3))


def test_the_ruler_marks_a_round(tmp_path: Path) -> None:
    world = Game(prompts=2, symbols=3, max_symbols=2, name="cycle")
    scoring, path = Scoring(support=world.support()), tmp_path / "average.safetensors"
    models: list[Any] = [
        Scratch(hidden=16, layers=1, heads=2, max_length=16).build(world.tokenizer(), seed=seed)
        for seed in (0, 1)
    ]
    policies = [exact_logp(model, scoring, world_batch(world)) for model in models]
    parts = build(compose_config(["algo=dpo", "data.game=cycle"]))

    def ruler(world: World) -> Ruler:
        ref = world.base_logp_XN
        return Ruler(world, scoring, ref, parts, Labelling(PLAIN.of_world(world, ref)))

    first = ruler(world).mark(models[0], path, 1)
    assert first["gold/average/exploitability"] == pytest.approx(
        ruler(world)(models[0])["gold/exploitability"]
    )
    both = ruler(world).mark(models[1], path, 2)  # another one, as in a run that goes on
    mean = Average()
    for policy in policies:
        mean.add(policy)
    assert both == pytest.approx(mean.metrics(world.win_XNN))
    plain = World(prompts=2, symbols=3, max_symbols=2)
    assert ruler(plain).mark(models[0], tmp_path / "other") == {}
    assert not (tmp_path / "other").exists()
    assert "gold/exploitability" not in ruler(plain)(models[0])


class Latest(Average):
    """Deliberately broken: the newest policy alone."""

    @property
    def logp_XN(self) -> Tensor:
        return self._kept[-1].log()


class Twice(Average):
    """Deliberately broken: a round that is run again counts again."""

    def add(self, logp_XN: Tensor, turn: int | None = None) -> None:
        super().add(logp_XN)


def test_broken_averages_are_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import tests.gold.test_average as here

    for broken, check in (
        (Latest, test_who_goes_in_circles_is_none_on_average),
        (Twice, lambda: test_a_round_that_is_run_again_counts_once(tmp_path)),
    ):
        with monkeypatch.context() as patched, pytest.raises(AssertionError):
            patched.setattr(here, "Average", broken)
            check()
