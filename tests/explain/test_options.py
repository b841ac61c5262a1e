import json
import subprocess
import sys

import pytest

from xpo import registry
from xpo.compose import ConfigError
from xpo.compose.compose import option_files
from xpo.compose.groups import GROUPS
from xpo.explain.options import main, options


@pytest.mark.parametrize("group", ["algo", *GROUPS])
def test_every_option_is_listed_with_a_line_about_it(group):
    found = options(group)
    assert [option.name for option in found] == option_files(group)
    for option in found:
        assert len(option.about.split()) >= 2, option


@pytest.mark.parametrize("group", GROUPS)
def test_what_is_listed_are_the_components_own_keys_and_words(group):
    for option in options(group):
        name = option.name if option.name in registry.names(group) else None
        if name is None:
            continue  # a variant: another file for a component
        component = registry.component(group, name)
        assert set(option.settings) <= set(registry.fields(component))
        assert option.about in " ".join((component.__doc__ or "").split())


def test_the_verb(capsys):
    assert main(["divergence"]) == 0
    text = capsys.readouterr().out
    assert "divergence  axis 10 of the survey" in text and "[alpha=0.5]" in text
    assert main(["margin", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["margin"]
    assert {option["name"]: option["settings"] for option in found}["constant"]["gamma_beta_ratio"] == 0.5
    with pytest.raises(ConfigError, match="Did you mean 'divergence'"):
        main(["divergance"])


def test_it_imports_no_torch():
    code = "import sys\nfrom xpo.cli import main\nmain(['list'])\nassert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
