import json
import subprocess
import sys

import pytest

from xpo.compose import ConfigError, Refused, build, compose_config, presets
from xpo.compose.assembled import assembled
from xpo.compose.groups import AXES
from xpo.explain.explain import as_text, explain, explained, main
from xpo.explain.symbols import SYMBOLS

FROM_A_FILE = ["data=jsonl", "data.path=prompts.jsonl", "annotator=reward_model", "annotator.path=scorer"]


@pytest.mark.parametrize("algo", presets())
def test_every_preset_explains_itself(algo):
    config = compose_config([f"algo={algo}"])
    assert assembled([f"algo={algo}"]) == config
    found = explained(build(config))
    text = as_text(found)
    assert text.startswith(f"{algo}: {found.preset.title}")
    assert list(found.axes) == list(AXES)
    for value in (*found.axes.values(), *found.preset.survey.values(), *found.needs, *found.notes):
        assert value in text
    assert found.formula.latex.splitlines()[0] in text


def test_no_symbol_of_a_formula_is_unexplained():
    known = {*SYMBOLS, "exp", "log", "sigmoid", "log_sigmoid", "relu", "where", "swap", "t", "j"}
    known |= {"maximum", "minimum", "abs", "sqrt", "sign"}
    changed = [
        "penalty.form=token divergence=js",
        "advantage=n_step advantage.steps=2 critic=tokens arity=list",
    ]
    for overrides in [*(f"algo={algo}" for algo in presets()), *(f"algo=rloo {more}" for more in changed)]:
        told = explained(build(assembled(overrides.split())))
        definitions = (*told.formula.definitions, *told.credit)
        defined = {name for name, _ in definitions}
        for _, expression in definitions:
            words = {w for w in "".join(c if c.isalnum() or c == "_" else " " for c in expression).split()}
            names = {word for word in words if word[0].isalpha() and word != "e"}
            assert names <= known | defined, names - known - defined


def test_json_carries_the_same(capsys):
    assert main(["algo=simpo", "divergence=js", "reward.beta=1.5", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["algo"] == "simpo" and found["axes"]["divergence"] == "js"
    assert found["survey"]["divergence"] == "none"
    assert found["settings"]["reward.beta"] == 1.5
    assert "reward" in found["formula"]["text"] and r"\mathcal{L}" in found["formula"]["latex"]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["algo=simpo", "divergence=js"], "divergence=js reshapes. No divergence is regularised."),
        (["algo=dpo"], "E[r] - 0.1 D (reverse_kl)"),
        (["algo=dpo", "length=penalty", "divergence=js"], "E[r - 0.01 * length] - 0.1 D (js)"),
        (["algo=ipo", "length=sum"], "E[10 P(y beats the reference)] - 1 D (reverse_kl)"),
        (["algo=ipo"], "Deviations from the paper: per-token mean"),
        (["algo=dpo", "reward_level=token", "divergence=js"], "per-state divergences"),
        (["algo=dpo", "reward_level=token", "divergence=js"], "tokens are written after training"),
        (["algo=q_star"], "The loss is that of whole responses"),
        (["algo=q_star"], "Its optimum on a whole population is known"),
        (["algo=dpo", "polarity=negative"], "counts as reward 0"),
        (["algo=dpo", "reward=explicit"], "the scorer's probability"),
        (["algo=kto"], "No exact optimum is claimed."),
        (["algo=rloo"], "is 0 is known: that of E[r] - 0.03 D (reverse_kl)"),
        (["algo=rloo", "length=penalty", "reward.scale=2"], "E[r / 2 - 0.01 * length] - 0.03 D"),
        (["algo=rloo", "divergence=js", "penalty.form=token"], "No exact optimum is claimed."),
        (["algo=rloo", "feedback=binary"], "A sample is worth 1 if it is good and 0 if it is bad"),
        (["algo=rloo", "reward_form=win_rate"], "the mean probability of winning against the prompt's other"),
        (["algo=grpo"], "g'(u) = f'(u) - f(u) / u (of reverse KL: the forward KL)"),
        (["algo=grpo", "penalty.estimator=k1"], "its gradient is 0 on average"),
        (["algo=grpo", "penalty.estimator=k2"], "The penalty's gradient is that of the reverse KL"),
        (["algo=grpo"], "makes prompts count more whose samples are worth nearly the same"),
        (["algo=grpo"], "A token of a long response counts less"),
        (["algo=grpo"], "the ratio is 1 and nothing is ever clipped"),
        (["algo=ppo"], "Whitening takes the mean over all tokens off"),
        (["algo=ppo", "penalty.target=6"], "follows the measured divergence to 6 nats a response"),
        (["algo=safe_rlhf"], "the tighter the limit, the stronger the pull"),
        (["algo=safe_rlhf", "constraint.form=exact"], "the optimum under the limit"),
        (["algo=rloo", "polarity=negative"], "what is good is not made likelier"),
        (["algo=rloo", "sampling.missing_eos=1", *FROM_A_FILE], "that does not end is worth 1 less"),
        (["algo=raft"], "samples of the policy that the round before it left"),
    ],
)
def test_notes_say_what_the_formula_does_not(overrides, says):
    assert says in " ".join(explain(overrides).notes)


def test_needs_follow_the_combination():
    assert any("mismatched rows" in need for need in explain(["algo=kto"]).needs)
    assert any("prompt's tokens" in need for need in explain(["algo=orpo"]).needs)
    assert "no reference" in explain(["algo=simpo"]).needs
    assert any("scored beside the policy" in need for need in explain(["algo=tdpo1"]).needs)
    assert any("1 response each" in need for need in explain(["algo=kto"]).needs)
    assert any("2 or more responses" in need for need in explain(["algo=pro"]).needs)


@pytest.mark.parametrize(
    ("overrides", "needs"),
    [
        (["algo=rloo"], "prompts"),
        (["algo=rloo"], "samples from the policy: 4 of a prompt, in rollouts of 64 prompts, trained on once"),
        (["algo=ppo"], "in rollouts of 128 prompts, trained on 4 times in 8 steps"),
        (["algo=ppo"], "a critic (tokens), trained beside the policy"),
        (["algo=ppo"], "a reference (frozen): it scores every rollout"),
        (["algo=ppo_ptx"], "prompts, and demonstrations to imitate beside them"),
        (
            ["algo=rloo", "sampling=reference", "sampling.responses=4", "objective.truncation=2"],
            "the reference:",
        ),
        (["algo=raft"], "8 of a prompt, at most 1 of them trained on, as each of 3 rounds begins"),
        (["algo=rso"], "prompts, of which rows with comparisons"),
        (["algo=rso"], "before training"),
        (["algo=rloo"], "somebody who says what samples are worth (annotator=gold)"),
    ],
)
def test_what_samples_need(overrides, needs):
    assert any(needs in need for need in explain(overrides).needs)


def test_advantages_stand_beside_the_objective(capsys):
    text = as_text(explain(["algo=rloo"]))
    assert "Rewards and advantages, of a whole rollout" in text
    assert "every_t(sum_t(token_reward) - others_k(sum_t(token_reward)))" in text
    assert "Rewards and advantages" not in as_text(explain(["algo=raft"]))
    assert main(["algo=ppo", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["advantages"]) == ["log_ratio", "token_reward", "advantage"]
    assert "whiten" in found["symbols"] and found["settings"]["advantage.lam"] == 0.95


def test_errors_are_those_of_a_run():
    with pytest.raises(Refused, match="off-policy"):
        explain(["divergence=chi2"])
    with pytest.raises(ConfigError, match="Did you mean"):
        explain(["divergence=jss"])


def test_the_verb_loads_no_model_library():
    code = (
        "import sys; from xpo.cli import main\n"
        "main(['explain', 'algo=dpo'])\n"
        "assert not {'lightning', 'transformers', 'peft', 'datasets'} & set(sys.modules)\n"
        "main(['explain', 'divergence=chi2'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout.startswith("dpo: ")
    assert done.stderr.startswith("xpo: divergence=chi2 cannot be used off-policy")
    assert "Nearest combination that works" in done.stderr
