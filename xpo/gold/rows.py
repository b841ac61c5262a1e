"""Training rows of the gold world: the population with exact masses, and lists drawn from the reference.

Everything here takes ``ref_logp_XN``, the exact log-probabilities of the run's reference, so rows are
built after the reference is known. Masses are tensors; ``xpo.contracts.Row`` says what they mean.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import torch
from torch import Tensor

from xpo.contracts import FEEDBACK, Row
from xpo.gold.world import World


def population_rows(
    world: World, ref_logp_XN: Tensor, needs: Set[str] = FEEDBACK, label_noise: float = 0.0
) -> list[Row]:
    """One row per prompt: every response, and the exact expectation of the feedback that is needed.

    With ref the exact reference and P = ``label_probability``:
    ``comparisons``: prefer = ref_i ref_j P(i beats j), every ordered pair, i = j included (its gap is 0);
    ``labels``: good, bad = ref_i P(good), ref_i (1 - P(good)) with P(good) = sigmoid(r_i - E_ref r);
    ``demonstrations``: demo = the distribution of a pair's winner, 2 sum_j prefer_ij;
    ``scores``, ``wins``: the world's rewards and P. Masses of a prompt sum to 1; what is not needed is None.
    """
    ref_XN = ref_logp_XN.double().exp()
    label_XNN = label_probability(world.win_XNN, label_noise)
    prefer_XNN = ref_XN[:, :, None] * ref_XN[:, None, :] * label_XNN
    prefer_XNN = prefer_XNN / prefer_XNN.sum((1, 2), keepdim=True)
    baseline_X1 = (ref_XN * world.reward_XN).sum(1, keepdim=True)
    good_XN = label_probability(torch.sigmoid(world.reward_XN - baseline_X1), label_noise)
    fields = {
        "comparisons": {"prefer": prefer_XNN},
        "labels": {"good": ref_XN * good_XN, "bad": ref_XN * (1 - good_XN)},
        "demonstrations": {"demo": prefer_XNN.sum(2)},
        "scores": {"scores": world.reward_XN},
        "wins": {"wins": label_XNN},
    }
    return _rows(world, {key: value for need in sorted(needs) for key, value in fields[need].items()}, "population")


def label_probability(probability: Tensor, noise: float) -> Tensor:
    """The probability of a label that is flipped with probability ``noise``."""
    return (1 - noise) * probability + noise * (1 - probability)


def demonstration_rows(world: World) -> list[Row]:
    """The base policy to imitate, exactly: one row per prompt whose demo masses are its probabilities."""
    return _rows(world, {"demo": world.base_logp_XN.exp()}, "base policy")


def probe_rows(world: World, ref_logp_XN: Tensor) -> list[Row]:
    """Mismatched pairs in expectation: prompt x with the average response marginal of the other prompts.

    A whole-step statistic E over x' of E_{y ~ ref(. | x), x != x'} reads the masses in ``demo``. Raises
    ``ValueError`` in a world of one prompt, where nothing can be mismatched.
    """
    if world.prompts < 2:
        raise ValueError("mismatched pairs need at least 2 prompts, the gold world has 1: set data.prompts=2 or more")
    ref_XN = ref_logp_XN.double().exp()
    others_XN = (ref_XN.sum(0, keepdim=True) - ref_XN) / (world.prompts - 1)
    return _rows(world, {"demo": others_XN}, "mismatched population")


def list_rows(
    world: World, ref_logp_XN: Tensor, size: int, count: int, generator: torch.Generator, label_noise: float = 0.0
) -> list[Row]:
    """``count`` lists of ``size`` distinct responses drawn from the reference, with exact feedback.

    The prompts take turns. Responses stand in order of score, the best first; ``prefer`` spreads
    mass 1 evenly over the list's pairs, each divided by its exact label probability; ``demo`` is the best.
    """
    draws_XM = _draws(world, ref_logp_XN, size, count, generator)
    label_XNN = label_probability(world.win_XNN, label_noise)
    off_diagonal_KK = 1.0 - torch.eye(size, dtype=torch.float64)
    rows = []
    for n in range(count):
        x = n % world.prompts
        chosen_K = draws_XM[x][n // world.prompts]
        chosen_K = chosen_K[world.reward_XN[x, chosen_K].argsort(descending=True, stable=True)]
        wins_KK = label_XNN[x][chosen_K][:, chosen_K]
        rows.append(
            Row(
                prompt=world.prompt_ids[x],
                responses=[world.response_ids[i] for i in chosen_K.tolist()],
                prefer=_sequence(wins_KK * off_diagonal_KK / (size * (size - 1) / 2)),
                demo=[1.0] + [0.0] * (size - 1),
                scores=_sequence(world.reward_XN[x, chosen_K]),
                wins=_sequence(wins_KK),
                source=f"gold:list {n + 1}",
            )
        )
    return rows


def _draws(world: World, ref_logp_XN: Tensor, size: int, count: int, generator: torch.Generator) -> list[Tensor]:
    """For each prompt, rounds x size indices of distinct responses."""
    if size > world.size:
        raise ValueError(f"lists of {size} distinct responses do not exist: the gold world has {world.size} per prompt")
    rounds = -(-count // world.prompts)
    ref_XN = ref_logp_XN.double().exp()
    return [torch.multinomial(ref_N.expand(rounds, -1), size, generator=generator) for ref_N in ref_XN]


def _rows(world: World, masses: dict[str, Tensor], source: str) -> list[Row]:
    return [
        Row(
            prompt=world.prompt_ids[x],
            responses=world.response_ids,
            source=f"gold:{source} {x + 1}",
            **{key: _sequence(value[x]) for key, value in masses.items()},
        )
        for x in range(world.prompts)
    ]


def _sequence(values: Tensor) -> Any:
    """A tensor where a Row says Sequence: it has a length, an order and an index."""
    return values
