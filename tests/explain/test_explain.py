import json
import subprocess
import sys

import pytest

from xpo.compose import ConfigError, Refused, presets
from xpo.compose.groups import AXES
from xpo.explain.explain import as_text, explain, main
from xpo.explain.symbols import SYMBOLS


@pytest.mark.parametrize("algo", presets())
def test_every_preset_explains_itself(algo):
    found = explain([f"algo={algo}"])
    text = as_text(found)
    assert text.startswith(f"{algo}: {found.preset.title}")
    assert list(found.axes) == list(AXES)
    for value in (*found.axes.values(), *found.preset.survey.values(), *found.needs, *found.notes):
        assert value in text
    assert found.formula.latex.splitlines()[0] in text


def test_no_symbol_of_a_formula_is_unexplained():
    known = {*SYMBOLS, "exp", "log", "sigmoid", "log_sigmoid", "relu", "where", "swap", "t", "j"}
    known |= {"maximum", "minimum", "abs", "sqrt"}
    for algo in presets():
        formula = explain([f"algo={algo}"]).formula
        defined = {name for name, _ in formula.definitions}
        for _, expression in formula.definitions:
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
