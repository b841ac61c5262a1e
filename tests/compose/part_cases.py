"""Refusals of responses that are taken apart: what is asked for and what is said (for test_compat.py)."""

from __future__ import annotations

FILE = ["data=jsonl", "data.path=x"]

PART_CASES = [
    (["algo=reward_span", *FILE, "annotator=self"], "labels whole responses"),
    (["algo=reward_span", *FILE, "feedback=preference", "objective=logistic"], "about labels of parts"),
    (["algo=step_dpo", *FILE, "reward_level.neutral=half"], "about labels of parts"),
    (["algo=kto", *FILE, "reward_level=span", "arity=list"], "each segment is a response to what"),
    (["algo=reward_span", *FILE, "arity=pair"], "reads all segments of an answer in one row"),
    (["algo=reward_prm", "arity=single"], "arity=single takes one"),
    (["algo=reward_prm", "sft=merged"], "imitates whole ones"),
    (["algo=reward_prm", *FILE, "length=mean"], "could pool"),
    (["algo=reward_prm", "data.mode=sampled"], "draws pairs of steps"),
    (["algo=reward_prm", "data.records=5"], "a row holds every beginning"),
    (["algo=reward_prm", "arity=pair"], "labels are of single steps"),
    (["algo=reward_prm", "annotator.ties=1"], "annotator.ties is not read"),
    (["algo=reward_span", "reward_level.span_type=Irrelevant"], "span_type is not read"),
    (["algo=reward_prm", "reward_level.neutral=half"], "neutral is not read"),
]
