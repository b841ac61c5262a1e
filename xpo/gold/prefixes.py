"""Responses of the gold world up to each symbol, and how often they lead to a good one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from xpo.contracts import Batch, Row, StepTotals
from xpo.data.collate import Collator
from xpo.gold import tokens
from xpo.gold.labels import Labels
from xpo.gold.rows import array
from xpo.gold.world import World
from xpo.written import reset

Refusal = tuple[str, tuple[str, ...]]
"""The reason, and settings that work."""


def takes_apart(parts: Any) -> bool:
    """Whether a head reads responses at each of their steps, with labels and no comparisons."""
    return bool(
        parts.reward.trains_head
        and not parts.reward_level.ends
        and not parts.feedback.contrasts
        and "comparisons" not in parts.feedback.gives
    )


def prefix_rows(world: World, ref_logp_XN: Tensor, labels: Labels) -> list[Row]:
    """One row for each prompt: what every response begins with, good as often as responses that go on so.

    A step's label is that of the response it is drawn with (Uesato et al. 2022, arXiv 2211.14275, and Wang et
    al. 2023, arXiv 2312.08935, whose labels are the outcomes of completions), so that the best score of a
    beginning is the log-odds of P(good | beginning). Masses are those of steps drawn from the reference, and
    ``weight`` the mean number of steps; the end is no step.
    """
    assert labels.good_K is not None and labels.bad_K is not None
    below_NN = torch.tensor(
        [[float(y[: len(node)] == node) for y in world.responses] for node in world.responses],
        dtype=torch.float64,
    )
    ref_XN = ref_logp_XN.double().exp()
    good_XN, bad_XN = (ref_XN * labels.good_K) @ below_NN.T, (ref_XN * labels.bad_K) @ below_NN.T
    steps_X = (good_XN + bad_XN).sum(1)
    return [
        Row(
            prompt,
            [response[:-1] for response in world.response_ids],
            good=array(good_XN[x] / steps_X[x]),
            bad=array(bad_XN[x] / steps_X[x]),
            weight=float(steps_X[x]),
            source=f"gold:beginnings {x + 1}",
        )
        for x, prompt in enumerate(world.prompt_ids)
        if steps_X[x] > 0
    ]


def prefix_metrics(score_XN: Tensor, batch: Batch) -> dict[str, float]:
    """Of scores of beginnings, against how often they are good, over steps drawn from the reference.

    ``gold/step_log_loss``: the mean of -log P(label), in nats; ``gold/bayes_step_log_loss`` its least value.
    ``gold/step_error``: how far P(good) is off, in the mean. ``gold/step_accuracy``: labels on the right side
    of even odds, and of who knows them.
    """
    assert batch.good_BK is not None and batch.bad_BK is not None
    weight_X1 = batch.weight_B[:, None].double() / batch.weight_B.double().sum()
    good_XN, bad_XN = (weight_X1 * masses.double() for masses in (batch.good_BK, batch.bad_BK))
    mass_XN, score_XN = good_XN + bad_XN, score_XN.double()
    truth_XN = torch.logit(good_XN / mass_XN)

    def loss(odds_XN: Tensor) -> float:
        return float((good_XN * softplus(-odds_XN) + bad_XN * softplus(odds_XN)).sum())

    def accuracy(odds_XN: Tensor) -> float:
        return float(torch.where(odds_XN > 0, good_XN, bad_XN).sum())

    apart_XN = (torch.sigmoid(score_XN) - torch.sigmoid(truth_XN)).abs()
    return {
        "gold/step_log_loss": loss(score_XN),
        "gold/bayes_step_log_loss": loss(truth_XN),
        "gold/step_error": float((mass_XN * apart_XN).sum()),
        "gold/step_accuracy": accuracy(score_XN),
        "gold/bayes_step_accuracy": accuracy(truth_XN),
    }


def prefix_batch(rows: Sequence[Row]) -> Batch:
    """All beginnings of all prompts, fed to their last tokens."""
    totals = StepTotals(sum(row.weight for row in rows), 0.0, 1)
    return Collator(tokens.PAD_ID, whole=True)(rows, range(len(rows)), totals)


def prefix_refusal(option: Any, parts: Any) -> Refusal | None:
    """Why these rows would not read what the data option and the composition say."""
    told = reset("reward_level", parts.reward_level)
    if told:
        names = " and ".join(setting.partition("=")[0] for setting in told)
        text = f"{names} is not read: a part of the gold world's responses is a symbol, good or bad."
        return text, tuple(told)
    for name in ("records", "responses"):
        if vars(option)[name] is not None:
            why = f"with {parts.choice('reward_level')} a row holds every beginning of every response"
            text = f"data.{name} is not read: {why}."
            return text, (f"data.{name}=null",)
    if option.mode == "sampled":
        text = f"the gold world draws pairs of steps, and {parts.choice('feedback')} labels single ones."
        return text, ("data.mode=population",)
    return _unlike_these_rows(parts)


def _unlike_these_rows(parts: Any) -> Refusal | None:
    if parts.arity.sizes == (2, 2):
        text = f"labels are of single steps, and {parts.choice('arity')} takes two."
        return text, ("arity=list",)
    if parts.arity.sizes == (1, 1):
        text = f"a row holds every beginning of every response, and {parts.choice('arity')} takes one."
        return text, ("arity=list",)
    if parts.weighting.by_row or parts.schedule.chunks:
        group = "weighting" if parts.weighting.by_row else "schedule"
        text = f"data.mode=population has one row for each prompt, which {parts.choice(group)} does not."
        return text, (f"{group}=none" if group == "weighting" else "schedule=offline",)
    if "demonstrations" in parts.sft.needs:
        text = f"beginnings of responses have labels, and {parts.choice('sft')} imitates whole ones."
        return text, ("sft=separate",)
    return None
