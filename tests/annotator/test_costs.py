"""Costs beside scores: what a verdict may say, what is stored, and who gives them."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from tests.reward_model.folders import RECORDS, leave, meaning, policy
from tests.reward_model.test_folder import logits
from xpo.annotator.base import Desk, LabelError, Labeller, Verdict
from xpo.annotator.gold import Gold
from xpo.annotator.safety import Safety
from xpo.data.record import Record
from xpo.gold.rows import draw, records
from xpo.gold.world import World

ROW = Record("Say it:", (" yes", " no"), costs=(9.0, 9.0), where="a:1")


@dataclass(frozen=True)
class Warns(Labeller):
    """Says what it is told."""

    gives: ClassVar[frozenset[str]] = frozenset({"scores", "costs"})

    said: Any = (0.5, -0.25)

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        for record in records:
            yield Verdict(scores=tuple(float(i) for i in range(len(record.responses))), costs=self.said)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


class TestVerdicts:
    def test_costs_are_kept_beside_scores(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        (first,) = Warns()([ROW], desk)
        assert first.costs == (0.5, -0.25) and first.scores == (0.0, 1.0)
        monkeypatch.setattr(Warns, "judge", None)  # asked again, it would fail
        assert Warns()([ROW], desk) == [first]

    def test_what_was_stored_before_there_were_costs_is_read(self, desk: Desk) -> None:
        Warns()([ROW], desk)
        (path,) = (desk.cache / "labels").glob("*.jsonl")
        entry = json.loads(path.read_text())
        del entry["value"]["costs"]
        path.write_text(json.dumps(entry) + "\n")
        (again,) = Warns()([ROW], desk)
        assert again.costs is None and again.scores == (0.0, 1.0)

    def test_costs_alone_say_something_but_not_what_is_better(self, desk: Desk) -> None:
        class Alone(Warns):
            def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
                for verdict in super().judge(records, desk):
                    yield dataclasses.replace(verdict, scores=None)

        (found,) = Alone()([ROW], desk)
        assert found.costs == (0.5, -0.25) and not found.labelled

    @pytest.mark.parametrize(
        ("said", "message"),
        [
            ((0.5,), r"a:1: costs must be a tuple of 2, one for each response, got \(0.5,\)"),
            ([0.5, 0.1], "costs must be a tuple of 2"),
            ((0.5, math.nan), "a:1: a cost must be finite, got nan"),
            ((0.5, True), "a:1: a cost must be a number, got True"),
        ],
    )
    def test_what_is_no_cost_is_refused(self, said: Any, message: str, desk: Desk) -> None:
        with pytest.raises(LabelError, match=message):
            Warns(said)([ROW], desk)

    def test_who_gives_none_leaves_none(self, desk: Desk) -> None:
        (found,) = Warns(None)([ROW], desk)
        assert found.costs is None


class TestSafety:
    def test_costs_are_those_of_its_model(self, tmp_path: Path, desk: Desk) -> None:
        helpful = leave(tmp_path / "helpful", told=meaning(offset=(0.5,)))
        costly = leave(tmp_path / "cost", policy(seed=1), meaning(offset=(0.0,), sign=-1))
        reward, cost = (logits(helpful) - 0.5).flatten(), logits(costly).flatten()
        mixed, apart = (
            Safety(helpful, costly, limit=0.1, apart=apart)(RECORDS, desk) for apart in (False, True)
        )
        for found in (mixed, apart):
            given = [value for record in found for value in record.costs or ()]
            assert given == pytest.approx(cost.tolist(), abs=1e-4)
            labels = [label for record in found for label in record.labels or ()]
            assert labels == [value < 0.1 for value in cost.tolist()]
        assert self.scores(mixed) == pytest.approx((reward - (cost - 0.1)).tolist(), abs=1e-4)
        assert self.scores(apart) == pytest.approx(reward.tolist(), abs=1e-4)

    def test_apart_has_no_weight(self, tmp_path: Path) -> None:
        for weight, excess in ((2.0, False), (1.0, True)):
            with pytest.raises(
                ValueError, match="apart=true leaves costs out of the scores, so that weight="
            ):
                Safety(str(tmp_path), str(tmp_path), weight, excess=excess, apart=True)

    def scores(self, found: Sequence[Record]) -> list[float]:
        return [score for record in found for score in record.scores or ()]


WORLD = World(prompts=2, symbols=3, max_symbols=2, seed=4)


class TestExactGold:
    def drawn(self, size: int = 4, count: int = 20) -> list[Record]:
        return records(WORLD, draw(WORLD, WORLD.base_logp_XN, size, count, seed=0))

    def test_scores_are_the_reward_itself(self) -> None:
        unlabelled = self.drawn()
        found = Gold(exact=True)(unlabelled)
        for record, was in zip(found, unlabelled, strict=True):
            x = WORLD.prompt_texts.index(str(record.prompt))
            index = [WORLD.response_texts.index(str(y).strip()) for y in record.responses]
            assert record.scores == pytest.approx(WORLD.reward_XN[x, index].tolist())
            assert record.costs == was.costs == pytest.approx(WORLD.cost_XN[x, index].tolist())
            wins = torch.sigmoid(WORLD.reward_XN[x, index][:, None] - WORLD.reward_XN[x, index])
            assert torch.allclose(torch.tensor(record.wins, dtype=torch.float64), wins)
        assert Gold()(unlabelled)[0].scores != found[0].scores, "a draw is another"

    def test_labels_are_on_the_likelier_side(self) -> None:
        """As often as not drawn labels are good exactly where this one is."""
        unlabelled = self.drawn()
        certain = [label for record in Gold(exact=True)(unlabelled) for label in record.labels or ()]
        often = [0] * len(certain)
        for seed in range(100):
            drawn = Gold(seed=seed, scale=4.0)(unlabelled)
            labels = [label for record in drawn for label in record.labels or ()]
            often = [n + label for n, label in zip(often, labels, strict=True)]
        clear = [(good, n) for good, n in zip(certain, often, strict=True) if not 30 <= n <= 70]
        assert len(clear) > 40 and all(good == (n > 50) for good, n in clear)

    def test_nothing_ties_and_nothing_is_turned_round(self) -> None:
        unlabelled = self.drawn(size=2)
        plain = Gold(exact=True)(unlabelled)
        noisy = Gold(exact=True, ties=5.0, noise=0.4, intransitivity=2.0)(unlabelled)
        assert [r.scores for r in noisy] == [r.scores for r in plain]
        assert [r.labels for r in noisy] == [r.labels for r in plain]
        assert [r.wins for r in noisy] != [r.wins for r in plain]

    def test_a_seed_is_not_read(self) -> None:
        with pytest.raises(ValueError, match="exact=true draws nothing, so that seed=3 is not read"):
            Gold(exact=True, seed=3)

    def test_it_is_another_annotator_to_a_cache(self, desk: Desk) -> None:
        assert Gold(exact=True).fingerprint(desk) != Gold().fingerprint(desk) == "Gold(noise=0.0, seed=0)"
