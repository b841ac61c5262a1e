"""Refusals about rounds, pairs of samples, and who stands beside them (for test_compat.py)."""

from __future__ import annotations

FILE = ["data=jsonl", "data.path=x"]
RULE = "annotator.rules=[{name: length, most: 5}]"
GOLD = ["annotator=gold", "sampling.responses=2"]
SPIN = ["algo=spin", "annotator=gold", "sampling.responses=2"]
DUEL = ["algo=nash_md", "annotator=gold"]

ROUND_CASES = [
    # nobody says which samples are the best
    (["algo=spin", "sampling=best_of_n", "sampling.given=best"], "asks nobody what that is"),
    (["algo=d2o_self", "sampling=rejection", "sampling.given=worst"], "asks nobody what that is"),
    (["algo=spin", *FILE, "sampling.given=none"], "sampling.given=none leaves them out"),
    (["algo=spin", *FILE, "data.format=prompts"], "sampling.given=best takes one"),
    ([*SPIN, "annotator.noise=0.1"], "nobody labels with feedback=contrast"),
    ([*SPIN, "annotator.seed=3"], "nobody labels with feedback=contrast"),
    # rounds that would repeat the first, and more of them than there are
    (["algo=dpo", "schedule=iterative", "schedule.begin=first"], "nothing of a round goes on"),
    (["algo=reward_bt", "schedule=iterative", "schedule.begin=first"], "nothing of a round goes on"),
    (["algo=grpo", *GOLD, "schedule=refreshed", "schedule.begin=first"], "nothing of a round goes on"),
    (
        ["algo=dpo", "schedule=iterative", "schedule.begin=first", "schedule.lr_decay=0.5"],
        "nothing of a round goes on",
    ),
    (["algo=spin", "schedule.replay=5"], "before the last of schedule.rounds=3 there are 2"),
    # rounds in expectation
    (["algo=spin", "data.exact_rounds=true", "schedule.replay=2"], "schedule.replay=2 would change nothing"),
    (["algo=spin", "data.exact_rounds=true", "sampling.responses=4"], "responses=4 would change nothing"),
    (["algo=iterative_cringe", "annotator=gold", "data.exact_rounds=true"], "replay=1 would change nothing"),
    (["algo=spin", "data.exact_rounds=true", "sampling.max_new_tokens=2"], "max_new_tokens=2 cuts them"),
    # which pairs
    ([*SPIN, "arity.least=0.2"], "arity.least=0.2 reads probabilities"),
    ([*FILE, "algo=kto", "arity=pair", "arity.least=0.2"], "feedback=binary gives none"),
    ([*FILE, "algo=iterative_rpo", RULE, "arity.least=0.2"], "annotator=rule gives none"),
    (["algo=spin", "arity.from_list=best_worst"], "two responses, which are one pair"),
    (["algo=iterative_dpo", *GOLD, "arity.from_list=best_rest"], "two responses, which are one pair"),
    (["algo=online_dpo", "annotator=gold", "arity.seed=3"], "arity.seed=3 would change nothing"),
    ([*FILE, "algo=dpo", "arity.seed=3"], "arity.seed=3 would change nothing"),
    (["algo=dpo", "arity.from_list=adjacent"], "arity.from_list would change nothing"),
    (["algo=dpo", "arity.least=0.2"], "all responses train"),
    (["algo=dpo", "data.mode=sampled", "arity.from_list=random"], "two responses"),
]

MEANT = [
    ["algo=spin", "sampling.responses=4", "arity.from_list=best_worst"],
    ["algo=spin", "annotator=gold", "arity=list", "sampling.responses=4", "reward.beta=0.5"],
    ["algo=raft", "annotator=gold", "schedule.begin=first"],
    ["algo=online_rlhf", "annotator=gold", "schedule.rounds=2"],  # all rounds that there are, then
    ["algo=online_rlhf", *FILE],
    ["algo=sdpo", "data.mode=sampled", "schedule.begin=first"],
    ["algo=dpo", "schedule=iterative", "schedule.begin=first", "reference=previous"],
    ["algo=dpo", "schedule=iterative", "schedule.begin=first", "reference=ema"],
    ["algo=dpo", "schedule=iterative", "schedule.begin=first", "schedule.lr_decay=0.5"]
    + ["schedule.keep_best=gold/reward"],
    ["algo=active", "schedule.begin=first"],
    ["algo=rlhf_anthropic", *FILE, "data.pretraining=x", "schedule.begin=first"],
    ["algo=grpo", "annotator=gold", "schedule=refreshed", "schedule.begin=first", "reference=previous"],
    ["algo=iterative_dpo", "annotator=gold", "schedule.replay=2"],
    ["algo=iterative_dpo", "annotator=gold", "data.exact_rounds=true"],  # its number and pairs are its own
    ["algo=iterative_dpo", "annotator=gold", "arity.least=0.2"],
    ["algo=iterative_dpo", "annotator=gold", "arity.from_list=best_random", "arity.seed=3"],
    ["algo=iterative_dpo", *GOLD],
    ["algo=dpo", "data.mode=sampled", "data.responses=4", "arity.from_list=random", "arity.seed=3"],
    ["algo=dpo", "data.mode=sampled", "arity.least=0.2"],
    [*FILE, "algo=dpo", "arity.least=0.2", "arity.from_list=best_rest"],
    ["algo=grpo", "divergence=none", "reference=none", "penalty=none"],
    [*DUEL, "divergence=none", "penalty=none"],
]

FIXES = [
    (["algo=spin", "sampling=best_of_n", "sampling.given=best"], "sampling=on_policy sampling.given=best"),
    (["algo=spin", *FILE, "sampling.given=none"], "sampling.given=best"),
    (["algo=exploratory", "annotator=gold", "sampling=on_policy"], "anchor=none"),
    (["algo=dpo", "anchor=optimism"], "anchor=none"),
    (["algo=grpo", "annotator=gold", "divergence=none"], "divergence=none penalty=none reference=none"),
    (["algo=rloo", "annotator=gold", "penalty=none"], "divergence=none penalty=none reference=none"),
    ([*DUEL, "divergence=none"], "divergence=none penalty=none"),
    (["algo=dpo", "schedule=iterative", "schedule.begin=first"], "schedule.begin=last"),
    (["algo=spin", "schedule.replay=5"], "schedule.replay=2"),
    (["algo=spin", "arity.from_list=best_worst"], "arity.from_list=all"),
    ([*SPIN, "arity.least=0.2"], "arity.least=null"),
]
"""What is told as the nearest, where another would take back what was asked."""
