"""Weights that rows get before they are trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from xpo.compose.composition import Composition
from xpo.scoring.prompts import prompt_embeddings
from xpo.stages.source import Policy, Rows


def weighed(c: Composition, policy: Policy, rows: Rows) -> tuple[Rows, Mapping[str, float]]:
    """The rows as the weighting prepares them, and what the manifest should say about it.

    ``policy`` is as alignment finds it. Every rank does the same.
    """
    device = next(policy.model.parameters()).device.type
    with c.trainer.autocast(device):
        train, test, facts = c.weighting.prepare(
            rows.train, rows.test, lambda prompts: prompt_embeddings(policy.model, prompts)
        )
    return dataclasses.replace(rows, train=train, test=test), facts
