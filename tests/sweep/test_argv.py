import pytest

from xpo.sweep import sweep_argv


def test_a_single_run_is_left_alone():
    arguments = ["algo=simpo", "margin.gamma=1.5", "--cfg", "job"]
    assert sweep_argv(arguments) == arguments


@pytest.mark.parametrize("flag", ["-m", "--multirun"])
def test_overrides_may_stand_on_both_sides_of_the_flag(flag):
    assert sweep_argv(["divergence=js", flag, "algo=dpo,ipo"]) == [
        "--multirun",
        "divergence=js",
        "algo=dpo,ipo",
    ]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("margin.gamma=1.5", "margin.gamma=choice(1.5)"),
        ("+margin.gamma=1.5", "+margin.gamma=choice(1.5)"),
        ("a.b='x,y'", "a.b=choice('x,y')"),
        ("a.b=[1,2]", "a.b=choice([1,2])"),
        ("a.b={c:1,d:2}", "a.b=choice({c:1,d:2})"),
        ("a.b=1,2", "a.b=1,2"),
        ("a.b='x,y',z", "a.b='x,y',z"),
        ("a.b=[1,2],[3]", "a.b=[1,2],[3]"),
        ("a.b=range(1,4)", "a.b=range(1,4)"),
        ("a.b=choice(1,2)", "a.b=choice(1,2)"),
        ("a.b=null", "a.b=null"),
        ("seed=3", "seed=3"),
        ("divergence=js", "divergence=js"),
        ("hydra.sweep.dir=out", "hydra.sweep.dir=out"),
        ("~margin", "~margin"),
        ("-cd=conf", "-cd=conf"),
    ],
)
def test_a_plain_value_becomes_a_choice_of_one(given, wanted):
    assert sweep_argv(["-m", given]) == ["--multirun", wanted]
