"""The config groups: the survey's 13 axes in its order, and what stands beside them."""

from __future__ import annotations

AXES = (
    "reward",
    "reward_form",
    "reward_level",
    "polarity",
    "feedback",
    "arity",
    "annotator",
    "reference",
    "length",
    "divergence",
    "sampling",
    "schedule",
    "sft",
)
"""The 13 categories of the survey (arXiv 2407.16216), each a config group."""

BESIDE = (
    "objective",
    "label_noise",
    "margin",
    "weighting",
    "anchor",
    "critic",
    "penalty",
    "advantage",
    "policy_loss",
    "constraint",
    "pretraining",
    "query",
    "revision",
    "reduce",
    "model",
    "adapter",
    "data",
    "optimizer",
    "trainer",
    "logger",
    "eval",
)
"""Groups that are no axes of the survey."""

GROUPS = AXES + BESIDE

ROOT_KEYS = frozenset({"seed", "cache", "algo", "survey", "hp", "experiment"})
"""Top-level keys that are no groups."""
