"""What options of reduce and sft must keep to."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from xpo.testing.batches import Toy, toy
from xpo.testing.tools import differ, gradient, require, same, variants


def parts_sum_to_the_whole(reduce: Any) -> None:
    """The numerators of micro-batches add up; the denominator is the whole step's."""
    t = toy()
    loss = torch.tensor([1.0, -2.0, 0.5, 4.0], dtype=torch.float64)
    numerator, denominator = reduce(loss, t.batch)
    parts = [reduce(loss[[b]], t.rows([b]).batch) for b in range(4)]
    same(sum(part for part, _ in parts), numerator, "the numerators of two halves are not that of the whole")
    require({part for _, part in parts} == {denominator}, "the denominator depends on the micro-batch")
    same(reduce(3 * loss, t.batch)[0], 3 * numerator, "it is not proportional to the loss")


def filler_rows_do_not_count(reduce: Any) -> None:
    t = toy()
    weight = t.batch.weight_B.clone()
    weight[2:] = 0
    loss = torch.tensor([1.0, -2.0, 0.5, 4.0], dtype=torch.float64)
    with_filler = reduce(loss, t.replace(weight_B=weight).batch)[0]
    same(with_filler, reduce(loss[:2], t.rows([0, 1]).batch)[0], "a row of weight 0 counts")


def declares_per_token(reduce: Any) -> None:
    t = toy()
    totals = dataclasses.replace(t.batch.totals, tokens=2 * t.batch.totals.tokens)
    loss = torch.ones(4, dtype=torch.float64)
    moved = reduce(loss, t.replace(totals=totals).batch)[1] != reduce(loss, t.batch)[1]
    require(moved == reduce.per_token, f"per_token={reduce.per_token}, but the denominator says otherwise")


def responses_sum_up(reduce: Any) -> None:
    """What responses contribute is linear in their tokens' losses, each positive, and reads no padding."""
    t = toy()
    mask, loss = t.batch.mask_BKT, t.logp_BKT
    found = reduce.of_tokens(loss, mask)
    require(found.shape == mask.shape[:2], f"of_tokens gives the shape {tuple(found.shape)}")
    dirty = loss.masked_fill(~mask, torch.nan)
    same(reduce.of_tokens(dirty, mask), found, "of_tokens reads tokens that are not there")
    same(reduce.of_tokens(3 * loss, mask), 3 * found, "of_tokens is not proportional to the loss")
    alone = torch.stack([reduce.of_tokens(loss[b : b + 1], mask[b : b + 1])[0] for b in range(4)])
    same(alone, found, "of_tokens depends on other rows")
    leaf = loss.clone().requires_grad_()
    require(bool((gradient(reduce.of_tokens(leaf, mask), leaf)[mask] > 0).all()), "a token does not count")
    plain = bool(torch.allclose(found, loss.masked_fill(~mask, 0).sum(-1)))
    require(plain != reduce.needs_tokens, f"needs_tokens={reduce.needs_tokens}, but of_tokens says otherwise")


def _value(sft: Any, t: Toy) -> Tensor:
    """The whole term, or 0 where there is none."""
    term = sft.term(t.logp_BKT, t.prompt_logp_BP if sft.reads_prompt else None, t.batch)
    return torch.zeros((), dtype=torch.float64) if term is None else sft.weight * term[0] / term[1]


def declares_merges(sft: Any) -> None:
    t = toy()
    leaf = t.logp_BKT.clone().requires_grad_()
    found = gradient(_value(sft, dataclasses.replace(t, logp_BKT=leaf)), leaf)
    require(bool(found.any()) == sft.merges, f"merges={sft.merges}, but the term says otherwise")
    require(not bool((found > 0).any()), "the term pushes a demonstration down")
    require(sft.merges or sft.preference_weight == 1.0, "without a term the objective must keep its weight")
    require(sft.stage or not sft.parallel, "what runs beside the alignment is a stage of its own")


def term_is_additive_over_micro_batches(sft: Any) -> None:
    t = toy()
    parts = [_value(sft, t.rows([b])) for b in range(4)]
    same(sum(parts), _value(sft, t), "the term of a batch is not the sum of its rows'")


def term_reads_no_padding(sft: Any) -> None:
    t = toy()
    assert t.batch.packed.prompt_edge_BP is not None
    unscored = t.batch.packed.prompt_edge_BP < 0
    leaf = t.logp_BKT.masked_fill(~t.batch.mask_BKT, torch.nan).requires_grad_()
    prompt = t.prompt_logp_BP.masked_fill(unscored, torch.nan).requires_grad_()
    found = _value(sft, dataclasses.replace(t, logp_BKT=leaf, prompt_logp_BP=prompt))
    same(found.detach(), _value(sft, t), "the term reads tokens that are not there")
    require(
        bool((gradient(found, leaf)[~t.batch.mask_BKT] == 0).all()),
        "tokens that are not there have a gradient",
    )


def declares_reads_prompt(sft: Any) -> None:
    t = toy()
    prompt = t.prompt_logp_BP.clone().requires_grad_()
    found = gradient(_value(sft, dataclasses.replace(t, prompt_logp_BP=prompt)), prompt)
    require(bool(found.any()) == sft.reads_prompt, f"reads_prompt={sft.reads_prompt} is not so")


def term_needs_demonstrations(sft: Any) -> None:
    if not sft.merges:
        needed = frozenset({"demonstrations"}) if sft.parallel else frozenset()
        require(sft.needs == needed, f"needs={sorted(sft.needs)}, without a term")
        return
    require(sft.needs == frozenset({"demonstrations"}), f"needs={sorted(sft.needs)}")
    try:
        _value(sft, toy().replace(demo_BK=None))
    except ValueError:
        return
    raise AssertionError("without demonstrations it must raise a ValueError")


def every_field_is_read(sft: Any) -> None:
    """For merged terms; the fields of a stage are read by the stage, beside a term by its recipe."""
    if not sft.merges:
        return
    t = toy()
    for field, other in variants(sft):
        if sft.stage and other.recipe != sft.recipe:
            continue
        pair = [torch.stack([_value(part, t), torch.tensor(part.preference_weight)]) for part in (sft, other)]
        differ(pair[0], pair[1], f"nothing depends on {field}")


REDUCE = (parts_sum_to_the_whole, filler_rows_do_not_count, declares_per_token, responses_sum_up)
SFT = (
    declares_merges,
    term_is_additive_over_micro_batches,
    term_reads_no_padding,
    declares_reads_prompt,
    term_needs_demonstrations,
    every_field_is_read,
)
