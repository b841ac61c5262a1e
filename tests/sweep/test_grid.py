import pytest

from xpo.compose.errors import ConfigError
from xpo.sweep.grid import LONGEST_NAME, Cell, expand


class Loader:
    """As much of Hydra's config loader as ``glob`` asks for."""

    def get_group_options(self, group_name, results_filter=None, config_name=None, overrides=None):
        return {"algo": ["dpo", "ipo", "simpo"]}[group_name]


def overrides(*arguments, params=None):
    return [list(cell.overrides) for cell in expand(arguments, params or {}, Loader())]


def test_the_grid_is_the_product_with_the_last_key_fastest():
    assert overrides("a=1,2", "b=x,y") == [["a=1", "b=x"], ["a=1", "b=y"], ["a=2", "b=x"], ["a=2", "b=y"]]


def test_choice_range_and_glob():
    assert overrides("a=choice(p,q)") == [["a=p"], ["a=q"]]
    assert overrides("a=range(0,6,step=2)") == [["a=0"], ["a=2"], ["a=4"]]
    assert overrides("algo=glob(*po,exclude=ipo)") == [["algo=dpo"], ["algo=simpo"]]


def test_quotes_lists_and_deletions_survive():
    assert overrides("a.b='x,y'", "c=[1,2],[3]", "~d") == [
        ["a.b='x,y'", "c=[1,2]", "~d"],
        ["a.b='x,y'", "c=[3]", "~d"],
    ]


def test_the_command_line_wins_over_a_grid_from_a_file_and_the_later_override_over_the_earlier():
    assert overrides("a=3", params={"a": "1,2", "b": "4,5"}) == [["a=3", "b=4"], ["a=3", "b=5"]]
    assert overrides("a=1,2", "a=9") == [["a=9"]]


def test_only_what_varies_is_a_setting():
    cells = expand(["seed=choice(1)", "algo=dpo,ipo", "data=gold"], {}, Loader())
    assert [cell.settings for cell in cells] == [{"algo": "dpo"}, {"algo": "ipo"}]
    assert [cell.name for cell in cells] == ["000_algo-dpo", "001_algo-ipo"]


def test_a_continuous_interval_has_no_cells():
    with pytest.raises(ConfigError, match=r"a=interval\(0,1\).*range"):
        overrides("a=interval(0,1)")


def test_names_are_safe_short_and_distinct():
    long = [Cell(3, (), (f"data.path=/a b/{'x' * 200}{end}.jsonl",)).name for end in "12"]
    assert long[0] != long[1]
    for name in long:
        assert len(name) <= LONGEST_NAME + len("003_")
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert Cell(7, ("seed=1",), ()).name == "007"
