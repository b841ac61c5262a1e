"""What a run in the gold world is measured by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xpo import registry
from xpo.contracts import Divergence
from xpo.gold.average import Average
from xpo.gold.evaluate import distances, exact_logp, metrics, world_batch
from xpo.gold.game import Game
from xpo.gold.game_metrics import duality_gap, exploitability, regularised_gap, relative_entropy
from xpo.gold.labels import Labels
from xpo.gold.prefixes import prefix_batch, prefix_metrics, prefix_rows, takes_apart
from xpo.gold.reinforced import temperature
from xpo.gold.scorer_metrics import pairwise_metrics, pointwise_metrics
from xpo.gold.target import Target, expectation, kl, population_target
from xpo.gold.world import World
from xpo.reward_model.heads import Opinion
from xpo.scoring.score import Scoring


@dataclass(frozen=True)
class Labelling:
    """The exact ``labels`` of every response, None where they are not known; are rows ``drawn`` from them?"""

    labels: Labels | None
    drawn: bool = False


class Ruler:
    """``ruler(model)`` is the exact ``gold/...`` metrics of a model against the reference of its run.

    Where the composition (``parts``) has a known optimum the metrics include the distance to it and, if it
    maximises E[r] - beta D_f, the share of the gap closed and the distance to every divergence's optimum at
    the same beta (``gold/kl_to/NAME``; ``gold/kl_to_nearest_other`` is the least of the others'). Rewards are
    the world's, whatever the labels say; the optimum, and the share of its gap, are those of the labels.
    """

    def __init__(
        self, world: World, scoring: Scoring, ref_logp_XN: Tensor, parts: Any, labelling: Labelling
    ) -> None:
        self.world, self.scoring, self.ref_logp_XN = world, scoring, ref_logp_XN
        self._parts, self._labelling = parts, labelling
        self._batch = world_batch(world)

    @cached_property
    def target(self) -> Target | None:
        """The run's own optimum, None where none is claimed."""
        labels, drawn = self._labelling.labels, self._labelling.drawn
        if labels is None:
            return None
        return population_target(self.world, self.ref_logp_XN, self._parts, labels, drawn)

    @cached_property
    def divergences(self) -> Mapping[str, Divergence]:
        """Every registered divergence, the run's own with its own settings."""
        own = self._parts.divergence
        classes = {name: registry.component("divergence", name) for name in registry.names("divergence")}
        found = {name: own if isinstance(own, cls) else cls() for name, cls in classes.items()}
        return {name: divergence for name, divergence in found.items() if divergence.regularises}

    @cached_property
    def optimum(self) -> dict[str, float]:
        """The same metrics of the run's own optimum; empty where none is claimed."""
        return {} if self.target is None else self._metrics(self.target.logp_XN)

    def __call__(self, model: Any, decoded: Any = None, judge: Any = None) -> dict[str, float]:
        """The metrics; of the policy as it is ``decoded``, then its own reward under gold/without_critic.

        With a ``judge`` those of a reward model, averaged over its members.
        """
        if judge is not None and judge.parts.reward.together:
            return {}  # all ordered pairs of an enumerated world, each a row of its own, are too many
        if judge is not None and takes_apart(self._parts):
            return self._of_steps(model, judge)
        if judge is not None:
            return self._of_judge(judge(model, self.scoring, world_batch(self.world, whole=True)))
        own_logp_XN = exact_logp(model, self.scoring, self._batch)
        if decoded is None:
            return self._metrics(own_logp_XN)
        own = expectation(own_logp_XN, self.world.reward_XN)
        found = self._metrics(exact_logp(model, decoded, self._batch))
        return found | {"gold/without_critic/reward": own}

    def mark(self, model: Any, path: Path, turn: int | None = None) -> dict[str, float]:
        """``gold/average/...``: of the mean of policies at the ends of rounds, ``model`` being the newest.

        ``path`` keeps them, so that a resumed run agrees; ``turn`` is the round's number, from 1. Nothing
        where the world is no game.
        """
        if not isinstance(self.world, Game):
            return {}
        logp_XN = exact_logp(model, self.scoring, self._batch)
        average = Average.load(path, logp_XN)
        average.add(logp_XN, turn)
        average.save(path)
        return average.metrics(self.world.win_XNN)

    def _of_judge(self, opinions: tuple[Opinion, ...]) -> dict[str, float]:
        """Of the mean of the members' scores, or of log-odds; labels that nobody knows judge nothing."""
        labels = self._labelling.labels
        if labels is None:
            return {}
        odds_XNN = opinions[0].log_odds_BKK
        if odds_XNN is not None:
            return pairwise_metrics(odds_XNN.cpu(), self.world.reward_XN, labels, self.ref_logp_XN)
        score_XN = torch.stack([opinion.reward_BK for opinion in opinions]).mean(0).cpu()
        return pointwise_metrics(score_XN, self.world.reward_XN, labels, self.ref_logp_XN)

    def _of_steps(self, model: Any, judge: Any) -> dict[str, float]:
        """Of what responses begin with, and how often that is good."""
        labels = self._labelling.labels
        if labels is None:
            return {}
        batch = prefix_batch(prefix_rows(self.world, self.ref_logp_XN, labels))
        opinions = judge(model, self.scoring, batch)
        score_XN = torch.stack([opinion.reward_BK for opinion in opinions]).mean(0).cpu()
        return prefix_metrics(score_XN, batch)

    def _metrics(self, logp_XN: Tensor) -> dict[str, float]:
        found = metrics(self.world, logp_XN, self.ref_logp_XN, self.divergences, self.target)
        if self._parts.sampling.samples:
            base_XN = self.world.base_logp_XN.exp()
            found["common/retain_nll"] = -float((base_XN * logp_XN.clamp(min=-1e4)).sum(1).mean())
        if isinstance(self.world, Game):
            found |= self._of_game(self.world, logp_XN)
        if self._parts.feedback.contrasts:
            found["gold/kl_to_demonstrations"] = kl(self.world.expert_logp_XN, logp_XN)
        if self._parts.constraint.applies:
            found["gold/cost"] = expectation(logp_XN, self.world.cost_XN)
            if self.target is not None:
                best = expectation(self.target.logp_XN, self.world.reward_XN)
                found["gold/reward_to_optimum"] = found["gold/reward"] / best
        target = self.target
        if target is None or target.divergence is None:
            return found
        apart = distances(logp_XN, self.ref_logp_XN, target, self.divergences)
        others = [apart[name] for name in apart if self.divergences[name] is not target.divergence]
        found["gold/kl_to_nearest_other"] = min(others)
        return found | {f"gold/kl_to/{name}": value for name, value in apart.items()}

    def _of_game(self, world: Game, logp_XN: Tensor) -> dict[str, float]:
        """In the game as it is; the regularised one is played with the labels' win probabilities."""
        nash_C = torch.tensor(world.rules.nash, dtype=torch.float64)
        nash_XC = nash_C.log().expand(world.prompts, -1)
        found = {
            "gold/exploitability": exploitability(world.win_XNN, logp_XN),
            "gold/duality_gap": duality_gap(world.win_XNN, logp_XN),
            "gold/nash_kl": float(relative_entropy(nash_XC, world.by_class(logp_XN).log()).mean()),
        }
        labels, tau = self._labelling.labels, temperature(self._parts)
        if labels is not None and tau is not None:
            gap = regularised_gap(labels.win_KK, logp_XN, self.ref_logp_XN, tau)
            found["gold/regularised_gap"] = gap
        return found
