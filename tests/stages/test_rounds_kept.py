"""Files of rounds that are lost or damaged: told by name, and what is told works."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.on_policy.files import small
from tests.query.test_runs import on_files, pairs
from tests.stages.test_rounds_anew import RAFT, killed_before
from tests.stages.tiny import run_here, weights
from xpo.run.files import OutputError
from xpo.stages.history import History
from xpo.stages.watch import Ratings

REPLAY = (*RAFT, "schedule.replay=1")


@pytest.fixture(scope="module")
def halted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``run``, killed in its third round, and ``whole``, which was not."""
    folder = tmp_path_factory.mktemp("halted")
    run_here(folder / "whole", *small(folder, folder / "whole", *REPLAY))
    killed_before(3, folder / "run", *small(folder, folder / "whole", *REPLAY))
    return folder


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def within(path: Path) -> None:
    """Bytes in the middle are others."""
    raw = bytearray(path.read_bytes())
    middle = len(raw) // 2
    raw[middle : middle + 8] = b"\xff" * 8
    path.write_bytes(bytes(raw))


def take_away(folder: Path, told: str) -> None:
    """What the message says, to the letter."""
    (found,) = re.findall(r"Take away what round (\d+) and later ones left", told)
    for number in range(int(found), 4):
        for name in ("samples-", "labels-", "comparisons-", "round-"):
            (folder / f"{name}{number:03d}.pt").unlink(missing_ok=True)
        shutil.rmtree(folder / ("align" if number == 1 else f"align-{number}"), ignore_errors=True)


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("samples-002.pt", cut, "is damaged"),  # of the round before, trained on again
        ("samples-003.pt", within, "is damaged"),
        ("samples-002.pt", Path.unlink, "is missing"),
        ("round-002.pt", within, "is damaged"),
    ],
)
def test_what_is_told_works(
    halted: Path, tmp_path: Path, name: str, damage: Callable[[Path], None], said: str
) -> None:
    out = tmp_path / "run"
    shutil.copytree(halted / "run", out)
    run = small(halted, halted / "whole", *REPLAY)
    damage(out / "checkpoints" / name)
    with pytest.raises(OutputError, match=f"{name} {said}") as told:
        run_here(out, *run)
    take_away(out / "checkpoints", str(told.value))
    run_here(out, *run)
    one, two = weights(halted / "whole"), weights(out)
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize("text", ["[{}, {", "{}", "[1, 2]", "[{}]"])
def test_metrics_of_rounds(halted: Path, tmp_path: Path, text: str) -> None:
    out = tmp_path / "run"
    shutil.copytree(halted / "run", out)
    (out / "checkpoints" / "rounds.json").write_text(text)
    run = small(halted, halted / "whole", *REPLAY)
    with pytest.raises(OutputError, match=r"rounds.json is damaged .*take it away; or begin anew"):
        run_here(out, *run)


def test_without_metrics_of_rounds_a_run_goes_on_unless_one_of_them_is_the_result(
    halted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(halted / "run", out)
    (out / "checkpoints" / "rounds.json").unlink()
    run = small(halted, halted / "whole", *REPLAY)
    with pytest.raises(OutputError, match="rounds.json is missing.*set schedule.keep_best=null"):
        run_here(out, *run, "schedule.keep_best=eval/sample_length")
    run_here(out, *run)
    one, two = weights(halted / "whole"), weights(out)
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_labels_of_earlier_rounds(tmp_path: Path) -> None:
    pairs(tmp_path)
    out, run = tmp_path / "run", on_files(tmp_path, "schedule.rounds=3", "query=random")
    killed_before(3, out, *run)
    path = out / "checkpoints" / "labels-002.pt"
    saved = torch.load(path, weights_only=True)
    torch.save({"places": saved["places"]}, path)
    with pytest.raises(OutputError, match=r"labels-002.pt is damaged \(KeyError: 'rollout'\)"):
        run_here(out, *run)
    path.unlink()
    with pytest.raises(OutputError, match="labels-002.pt is missing") as told:
        run_here(out, *run)
    take_away(out / "checkpoints", str(told.value))
    run_here(out, *run)
    run_here(tmp_path / "whole", *run)
    one, two = weights(tmp_path / "whole"), weights(out)
    assert all(torch.equal(one[key], two[key]) for key in one)


class Playing:
    """The same policy each time."""

    def played(self) -> list[float]:
        return [0.0, 1.0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is missing"),
        ('{"0": [0.0, 1', "is damaged"),
        ("{}", "is damaged"),
        ('{"0": [0.0, 1.0]}', "is damaged"),  # the first round's policy is not known
        ('{"0": [0.0], "1": [0.0, 1.0]}', "is damaged .*different numbers of games"),
        ("[]", "is damaged"),
    ],
)
def test_ratings_that_lost_a_policy_do_not_take_another_for_it(
    tmp_path: Path, text: str | None, said: str
) -> None:
    path, playing = tmp_path / "ratings.json", Playing()
    if text is not None:
        path.write_text(text)
    ratings = Ratings(playing, path)  # pyright: ignore[reportArgumentType]
    with pytest.raises(OutputError, match=f"ratings.json {said}.*Begin anew with trainer.resume=never"):
        ratings.begin(2)
    assert (path.read_text() if path.is_file() else None) == text


def test_the_best_of_rounds_is_of_all_that_are_done(tmp_path: Path) -> None:
    path: Any = tmp_path / "rounds.json"
    path.write_text(json.dumps([{"a": 3.0}, {"a": 1.0}, {"a": 9.0}]))
    history = History(path, 2, "a")
    history.add({"a": 2.0})
    assert history.best() == 1
