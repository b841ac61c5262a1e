"""What a run says, and on which process."""

from xpo.run.say import say, settings


def test_every_key_of_every_group_is_shown():
    config = {
        "algo": {"name": "m"},
        "reward": {"name": "implicit", "beta": 0.3},
        "margin": {"name": "none"},
        "trainer": {"name": "default", "steps": None, "deterministic": True, "betas": [0.9, 0.99]},
        "seed": 4,
        "cache": "outputs/cache",
    }
    lines = settings(config).splitlines()
    assert [line.split() for line in lines] == [
        ["reward", "implicit", "beta=0.3"],
        ["margin", "none"],
        ["trainer", "default", "steps=null", "deterministic=true", "betas=[0.9,0.99]"],
        ["seed", "4"],
        ["cache", "outputs/cache"],
    ]


def test_one_process_speaks(monkeypatch, capsys):
    monkeypatch.setenv("LOCAL_RANK", "1")
    say("twice")
    monkeypatch.setenv("LOCAL_RANK", "0")
    say("once")
    assert capsys.readouterr().out == "once\n"
