"""Refusals about samples: what is asked for and what is said (for test_compat.py)."""

from __future__ import annotations

FILE = ["data=jsonl", "data.path=x"]
RULE = [*FILE, "annotator=rule", "annotator.rules=[{name: length, most: 5}]"]
SERVED = ["sampling.server=http://127.0.0.1:1/v1"]

SAMPLE_CASES = [
    # a gradient has samples of the policy as it stands
    (["algo=rloo", "sampling=off_policy"], "score function of samples as they are drawn"),
    (["algo=rloo", "sampling=best_of_n"], "score function of samples as they are drawn"),
    (["algo=rloo", "sampling=mixture"], "nothing makes up for it"),
    (["algo=dapo", "sampling=mixture", "objective.truncation=2.0"], "draws from the reference"),
    (["algo=raft", "sampling=reference"], "draws from the reference"),
    (["algo=rloo", "sampling=mixture", "objective.truncation=2.0", *SERVED], "draws from one model"),
    (
        [*RULE, "algo=rloo", "sampling=mixture", "objective.truncation=2.0", *SERVED]
        + ["sampling.server_folder=x"],
        "draws from one model",
    ),
    ([*RULE, "algo=rloo", *SERVED], "keeps the weights that it began with"),
    (["algo=dpo", "schedule=online"], "draws none"),
    (["algo=rloo", "schedule=offline"], "does not renew them"),
    # samples are new: nobody has said anything of their parts
    (["algo=rso", "feedback=contrast"], "leaves them out"),
    (["algo=rloo", "sampling.given=best"], "sets a response of the data beside them"),
    (["algo=nash_md", "reward_form=pointwise"], "judges each alone"),
    (["algo=nash_md", "sampling.server=http://a/v1"], "draws from the policy and from others"),
    (["algo=exploratory", "schedule=iterative", "sampling.mix=0.5", "sampling.average=0.9"], "step by step"),
    (["algo=dpo", "anchor=optimism"], "draws none"),
    (["algo=sdpo", "schedule.replay=1"], "draws none"),
    (["algo=rso", "reward_level=step"], "draws new ones"),
    (["algo=rloo", "sampling.missing_eos=1", "reward_form=win_rate"], "lowers scores"),
    (["algo=rloo", "sampling.missing_eos=1", "feedback=preference", "feedback.soft=true"], "lowers scores"),
    # what a policy gradient is made of, and nothing of it elsewhere
    (["algo=rloo", "advantage=none"], "needs one to be chosen"),
    (["algo=dpo", "policy_loss=clip"], "would not be read"),
    (["algo=dpo", "penalty=reward"], "acts on a policy gradient"),
    (["algo=dpo", "constraint=lagrange"], "acts on a policy gradient"),
    # somebody says what they are worth
    (["algo=rloo", "reward=implicit"], "is none of that"),
    (["algo=rloo", "feedback=demonstration"], "says nothing of what a sample is worth"),
    (["algo=rloo", "reward_form=none"], "without a reward"),
    ([*RULE, "algo=rloo", "reward_form=win_rate"], "takes wins"),
    ([*FILE, "algo=rloo", "annotator=human"], "samples are new"),
    ([*FILE, "algo=rlhf_instructgpt", "annotator.algo=dpo"], "trains no model that does"),
    # the gold world draws whole responses to its own prompts
    (["algo=rloo", "sampling.max_new_tokens=2"], "max_new_tokens=2 cuts them"),
    (["algo=raft", "sampling.stop=[a]"], "stop cuts them"),
    (["algo=rloo", "sampling.prompt_template='{prompt}!'"], "prompt_template={prompt}! is not read"),
    (["algo=rloo", *SERVED, "sampling.server_folder=x"], "is not read: the gold world draws"),
    (["algo=rloo", "sampling.missing_eos=1"], "is not read: the gold world draws"),
    # a row holds them
    (["algo=rloo", "sampling.responses=1"], "holds 2 or more"),
    (["algo=ppo", "sampling.responses=4"], "holds 1"),
    (["algo=rloo", "arity=single", "sampling.responses=1"], "compares a prompt's samples"),
    (["algo=ppo", "feedback=preference"], "compares a prompt's samples"),
    (["algo=ppo", "reward_form=win_rate"], "compares a prompt's samples"),
    # a divergence, a reference and a penalty go together
    (["algo=rloo", "penalty=none"], "has no effect"),
    (["algo=rloo", "reference=none"], "has no effect"),
    (["algo=rloo", "divergence=none"], "has no effect"),
    (["algo=dapo", "penalty=loss"], "has no effect"),
    (["algo=grpo", "penalty.estimator=k2", "divergence=js"], "is about reverse KL"),
    # what is not read
    (["algo=rloo", "length=mean"], "pools log-ratios"),
    (["algo=rloo", "critic=tokens"], "for nobody"),
    (["algo=ppo", "critic=none"], "learns none from returns"),
    (["algo=ppo", "critic=value"], "learns none from returns"),
    (["algo=ppo", "critic.costs=true"], "where costs are limited"),
    (["algo=safe_rlhf", "critic.costs=false"], "where costs are limited"),
    ([*RULE, "algo=safe_rlhf"], "limits costs"),
    (["algo=rloo", "schedule.epochs=2"], "no ratio that makes up"),
    (["algo=grpo", "objective.stop_kl=0.1"], "trained on once"),
    (["algo=rloo", "label_noise=flips"], "is about given rows"),
    (["algo=rloo", "margin=constant"], "is about given rows"),
    (["algo=rloo", "weighting=batch_beta"], "is about given rows"),
    (["algo=rloo", "anchor=retain_kl"], "is about given rows"),
    (["algo=rloo", "sft=parallel"], "is about given rows"),
    (["algo=rloo", "reward_level=token"], "says nothing of that"),
    (["algo=rloo", "reward_level=none"], "says nothing of that"),
    # samples of another law than the one that is scored
    (["algo=rloo", "sampling.top_p=0.9"], "sampling.top_p draws from another distribution"),
    (
        ["algo=rloo", "sampling.top_k=2", "sampling.min_new_tokens=1"],
        "top_k and sampling.min_new_tokens draw",
    ),
    ([*RULE, "algo=grpo", "sampling.prompt_template='{prompt}!'"], "sampling.prompt_template draws from"),
    # what is asked for and read by nobody
    (["algo=raft", "schedule.rows=in_order"], "answers all prompts in each"),
    (["algo=rest", "sampling.share=[0.5,0.4,0.3,0.2]"], "for each of 4 rounds, and schedule=iterative has 3"),
    (["algo=dapo", "reward.beta=0.5"], "reward.beta=0.5 would change nothing"),
    (["algo=raft", "reward.beta=0.5", "reward.scale=2"], "reward.beta=0.5 and reward.scale=2.0 would change"),
    (["algo=dpo", "reward=explicit", "reward.clip=1"], "reward.clip=1.0 would change nothing"),
    (["algo=rloo", "reference.cache=false"], "reference.cache=false would change nothing"),
    (
        ["algo=rloo", "arity=pair", "sampling.responses=2", "arity.seed=3"],
        "arity.seed=3 would change nothing",
    ),
    ([*RULE, "algo=rloo", "sft=none", "data.on_long_row=drop"], "data.on_long_row=drop is not read"),
    ([*RULE, "algo=raft", "sft=none", "data.max_response_length=99"], "max_response_length=99 is not read"),
    ([*RULE, "algo=dro", "sampling=on_policy", "data.standardise_scores=true"], "draws new responses"),
    ([*FILE, "algo=dpo", "data.format=prompts"], "reads no responses"),
    ([*FILE, "algo=rlhf_instructgpt", "data.format=prompts"], "that run: data.format=prompts reads no"),
    (["algo=rloo", "annotator=rule", "annotator.rules=[{name: answer}]"], "needs answers, but data=gold"),
    ([*RULE, "algo=rloo", "annotator.threshold=0.5"], "says which samples are good"),
]
