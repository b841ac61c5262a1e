"""Steps with true totals, probes where they belong, and the same batches after a resume."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from xpo.contracts import Batch, Probes, Row
from xpo.data.collate import Collator
from xpo.data.loader import ProbeRows, StepLoader, totals_of
from xpo.data.plan import Sizes
from xpo.data.probes import mismatched, partners
from xpo.data.truncate import Limits


def dataset(count: int, seed: int = 0) -> list[Row]:
    draw = random.Random(seed)
    rows = []
    for i in range(count):
        responses = [[100 + 2 * i + k] * draw.randrange(1, 6) + [2] for k in range(2)]
        rows.append(Row([1, 10 + i], responses, prefer=[[0, 1], [0, 0]], demo=[1.0, 0.0], weight=1.0 + i % 2))
    return rows


def loader(count: int, batch: int, budget: int = 24, **options: Any) -> StepLoader:
    return StepLoader(dataset(count), Sizes(batch, budget, seed=1), Collator(0), **options)


def ids(batch: Batch) -> list[int]:
    return [i for i in batch.index_B.tolist() if i >= 0]


@pytest.mark.parametrize(("count", "batch"), [(1, 1), (2, 1), (3, 2), (11, 3), (20, 8)])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_totals_are_those_of_the_step_over_all_ranks(count: int, batch: int, world: int) -> None:
    ranks = [loader(count, batch, rank=rank, world_size=world) for rank in range(world)]
    per_step = ranks[0].micro_batches
    streams = [list(rank) for rank in ranks]
    assert {len(stream) for stream in streams} == {len(ranks[0])} == {ranks[0].steps * per_step}
    seen: list[int] = []
    for start in range(0, len(ranks[0]), per_step):
        step = [b for stream in streams for b in stream[start : start + per_step]]
        rows = sum(b.weight_B.sum().item() for b in step)
        tokens = sum((b.weight_B * (b.demo_BK * b.length_BK).sum(1)).sum().item() for b in step)  # type: ignore[operator]
        for b in step:
            assert (b.totals.rows, b.totals.tokens, b.totals.micro_batches) == pytest.approx(
                (rows, tokens, per_step)
            )
        seen += [i for b in step for i in ids(b)]
    assert sorted(seen) == list(range(count))


def test_one_rank_and_two_see_the_same_steps() -> None:
    alone = loader(20, 8)
    pair = [loader(20, 8, rank=rank, world_size=2) for rank in range(2)]

    def steps(*loaders: StepLoader) -> list[set[int]]:
        streams = [list(one) for one in loaders]
        size = loaders[0].micro_batches
        return [
            {i for stream in streams for b in stream[start : start + size] for i in ids(b)}
            for start in range(0, len(streams[0]), size)
        ]

    assert steps(alone) == steps(*pair)


MISMATCHED, STEP = ProbeRows(frozenset({"mismatched"})), ProbeRows(frozenset({"step"}))


def order(batches: Any) -> list[list[int]]:
    return [batch.index_B.tolist() for batch in batches]


def test_resume_at_every_position() -> None:
    whole = loader(11, 3, probes=MISMATCHED)
    whole.set_epoch(2)
    expected = order(whole)
    for position in range(len(whole)):
        first = loader(11, 3, probes=MISMATCHED)
        first.set_epoch(2)
        stream = iter(first)
        before = order(next(stream) for _ in range(position))
        second = loader(11, 3, probes=MISMATCHED)
        second.load_state_dict(first.state_dict())
        second.set_epoch(2)  # as Lightning does before it iterates
        assert before + order(second) == expected
        assert order(second) == expected  # and the epoch after that is a whole one


def test_another_epoch_starts_at_its_beginning() -> None:
    one, other = loader(11, 3), loader(11, 3)
    stream = iter(one)
    next(stream)
    other.load_state_dict(one.state_dict())
    other.set_epoch(1)
    one.set_epoch(1)
    assert order(other) == order(one) and len(order(one)) == len(one)


def test_state_of_other_data_is_refused() -> None:
    with pytest.raises(ValueError, match="made on 11 rows, the data now have 12"):
        loader(12, 3).load_state_dict(loader(11, 3).state_dict())


def test_a_peek_does_not_move_the_start() -> None:
    one = loader(11, 3)
    first = next(iter(one))
    assert order(one)[0] == first.index_B.tolist()


def rows_of(batch: Batch, kind: str) -> tuple[Batch, ...]:
    """The probe rows of one kind that a batch carries; the batch itself if it is the whole step."""
    assert batch.probes is not None
    found = batch.probes.__dict__[kind]
    assert found is not None
    return found or (batch,)


@pytest.mark.parametrize("kind", ["step", "mismatched"])
@pytest.mark.parametrize("world", [1, 2])
def test_probes_stand_on_the_first_micro_batch_and_cover_the_step(kind: str, world: int) -> None:
    data = dataset(11)
    weights: list[float] = []
    for rank in range(world):
        one = loader(11, 4, probes=ProbeRows(frozenset({kind})), rank=rank, world_size=world)
        size = one.micro_batches
        for place, batch in enumerate(one):
            assert (batch.probes is not None) == (place % size == 0)
            if batch.probes is not None:
                assert {k for k, v in batch.probes.__dict__.items() if v is not None} == {kind}
                assert len(rows_of(batch, kind)) == size
                weights += [w for probe in rows_of(batch, kind) for w in probe.weight_B.tolist() if w > 0]
    assert sorted(weights) == sorted(row.weight for row in data)
    assert all(batch.probes is None for batch in loader(11, 4))


def test_step_probes_are_the_steps_own_rows() -> None:
    one = loader(11, 4, budget=12, probes=STEP)
    batches, size = list(one), one.micro_batches
    assert size > 1
    for start in range(0, len(batches), size):
        step = batches[start : start + size]
        assert order(rows_of(step[0], "step")) == order(step)


def test_a_step_of_one_micro_batch_is_not_made_twice() -> None:
    for batch in loader(11, 4, budget=10_000, probes=STEP):
        assert batch.probes == Probes(step=(), mismatched=None)


def test_both_kinds_at_once() -> None:
    one = loader(11, 4, budget=12, probes=ProbeRows(frozenset({"step", "mismatched"})))
    batch = next(iter(one))
    assert [ids(b) for b in rows_of(batch, "step")] == [ids(b) for b in rows_of(batch, "mismatched")]


def test_unknown_rows_of_statistics_are_refused() -> None:
    with pytest.raises(ValueError, match=r"step or mismatched rows, not \['all'\]"):
        ProbeRows(frozenset({"all", "step"}))


@pytest.mark.parametrize("batch_size", [1, 2, 3, 8])
def test_mismatched_probes_never_hold_their_own_response(batch_size: int) -> None:
    data = dataset(11)
    owner = {tuple(response): i for i, row in enumerate(data) for response in row.responses}
    prompts = {tuple(row.prompt): i for i, row in enumerate(data)}
    ref = {i: [[0.0] * len(r) for r in row.responses] for i, row in enumerate(data)}
    one = StepLoader(data, Sizes(batch_size, 10_000), Collator(0, ref=ref), probes=MISMATCHED)  # type: ignore[arg-type]
    for batch in one:
        (probe,) = rows_of(batch, "mismatched")
        assert probe.ref_logp_BKT is None and ids(probe) == ids(batch)
        assert batch.ref_logp_BKT is not None
        for b in range(len(probe.weight_B)):
            prompt = tuple(probe.prompt_BP[b][probe.prompt_mask_BP[b]].tolist())  # type: ignore[index]
            own = prompts[prompt]
            others = {
                owner[tuple(probe.response_BKT[b, k][probe.mask_BKT[b, k]].tolist())]  # type: ignore[index]
                for k in range(2)
            }
            assert len(others) == 1 and own not in others
            assert probe.weight_B[b].item() == data[own].weight
            if len(batch.weight_B) > 1:  # the partner is from the same step
                assert others <= set(ids(batch))


def test_partners_are_the_same_on_every_rank() -> None:
    """Union over ranks of (prompt, responses) of the probes is that of one rank."""

    def drawn(world: int) -> set[tuple[int, ...]]:
        found = set()
        for rank in range(world):
            for batch in loader(20, 8, probes=MISMATCHED, rank=rank, world_size=world):
                for probe in rows_of(batch, "mismatched") if batch.probes else ():
                    for b, weight in enumerate(probe.weight_B.tolist()):
                        if weight:
                            found.add((probe.prompt_BP[b, 1].item(), probe.response_BKT[b, 0, 0].item()))  # type: ignore[index]
        return found

    assert drawn(1) == drawn(2) == drawn(3) and len(drawn(1)) == 20


def test_rows_of_one_prompt_are_no_mismatch() -> None:
    rows = [Row([1, 5], [[7, 2]]), Row([1, 5], [[8, 2]]), Row([1, 6], [[9, 2]])]
    assert partners(rows, [0, 1, 2]) == {0: 2, 1: 2, 2: 0}
    assert partners(rows, [0, 1]) == {0: 2, 1: 2}  # outside the step rather than the same prompt
    assert partners(rows[:2], [0, 1]) == {0: 1, 1: 0}  # only one prompt: another response at least
    with pytest.raises(ValueError, match="no other row of the data has another response"):
        partners([rows[0], rows[0]], [0, 1])


def test_mismatched_rows_are_cut_to_the_window() -> None:
    limits = Limits(max_length=6, min_prompt=2, min_response=2)
    row = mismatched(Row([1, 5, 6, 7, 8], [[3, 2]], weight=2.0), Row([1], [[9, 9, 9, 2]]), limits, 1)
    assert (row.prompt, row.responses, row.weight) == ([1, 8], [[9, 9, 9, 2]], 2.0)
    assert row.prefer is None and row.demo is None


def test_totals_by_hand() -> None:
    rows = [
        Row([1], [[3, 2], [4, 4, 2]], demo=[1.0, 0.0], weight=2.0),
        Row([1], [[3, 2], [4, 4, 2]], demo=[0.5, 0.5]),
        Row([1], [[3, 2]]),
    ]
    totals = totals_of(rows, 5)
    assert (totals.rows, totals.tokens, totals.micro_batches) == (4.0, 2 * 2 + 0.5 * 2 + 0.5 * 3, 5)


@pytest.mark.parametrize("probes", [MISMATCHED, STEP])
def test_batches_move(probes: ProbeRows) -> None:
    moved = next(iter(loader(11, 4, budget=12, probes=probes))).to(torch.float64)
    (kind,) = probes.kinds
    assert rows_of(moved, kind)[0].weight_B.dtype == torch.float64


def test_totals_count_prompt_tokens_but_the_first():
    rows = [Row([1, 2, 3], [[4], [5, 6]], demo=[1.0, 0.0], weight=2.0), Row([1], [[4, 5]])]
    totals = totals_of(rows, 1)
    assert (totals.rows, totals.tokens, totals.prompt_tokens) == (3.0, 2.0, 4.0)
