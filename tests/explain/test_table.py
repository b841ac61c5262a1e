import json
import resource
import subprocess
import sys

import pytest

from xpo.compose import followed
from xpo.compose.compose import presets
from xpo.compose.groups import AXES
from xpo.compose.paths import core_conf
from xpo.errors import UserError
from xpo.explain import presets as files
from xpo.explain.table import as_json, as_markdown, as_text


def composed_choices(algo):
    """What Hydra itself chooses for every group."""
    from hydra import compose, initialize_config_dir

    from xpo.compose.hydra_glue import prepare_hydra

    prepare_hydra()
    with initialize_config_dir(str(core_conf()), version_base="1.3"):
        config = compose("config", [f"algo={algo}", "~data"], return_hydra_config=True)
        return config.hydra.runtime.choices, config.survey, config.algo


@pytest.mark.parametrize("algo", presets())
def test_a_preset_read_from_its_files_is_the_preset_that_hydra_composes(algo):
    preset = files.read(algo)
    choices, survey, about = composed_choices(algo)
    assert preset.choices == {group: choices[group] for group in preset.choices}
    assert list(preset.axes) == list(AXES)
    assert preset.survey == (survey or {})
    assert preset.about == about


def test_inheritance_follows_hydra(tmp_path, monkeypatch):
    """Parents first, the later entry wins, a file's own values where its ``_self_`` stands."""
    monkeypatch.setattr(followed, "roots", lambda: [tmp_path])
    (tmp_path / "algo").mkdir()
    axes = "".join(f"  - override /{axis}: none\n" for axis in AXES)
    (tmp_path / "algo/a.yaml").write_text(
        f"defaults:\n{axes}survey: {{length: x, arity: y}}\nalgo: {{paper: A}}\n"
    )
    (tmp_path / "algo/b.yaml").write_text(
        "defaults: [a, _self_, override /length@_global_.length: mean]\n"
        "survey: {length: z}\nalgo: {paper: B}\n"
    )
    (tmp_path / "algo/c.yaml").write_text(
        "defaults: [_self_, /algo/b, override /arity: pair]\nalgo: {paper: C}\n"
    )
    b, c = files.read("b"), files.read("c")
    assert (b.axes["length"], b.axes["arity"], b.paper, b.survey) == (
        "mean",
        "none",
        "B",
        {"length": "z", "arity": "y"},
    )
    assert (c.axes["length"], c.axes["arity"], c.paper) == ("mean", "pair", "B")


def test_a_preset_that_forgets_an_axis_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(followed, "roots", lambda: [tmp_path])
    (tmp_path / "algo").mkdir()
    (tmp_path / "algo/a.yaml").write_text("defaults: [override /length: mean]\n")
    with pytest.raises(UserError, match="algo=a sets no reward, .*must set every axis"):
        files.read("a")
    with pytest.raises(UserError, match="algo=aa: no such option.*Did you mean 'a'"):
        files.read("aa")


def test_formats_carry_every_method_and_axis():
    rows = files.read_all()
    parsed = json.loads(as_json(rows))
    assert [row["algo"] for row in parsed] == presets()
    assert all(
        set(row) == {"algo", "axes", "survey", "paper"} and set(row["axes"]) == set(AXES) for row in parsed
    )
    markdown = as_markdown(rows).splitlines()
    assert len(markdown) == len(rows) + 2
    assert {line.count("|") for line in markdown} == {len(AXES) + 3}
    for row in rows:
        assert row.algo in as_text(rows)


def test_the_verb_is_fast_and_imports_no_torch():
    code = (
        "import sys; sys.argv = ['xpo', 'table', '--format', 'json']\n"
        "from xpo.cli import main; main()\n"
        "assert not {'torch', 'transformers', 'lightning'} & set(sys.modules)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime  # not the other tests' time
    assert done.returncode == 0, done.stderr
    assert {row["algo"] for row in json.loads(done.stdout)} == set(presets())
    assert seconds < 1.0
