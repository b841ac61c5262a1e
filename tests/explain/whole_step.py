"""Whole-step statistics of rows that are the whole step, and the names that formulas have for them."""

import dataclasses

import torch

from xpo.arrow import Steps
from xpo.contracts import Step


def settled(arrow, batch, scores):
    """The whole-step statistics, these rows being the step, and the names that the text has for them."""
    steps, symbols = Steps(), {}
    if arrow.objective.statistic_rows != "none":
        step = whole(arrow.objective, arrow.observed(batch, scores), batch)
        steps = dataclasses.replace(steps, objective=step)
        symbols |= arrow.objective.symbols(step, batch)
    if arrow.weighting.statistic_rows != "none":
        step = whole(arrow.weighting, arrow.weighed(batch, scores, steps.objective), batch)
        steps = dataclasses.replace(steps, weighting=step)
        symbols |= arrow.weighting.symbols(step, batch, arrow.reward.beta)
    return steps, symbols


def whole(part, values, batch):
    step = Step(values, batch.weight_B, batch.index_B, torch.zeros(part.memory, dtype=values.dtype))
    return dataclasses.replace(step, memory=part.remember(step)) if part.memory else step


def per_row(symbols, rows):
    """Numbers of the whole step as they are, those of rows one by one, without padding."""
    for b, row in enumerate(rows):
        yield {name: of_row(value, b, row["K"]) for name, value in symbols.items()}


def of_row(value, b, responses):
    if isinstance(value, tuple):  # a table for each row
        return value[b].numpy()
    if value.ndim == 0:
        return value.item()
    return value[b].item() if value.ndim == 1 else value[b][:responses].numpy()
