"""Combinations without a meaning, of societies and of labelling by a budget; elsewhere is what is told."""

FILE = ["algo=sandbox", "data=jsonl", "data.path=x"]
RULE = ["annotator=rule", "annotator.rules=[{name: length, most: 5}]"]
ROUNDS = ["data.mode=sampled", "schedule=iterative"]
MORE_CASES = [
    ["algo=sandbox", "sampling.peers=2"],
    ["algo=sandbox", "sampling.circle=any"],
    [*FILE, "sampling.given=best"],
    [*FILE, "annotator=self", "algo=dpo", "feedback.soft=true", "sampling=society"],
    [*FILE, "sampling.scores=observer", "annotator=judge", "annotator.path=x", "feedback=scalar"],
    [*FILE, "algo=sppo", "annotator=judge", "annotator.path=x", "sampling=society"],
    [*FILE, *RULE, "algo=rloo", "sampling=society", "objective.truncation=2", "reward_form=win_rate"],
    [*FILE, *RULE, "algo=prm_rl", "sampling=society"],
    ["algo=spin", "annotator=reward_model", "annotator.path=x"],
    ["algo=nash_md", "feedback=preference"],
    ["algo=iterative_dpo", "annotator=gold", "sampling.resample=2"],
    ["query=random"],
    ["algo=spin", "query=random"],
    [*ROUNDS, "schedule.rows=in_order", "query=random"],
    [*ROUNDS, "algo=orpo", "query=uncertain"],
    [*ROUNDS, "algo=sft", "query=uncertain"],
    [*ROUNDS, "query=disagreement"],
]
