"""What an anchor must keep to."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from xpo.testing.batches import Toy, toy
from xpo.testing.checks_declared import FIELDS
from xpo.testing.tools import differ, gradient, require, same, variants


def _term(anchor: Any, t: Toy) -> Tensor:
    """The rows' share of the term, without its weight."""
    above, below = anchor(
        t.batch,
        t.reward_BK,
        {"logp": t.logp_BKT} | {s.name: t.token_BKT(s.name) for s in anchor.token_statistics},
    )
    require(float(below) > 0, f"the denominator is {below}")
    return above / below


def anchor_reads_what_it_declares(anchor: Any) -> None:
    require(anchor.reads_tokens == bool(anchor.token_statistics), f"reads_tokens={anchor.reads_tokens}")
    if not anchor.applies:
        require(not (anchor.needs or anchor.reads_reward or anchor.needs_reference), "it reads, for nothing")
        return
    t = toy()
    plain = _term(anchor, t)
    others = [name for need in FIELDS.keys() - anchor.needs for name in FIELDS[need]]
    same(_term(anchor, t.replace(**dict.fromkeys(others))), plain, "it reads more than it needs")
    for need in sorted(anchor.needs):
        try:
            _term(anchor, t.replace(**dict.fromkeys(FIELDS[need])))
        except ValueError:
            continue
        raise AssertionError(f"needs {need}, but does without, or fails with no ValueError")
    moved = dataclasses.replace(t, reward_BK=t.reward_BK + torch.arange(1.0, 5.0)[:, None])
    if anchor.difference:
        same(_term(anchor, moved), plain, "difference=True, but adding c(x) to the rewards changes it")
    else:
        differ(
            _term(anchor, moved), plain, "difference=False, but adding c(x) to the rewards changes nothing"
        )
    tilted = dataclasses.replace(t, reward_BK=t.reward_BK * 1.5)
    changed = bool((_term(anchor, tilted) - plain).abs() > 1e-9)
    require(changed == anchor.reads_reward, f"reads_reward={anchor.reads_reward}, but rewards say otherwise")


def anchor_is_a_sum_over_rows(anchor: Any) -> None:
    """Whatever share a micro-batch; a filler counts nothing, and padding has no gradient."""
    if not anchor.applies:
        return
    t = toy()
    parts = _term(anchor, t.rows([0, 1])) + _term(anchor, t.rows([2, 3]))
    same(parts, _term(anchor, t), "two micro-batches are not one")
    without = t.replace(weight_B=torch.cat([t.batch.weight_B[:3], torch.zeros(1, dtype=torch.float64)]))
    same(_term(anchor, without), _term(anchor, t.rows([0, 1, 2])), "a filler counts")
    leaf = t.reward_BK.masked_fill(~t.batch.present_BK, torch.nan).requires_grad_()
    found = _term(anchor, dataclasses.replace(t, reward_BK=leaf))
    same(found.detach(), _term(anchor, t), "responses that are not there are read")
    absent = gradient(found, leaf)[~t.batch.present_BK]
    require(bool((absent == 0).all()), "responses that are not there have a gradient")


def anchor_shows_itself(anchor: Any) -> None:
    """Its weight in the LaTeX, and no other field that nothing reads."""
    if not anchor.applies:
        return
    for field, other in variants(anchor):
        shown = anchor.term_latex() != other.term_latex() or anchor.term_text() != other.term_text()
        require(shown, f"the formula does not show {field}")


CHECKS = (anchor_reads_what_it_declares, anchor_is_a_sum_over_rows, anchor_shows_itself)
