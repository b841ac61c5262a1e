"""Bad input at the command line: one clear message on stderr, a non-zero exit, and no folder left behind."""

import gzip
import json
import subprocess
import sys

import pytest

from xpo.cli import main

GOOD = {"prompt": "Say red:", "chosen": "red", "rejected": "blue"}
SMALL = [
    "data=jsonl",
    "model.hidden=16",
    "model.layers=1",
    "model.heads=2",
    "model.vocab_size=270",
    "model.max_length=32",
    "trainer.steps=1",
    "sft.steps=1",
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    return tmp_path


def fails(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    assert caught.value.code == 2
    said = capsys.readouterr().err.strip()
    assert said.splitlines()[-1] and "Traceback" not in said
    return said


def written(here, *lines):
    path = here / "rows.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    return f"data.path={path}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["algo=dppo"], "Did you mean 'dpo' or 'ppo'?"),
        (["tabel"], "Did you mean 'label' or 'table'?"),
        (["-m", "explain", "algo=dpo"], "go first, without -m"),
        (["divergence=jss"], "Did you mean 'js'"),
        (["+margin.gama=1", "algo=simpo"], "Did you mean margin.gamma"),
        (["reward.beta=abc"], "must be a number"),
        (["algo=kto", "divergence=js"], "Nearest combination that works"),
        (["data=jsonl"], "data.path"),
        (["data=jsonl", "data.path=/nowhere.jsonl"], "no such file"),
        (["model=hf", "model.path=/nowhere"], "no such folder"),
        (["model=hf"], "model.path is not set"),
        (["trainer.steps=0"], "at least 1"),
        (["hydra.run.dir=/dev/null/out"], "/dev/null"),
        (["data.symbols=100"], "symbols"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_settings(here, capsys, arguments, said):
    assert said in fails(capsys, *arguments)


def test_a_refused_run_leaves_no_folder(here, capsys):
    fails(capsys, "algo=kto", "divergence=js")
    assert not (here / "outputs").exists()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "empty"),
        ([json.dumps(GOOD), '{"prompt": "a", "chosen": '], "rows.jsonl:2"),
        ([json.dumps(GOOD), json.dumps({"prompt": "a", "chosen": "b"})], "rejected"),
        ([json.dumps({**GOOD, "chosen": ""})] * 2, "empty"),
        ([json.dumps({**GOOD, "chosen": 3})] * 2, "chosen"),
        ([json.dumps({"topic": "a"})] * 2, "topic"),
        ([json.dumps({"question": "a"})] * 2, "a prompt without responses"),
        ([json.dumps({**GOOD, "rejected": "red"})] * 3, "no row of train is left"),
    ],
    ids=[
        "empty file",
        "broken line",
        "missing column",
        "empty response",
        "wrong type",
        "unknown columns",
        "prompts alone",
        "equal",
    ],
)
def test_rows(here, capsys, lines, said):
    assert said in fails(capsys, *SMALL, written(here, *lines))


def test_a_file_that_is_no_gzip(here, capsys):
    path = here / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(GOOD).encode())[:-9])
    assert "rows.jsonl.gz" in fails(capsys, *SMALL, f"data.path={path}")


def test_a_prompt_longer_than_the_window_is_cut_and_counted(here, capsys):
    long = {**GOOD, "prompt": "red and blue and green " * 40}
    rows = [json.dumps({**long, "chosen": f"red {i}"}) for i in range(12)]
    main([*SMALL, written(here, *rows), "data.min_prompt=2", "data.min_response=2", "hydra.run.dir=out"])
    assert "prompt cut" in capsys.readouterr().out
    assert json.loads((here / "out" / "summary.json").read_text())["status"] == "done"


def test_a_window_that_holds_nothing_is_refused(here, capsys):
    rows = [json.dumps({**GOOD, "chosen": f"red {i}"}) for i in range(12)]
    said = fails(capsys, *SMALL, written(here, *rows), "data.max_length=3")
    assert "max_length" in said or "window" in said


def test_a_folder_that_cannot_be_written(here, capsys):
    (here / "taken").write_text("a file")
    assert "taken" in fails(capsys, "hydra.run.dir=taken")


def test_a_run_whose_reader_goes_away_has_failed(here):
    rows = [json.dumps({**GOOD, "chosen": f"red {i}"}) for i in range(12)]
    command = [sys.executable, "-m", "xpo", *SMALL, written(here, *rows), "trainer.threads=1"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stdout and run.stderr
    run.stdout.readline()
    run.stdout.close()
    said = run.stderr.read()
    run.stderr.close()
    assert run.wait() == 1
    assert said.splitlines()[-1].startswith("xpo: the run has stopped") and "Traceback" not in said
