"""Training rows of the gold world: the population with exact masses, and lists drawn from the reference.

Everything here takes ``ref_logp_XN``, the exact log-probabilities of the run's reference, so rows are
built after the reference is known. ``xpo.contracts.Row`` says what the masses mean.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xpo.contracts import FEEDBACK, Row
from xpo.data.record import Record
from xpo.gold.labels import PLAIN, LabelModel, Labels
from xpo.gold.world import World


@dataclass(frozen=True)
class Wanted:
    """Which feedback rows carry (of contracts.FEEDBACK), and how it comes about.

    ``labels_from_pairs``: good and bad are the two sides of comparisons, not verdicts on single responses.
    ``splits_ties``: a tie is half a comparison for each side; else it is none.
    """

    needs: Set[str] = FEEDBACK
    labels_from_pairs: bool = False
    splits_ties: bool = False


EVERYTHING = Wanted()


def population_rows(
    world: World, ref_logp_XN: Tensor, wanted: Wanted = EVERYTHING, labels: Labels | None = None
) -> list[Row]:
    """One row per prompt: every response, and the exact expectation of the feedback that is wanted.

    ``labels`` (of every response; Bradley and Terry's of the true reward unless given) say what a labeller
    thinks; with ref the exact reference
    ``comparisons``: prefer = ref_i ref_j P(i is preferred over j), every ordered pair, i = j included (its
    gap is 0);
    ``labels``: good, bad = ref_i times how often i is called so, or, where labels are the two sides of
    comparisons, half the distributions of a pair's winner and loser;
    ``demonstrations``: demo = the distribution of a pair's winner;
    ``scores``: the labeller's, drawn from ref; ``wins``, ``margins`` and ``costs``: the labeller's.
    Masses of a prompt sum to 1; what is not wanted is None. A prompt whose responses all tie, or are neither
    good nor bad, has no row where that is what is wanted.
    """
    labels = PLAIN.of_world(world, ref_logp_XN) if labels is None else labels
    ref_XN = ref_logp_XN.double().exp()
    prefer_XNN = ref_XN[:, :, None] * ref_XN[:, None, :] * labels.compared_KK(wanted.splits_ties)
    total_X = prefer_XNN.sum((1, 2))
    prefer_XNN = prefer_XNN / total_X[:, None, None]
    winner_XN, loser_XN = prefer_XNN.sum(2), prefer_XNN.sum(1)
    sides = {"good": winner_XN / 2, "bad": loser_XN / 2}
    judged = {"good": _mass(ref_XN, labels.good_K), "bad": _mass(ref_XN, labels.bad_K)}
    fields = {
        "comparisons": {"prefer": prefer_XNN},
        "labels": sides if wanted.labels_from_pairs else judged,
        "demonstrations": {"demo": winner_XN},
        "scores": {"scores": labels.score_K, "mass": ref_XN},
        "wins": {"wins": labels.win_KK},
        "margins": {"margins": labels.margin_KK},
        "costs": {"costs": labels.cost_K},
    }
    masses = {key: value for need in sorted(wanted.needs) for key, value in fields[need].items()}
    said_X = torch.ones_like(total_X, dtype=torch.bool)
    for name in masses.keys() & {"prefer", "demo", "good"}:
        said_X &= masses[name].flatten(1).sum(1) > 0  # NaN where nothing is compared
    rows = _rows(world, masses, "population")
    return [row for row, said in zip(rows, said_X.tolist(), strict=True) if said]


def _mass(ref_XN: Tensor, share_XN: Tensor | None) -> Tensor | None:
    return None if share_XN is None else ref_XN * share_XN


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


def list_rows(
    world: World, draws_XMK: Tensor, model: LabelModel = PLAIN, splits_ties: bool = False
) -> list[Row]:
    """A row for each drawn list, with exact feedback; the prompts take turns.

    Responses stand in order of the labeller's utility, the best first; ``prefer`` spreads mass 1 evenly over
    the list's pairs (ties left out of it unless they are split) and divides each by its exact label
    probability; ``good`` and ``bad`` are half the winner's and the loser's share of it; ``demo`` is the best;
    ``scores``, ``wins`` and ``margins`` are the labeller's, ``costs`` the world's.
    """
    index_XM1, utility_XN = torch.arange(world.prompts)[:, None, None], model.utility_XN(world)
    order_XMK = utility_XN[index_XM1, draws_XMK].argsort(dim=-1, descending=True, stable=True)
    drawn_XMK = draws_XMK.gather(-1, order_XMK)
    class_XMK = world.class_XN[index_XM1, drawn_XMK]
    labels = model.in_world(world).labels(utility_XN[index_XM1, drawn_XMK], class_XMK)
    others_KK = 1.0 - torch.eye(draws_XMK.shape[-1], dtype=torch.float64)
    compared_XMKK = others_KK if splits_ties else others_KK * (1 - labels.tie_KK)
    pairs_XM11 = compared_XMKK.sum((-2, -1), keepdim=True) / 2
    prefer_XMKK = labels.compared_KK(splits_ties) * others_KK / pairs_XM11
    score_XMK, wins_XMKK, margin_XMKK = labels.score_K, labels.win_KK, labels.margin_KK
    assert margin_XMKK is not None
    best = (1.0, *(0.0,) * (draws_XMK.shape[-1] - 1))
    return [
        Row(
            prompt=world.prompt_ids[x],
            responses=[world.response_ids[i] for i in drawn_XMK[x, m].tolist()],
            prefer=array(prefer_XMKK[x, m]),
            good=array(prefer_XMKK[x, m].sum(1) / 2),
            bad=array(prefer_XMKK[x, m].sum(0) / 2),
            demo=best,
            scores=array(score_XMK[x, m]),
            wins=array(wins_XMKK[x, m]),
            margins=array(margin_XMKK[x, m]),
            costs=array(world.cost_XN[x, drawn_XMK[x, m]]),
            source=f"gold:list {m * world.prompts + x + 1}",
        )
        for m in range(draws_XMK.shape[1])
        for x in range(world.prompts)
    ]


def records(world: World, draws_XMK: Tensor, model: LabelModel = PLAIN) -> list[Record]:
    """A record for each draw, unlabelled: the labeller's exact utilities as scores, its margins, costs."""
    index_XM1 = torch.arange(world.prompts)[:, None, None]
    utility_XMK = model.utility_XN(world)[index_XM1, draws_XMK]
    margin_XMKK = model.in_world(world).margins(utility_XMK, world.class_XN[index_XM1, draws_XMK])
    return [
        Record(
            prompt=world.prompt_texts[x],
            responses=tuple(f" {world.response_texts[i]}" for i in draws_XMK[x, m].tolist()),
            scores=tuple(utility_XMK[x, m].tolist()),
            margins=tuple(map(tuple, margin_XMKK[x, m].tolist())),
            costs=tuple(world.cost_XN[x, draws_XMK[x, m]].tolist()),
            where=f"gold:{m * world.prompts + x + 1}",
        )
        for m in range(draws_XMK.shape[1])
        for x in range(world.prompts)
    ]


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


def _rows(world: World, masses: Mapping[str, Tensor], source: str) -> list[Row]:
    return [
        Row(
            prompt=world.prompt_ids[x],
            responses=world.response_ids,
            source=f"gold:{source} {x + 1}",
            **{key: array(value[x]) for key, value in masses.items()},
        )
        for x in range(world.prompts)
    ]


def array(values: Tensor) -> Any:
    """What a Row calls Sequence: floats for a vector, an array (not 66,564 Python floats) for a matrix."""
    return tuple(values.tolist()) if values.dim() == 1 else values.numpy()
