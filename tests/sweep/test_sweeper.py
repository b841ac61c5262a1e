"""Sweeps through the real command line and composition; only the run itself is a stand-in."""

import json
import sys
from pathlib import Path

import pytest

from xpo import cli
from xpo.compose import Refused
from xpo.errors import UserError, Waiting


@pytest.fixture
def sweep(tmp_path, monkeypatch, capsys):
    """Run ``xpo -m`` in an empty folder with ``job`` for a run: exit code, rows by settings, printed text."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, job=lambda config, out: None):
        def stand_in(config):
            from hydra.core.hydra_config import HydraConfig

            return job(config, Path(HydraConfig.get().runtime.output_dir))

        monkeypatch.setattr("xpo.stages.job.run_job", stand_in)
        monkeypatch.setattr(sys, "argv", ["xpo"])
        code = 0
        try:
            cli.main([*arguments, "hydra.sweep.dir=out"])
        except SystemExit as end:
            code = end.code
        rows = [json.loads(line) for line in Path("out/sweep.jsonl").read_text().splitlines()]
        return code, {" ".join(row["settings"].values()): row for row in rows}, capsys.readouterr()

    return run


def test_refused_and_failing_cells_stop_nothing_and_only_failures_count(sweep):
    def job(config, out):
        if config.seed == 2:
            raise ZeroDivisionError("in the middle")
        (out / "summary.json").write_text(json.dumps({"metrics": {"gold/gap_closed": 0.5}}))

    code, rows, printed = sweep("divergence=js,chi2", "-m", "seed=1,2", job=job)
    assert code == 1
    assert {key: row["status"] for key, row in rows.items()} == {
        "js 1": "done",
        "js 2": "failed",
        "chi2 1": "refused",
        "chi2 2": "refused",
    }
    assert rows["js 1"]["metrics"] == {"gold/gap_closed": 0.5}
    assert rows["js 1"]["dir"] == "out/000_divergence-js_seed-1"
    assert rows["js 2"]["reason"] == "ZeroDivisionError: in the middle"
    assert "in the middle" in Path(rows["js 2"]["dir"], "error.txt").read_text()
    assert rows["chi2 1"]["nearest"] and "dir" not in rows["chi2 1"]
    for word in ("js", "chi2", "refused", "failed", "done", "off-policy"):
        assert word in printed.out


def test_refusals_alone_are_no_failure(sweep):
    code, rows, _ = sweep("-m", "divergence=js,total_variation")
    assert code == 0
    assert [row["status"] for row in rows.values()] == ["refused", "done"]


def test_a_cell_that_waits_for_a_person_is_neither_done_nor_failed(sweep):
    def job(config, out):
        if config.seed == 1:
            raise Waiting("rows have no label", 2, 7)
        if config.seed == 3:
            raise ZeroDivisionError

    code, rows, printed = sweep("-m", "seed=1,2", job=job)
    assert code == 3
    assert [(row["status"], row.get("reason")) for row in rows.values()] == [
        ("waiting", "waiting: 2 of 7 rows have no label"),
        ("done", None),
    ]
    assert "1 waiting" in printed.out
    assert sweep("-m", "seed=1,3", job=job)[0] == 1  # a failure counts more


def test_a_refusal_from_inside_a_run_is_a_refusal_and_bad_input_a_failure(sweep):
    def job(config, out):
        raise {1: Refused("the data have no ranks", ("arity=pair",)), 2: UserError("no such file: x")}[
            config.seed
        ]

    code, rows, _ = sweep("-m", "seed=1,2", job=job)
    assert code == 1
    assert (rows["1"]["status"], rows["1"]["reason"]) == ("refused", "the data have no ranks")
    assert (rows["2"]["status"], rows["2"]["reason"]) == ("failed", "no such file: x")


def test_a_key_that_only_some_options_have_refuses_the_others(sweep):
    code, rows, _ = sweep("-m", "margin=none,constant", "margin.gamma=1.5")
    assert code == 0
    assert rows["none"]["status"] == "refused" and "margin.gamma" in rows["none"]["reason"]
    assert rows["constant"]["status"] == "done"


def test_mistakes_fail(sweep):
    code, rows, _ = sweep("-m", "algo=dpo,ddpo")
    assert code == 1
    assert rows["dpo"]["status"] == "done"
    assert rows["ddpo"]["status"] == "failed" and "Did you mean 'dpo'" in rows["ddpo"]["reason"]
    code, rows, _ = sweep("-m", "divergence=js,alpha", "reward.bta=1")
    assert code == 1
    assert all(
        "reward.beta" in row["reason"] or "Did you mean 'beta'" in row["reason"] for row in rows.values()
    )


def test_an_exit_or_an_interrupt_inside_a_cell(sweep):
    def job(config, out):
        if config.seed == 1:
            sys.exit(3)
        if config.seed == 3:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt:
                sys.exit(1)  # as Lightning ends a run that was interrupted

    code, rows, printed = sweep("-m", "seed=1,2,3,4", job=job)
    assert code == 130
    assert [row["status"] for row in rows.values()] == ["failed", "done", "interrupted", "not run"]
    assert "not run" in printed.out


@pytest.mark.parametrize("code", [130, 143])
def test_a_run_that_a_signal_stopped_ends_the_sweep(sweep, code):
    def job(config, out):
        sys.exit(code)

    ended, rows, _ = sweep("-m", "seed=1,2", job=job)
    assert ended == 130
    assert [row["status"] for row in rows.values()] == ["interrupted", "not run"]


def test_cells_get_their_config_and_a_folder_each(sweep):
    seen = {}

    def job(config, out):
        seen[out.name] = (config.seed, config.divergence.name, config.reward.beta)

    code, _, _ = sweep(
        "-m", "seed=range(1,3)", "algo=simpo", "divergence=js,none", "reward.beta=1.5", job=job
    )
    assert code == 0
    assert seen == {
        "000_seed-1_divergence-js": (1, "js", 1.5),
        "001_seed-1_divergence-none": (1, "none", 1.5),
        "002_seed-2_divergence-js": (2, "js", 1.5),
        "003_seed-2_divergence-none": (2, "none", 1.5),
    }


def test_the_sweepers_own_settings_are_checked(sweep, capsys):
    with pytest.raises(FileNotFoundError):  # nothing was begun
        sweep("-m", "seed=1,2", "hydra.sweeper.processes=0")
    assert "processes must be null or a whole number from 1" in capsys.readouterr().err
