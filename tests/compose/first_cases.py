"""Refusals about what a run makes before it trains: revisions, and reward models (for test_compat.py)."""

from __future__ import annotations

FILE = ["data=jsonl", "data.path=x"]
ASKED = ["annotator=constitution", "annotator.path=m"]
TRAINED = [*FILE, "annotator=trained"]
CHOOSES = 'annotator.overrides=["query=random","schedule=iterative","arity=pair","data.mode=sampled"]'

FIRST_CASES = [
    # somebody with principles revises texts, for somebody who imitates them
    ([*FILE, "algo=dpo", "revision=principles"], "annotator=human has none"),
    ([*TRAINED, "algo=ppo", "revision=principles"], "learns from annotator=human, has none"),
    ([*ASKED, "algo=dpo", "revision=principles", "data.mode=sampled"], "data=gold has none"),
    ([*FILE, *ASKED, "algo=dpo", "revision=principles", "data.demonstrations=y"], "gives others"),
    ([*FILE, *ASKED, "algo=dpo", "revision=principles", "sft=none"], "nobody imitates"),
    ([*FILE, *ASKED, "algo=orpo", "revision=principles"], "nobody imitates"),
    # a scorer is no policy, once it is trained
    (["algo=reward_bt", "sampling=on_policy", "schedule=iterative"], "samples no more"),
    # what is renewed between rounds, and what is held out
    (["algo=ppo", "annotator=trained", "annotator.refresh=8"], "schedule=online has one round"),
    (
        ["algo=dpo", "annotator=trained", "annotator.refresh=8", "schedule=iterative"],
        "answers no prompt",
    ),
    (["algo=dpo", "annotator=trained", "annotator.refresh=8"], "schedule=offline has one round"),
    (["algo=dpo", "annotator=trained", "annotator.held_out=true"], "draws none"),
    (["algo=ppo", "annotator=trained", "annotator.held_out=true", CHOOSES], "chooses others"),
    (["algo=dpo", "schedule=refreshed"], "renews samples"),
]
