"""Training rows of the gold world: the population with exact masses, and lists drawn from the reference.

Everything here takes ``ref_logp_XN``, the exact log-probabilities of the run's reference, so rows are
built after the reference is known. ``xpo.contracts.Row`` says what the masses mean.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xpo.contracts import FEEDBACK, Row
from xpo.data.record import Record
from xpo.gold.world import World


@dataclass(frozen=True)
class Wanted:
    """Which feedback rows carry (of contracts.FEEDBACK), and how labels come about.

    ``noise``: the probability of a flipped label. ``labels_from_pairs``: good and bad are the two sides
    of comparisons, not verdicts on single responses.
    """

    needs: Set[str] = FEEDBACK
    noise: float = 0.0
    labels_from_pairs: bool = False


EVERYTHING = Wanted()


def population_rows(world: World, ref_logp_XN: Tensor, wanted: Wanted = EVERYTHING) -> list[Row]:
    """One row per prompt: every response, and the exact expectation of the feedback that is wanted.

    With ref the exact reference and P = ``label_probability``:
    ``comparisons``: prefer = ref_i ref_j P(i beats j), every ordered pair, i = j included (its gap is 0);
    ``labels``: good, bad = ref_i P(good), ref_i (1 - P(good)) with P(good) = sigmoid(r_i - E_ref r), or,
    where labels are the two sides of comparisons, half the distributions of a pair's winner and loser;
    ``demonstrations``: demo = the distribution of a pair's winner;
    ``scores``: the world's rewards, of either sign with their noise, drawn from ref; ``wins``: P;
    ``margins``: differences of rewards. Masses of a prompt sum to 1; what is not wanted is None.
    """
    ref_XN = ref_logp_XN.double().exp()
    label_XNN = label_probability(world.win_XNN, wanted.noise)
    prefer_XNN = ref_XN[:, :, None] * ref_XN[:, None, :] * label_XNN
    prefer_XNN = prefer_XNN / prefer_XNN.sum((1, 2), keepdim=True)
    winner_XN, loser_XN = prefer_XNN.sum(2), prefer_XNN.sum(1)
    baseline_X1 = (ref_XN * world.reward_XN).sum(1, keepdim=True)
    good_XN = label_probability(torch.sigmoid(world.reward_XN - baseline_X1), wanted.noise)
    judged = {"good": ref_XN * good_XN, "bad": ref_XN * (1 - good_XN)}
    fields = {
        "comparisons": {"prefer": prefer_XNN},
        "labels": {"good": winner_XN / 2, "bad": loser_XN / 2} if wanted.labels_from_pairs else judged,
        "demonstrations": {"demo": winner_XN},
        "scores": {"scores": (1 - 2 * wanted.noise) * world.reward_XN, "mass": ref_XN},
        "wins": {"wins": label_XNN},
        "margins": {"margins": world.reward_XN[:, :, None] - world.reward_XN[:, None, :]},
    }
    masses = {key: value for need in sorted(wanted.needs) for key, value in fields[need].items()}
    return _rows(world, masses, "population")


def contrast_rows(world: World, ref_logp_XN: Tensor) -> list[Row]:
    """The population of demonstrations (of ``World.expert_logp_XN``) against the reference's own samples.

    prefer = expert_i ref_j, whatever i and j are; labels are its two sides, half the mass each.
    """
    expert_XN, ref_XN = world.expert_logp_XN.exp(), ref_logp_XN.double().exp()
    masses = {
        "prefer": expert_XN[:, :, None] * ref_XN[:, None, :],
        "good": expert_XN / 2,
        "bad": ref_XN / 2,
        "demo": expert_XN,
    }
    return _rows(world, masses, "demonstrations against samples")


def contrast_records(world: World, shown_XM1: Tensor, drawn_XMK: Tensor) -> list[Record]:
    """A drawn demonstration before drawn samples (of rank 1); the prompts take turns."""
    both_XMK = torch.cat([shown_XM1, drawn_XMK], -1)
    return [
        dataclasses.replace(record, ranks=(0, *(1,) * (len(record.responses) - 1)), scores=None)
        for record in records(world, both_XMK)
    ]


def label_probability(probability: Tensor, noise: float) -> Tensor:
    """The probability of a label that is flipped with probability ``noise``."""
    return (1 - noise) * probability + noise * (1 - probability)


def demonstration_rows(world: World) -> list[Row]:
    """The base policy to imitate, exactly: one row per prompt whose demo masses are its probabilities."""
    return _rows(world, {"demo": world.base_logp_XN.exp()}, "base policy")


def imitation_rows(world: World, draws_XM: Tensor) -> list[Row]:
    """A row for each drawn demonstration; the prompts take turns."""
    return [
        Row(
            world.prompt_ids[x],
            [world.response_ids[i]],
            demo=(1.0,),
            source=f"gold:demonstration {m + 1}.{x + 1}",
        )
        for m, column_X in enumerate(draws_XM.T.tolist())
        for x, i in enumerate(column_X)
    ]


def probe_rows(world: World, ref_logp_XN: Tensor) -> list[Row]:
    """Mismatched pairs in expectation: prompt x with the average response marginal of the other prompts.

    A whole-step statistic E over x' of E_{y ~ ref(. | x), x != x'} reads the masses in ``demo``. Raises
    ``ValueError`` in a world of one prompt, where nothing can be mismatched.
    """
    if world.prompts < 2:
        raise ValueError(
            "mismatched pairs need at least 2 prompts, the gold world has 1: set data.prompts=2 or more"
        )
    ref_XN = ref_logp_XN.double().exp()
    others_XN = (ref_XN.sum(0, keepdim=True) - ref_XN) / (world.prompts - 1)
    return _rows(world, {"demo": others_XN}, "mismatched population")


def list_rows(world: World, draws_XMK: Tensor, noise: float = 0.0) -> list[Row]:
    """A row for each drawn list, with exact feedback; the prompts take turns.

    Responses stand in order of score, the best first; ``prefer`` spreads mass 1 evenly over the list's
    pairs and divides each by its exact label probability; ``good`` and ``bad`` are half the winner's and the
    loser's share of it; ``demo`` is the best; ``margins`` are differences of rewards.
    """
    size = draws_XMK.shape[-1]
    index_XM1 = torch.arange(world.prompts)[:, None, None]
    order_XMK = world.reward_XN[index_XM1, draws_XMK].argsort(dim=-1, descending=True, stable=True)
    drawn_XMK = draws_XMK.gather(-1, order_XMK)
    score_XMK = world.reward_XN[index_XM1, drawn_XMK]
    wins_XMKK = label_probability(torch.sigmoid(score_XMK[..., :, None] - score_XMK[..., None, :]), noise)
    prefer_XMKK = wins_XMKK * (1.0 - torch.eye(size, dtype=torch.float64)) / (size * (size - 1) / 2)
    best = (1.0, *(0.0,) * (size - 1))
    return [
        Row(
            prompt=world.prompt_ids[x],
            responses=[world.response_ids[i] for i in drawn_XMK[x, m].tolist()],
            prefer=_sequence(prefer_XMKK[x, m]),
            good=_sequence(prefer_XMKK[x, m].sum(1) / 2),
            bad=_sequence(prefer_XMKK[x, m].sum(0) / 2),
            demo=best,
            scores=_sequence(score_XMK[x, m]),
            wins=_sequence(wins_XMKK[x, m]),
            margins=_sequence(score_XMK[x, m][:, None] - score_XMK[x, m][None, :]),
            source=f"gold:list {m * world.prompts + x + 1}",
        )
        for m in range(draws_XMK.shape[1])
        for x in range(world.prompts)
    ]


def records(world: World, draws_XMK: Tensor) -> list[Record]:
    """A record for each draw, unlabelled, its exact rewards as scores (and their differences as margins)."""
    return [
        Record(
            prompt=world.prompt_texts[x],
            responses=tuple(f" {world.response_texts[i]}" for i in drawn),
            scores=tuple(world.reward_XN[x, drawn].tolist()),
            margins=differences(world.reward_XN[x, drawn].tolist()),
            where=f"gold:{m * world.prompts + x + 1}",
        )
        for m in range(draws_XMK.shape[1])
        for x in range(world.prompts)
        for drawn in (draws_XMK[x, m].tolist(),)
    ]


def differences(rewards: Sequence[float]) -> tuple[tuple[float, ...], ...]:
    """How much better i is than j: margins."""
    return tuple(tuple(a - b for b in rewards) for a in rewards)


def draw(world: World, ref_logp_XN: Tensor, size: int, count: int, seed: int) -> Tensor:
    """``count`` draws (rounded up to as many for every prompt) of ``size`` distinct responses: [X, M, K]."""
    if size > world.size:
        raise ValueError(
            f"{size} distinct responses do not exist: the gold world has {world.size} per prompt"
        )
    generator = torch.Generator().manual_seed(seed)
    rounds = -(-count // world.prompts)
    ref_XN = ref_logp_XN.double().exp()
    return torch.stack(
        [torch.multinomial(ref_N.expand(rounds, -1), size, generator=generator) for ref_N in ref_XN]
    )


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
    """What a Row says Sequence: floats for a vector, an array (not 66,564 Python floats) for a matrix."""
    return tuple(values.tolist()) if values.dim() == 1 else values.numpy()
