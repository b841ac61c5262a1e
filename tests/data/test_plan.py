"""Every row once per epoch, a fixed number of micro-batches, within the budget, for any number of ranks."""

from __future__ import annotations

import itertools
import random

import pytest

from xpo.contracts import Row
from xpo.data.plan import Plan, Sizes, cost

CASES = list(itertools.product([1, 2, 3, 7, 50], [1, 2, 3, 8], [1, 20, 64, 10_000], [1, 2, 3], [True, False]))


def plan_of(rows: int, batch: int, budget: int, world: int, bucket: bool) -> Plan:
    draw = random.Random(rows)
    costs = tuple(draw.randrange(2, 40) for _ in range(rows))
    return Plan(costs, Sizes(batch, budget, bucket=bucket, seed=3), world)


@pytest.mark.parametrize(("rows", "batch", "budget", "world", "bucket"), CASES)
def test_invariants(rows: int, batch: int, budget: int, world: int, bucket: bool) -> None:
    plan = plan_of(rows, batch, budget, world, bucket)
    for number in range(3):
        steps = plan.epoch(number)
        assert len(steps) == plan.steps == -(-rows // batch)
        assert sorted(i for step in steps for i in step) == list(range(rows))
        assert all(len(step) == batch for step in steps[:-1])
        for step in steps:
            groups = [plan.groups(step, rank) for rank in range(world)]
            assert [len(hand) for hand in groups] == [plan.micro_batches] * world
            assert sorted(i for hand in groups for group in hand for i in group) == sorted(step)
            for group in itertools.chain(*groups):
                assert len(group) < 2 or len(group) * max(plan.costs[i] for i in group) <= budget


def test_steps_do_not_depend_on_the_ranks() -> None:
    one, two = (plan_of(50, 8, 64, world, True) for world in (1, 2))
    for number in range(3):
        assert one.epoch(number) == two.epoch(number)


def test_epochs_and_seeds_differ_and_repeat() -> None:
    plan = plan_of(50, 8, 64, 1, True)
    assert plan.epoch(0) == plan.epoch(0) != plan.epoch(1)
    other = Plan(plan.costs, Sizes(8, 64, seed=4))
    assert other.epoch(0) != plan.epoch(0)


def test_the_last_step_can_be_dropped() -> None:
    plan = Plan(tuple(range(1, 11)), Sizes(4, 100, drop_last=True))
    steps = plan.epoch(0)
    assert len(steps) == plan.steps == 2 and len({i for step in steps for i in step}) == 8
    with pytest.raises(ValueError, match="3 rows are less than one batch of 4"):
        Plan((1, 2, 3), Sizes(4, 100, drop_last=True))


def test_buckets_waste_less() -> None:
    draw = random.Random(0)
    costs = tuple(draw.choice([10, 100]) for _ in range(400))

    def padded(bucket: bool) -> int:
        plan = Plan(costs, Sizes(4, 10_000, bucket=bucket))
        return sum(len(step) * max(costs[i] for i in step) for step in plan.epoch(0))

    assert padded(True) < 1.1 * sum(costs) < 1.4 * sum(costs) < padded(False)


def test_groups_are_balanced() -> None:
    plan = Plan((40, 38, 20, 19, 18, 5, 5, 5, 5, 5), Sizes(10, 80), 2)
    loads = [
        sum(len(g) * max(plan.costs[i] for i in g) for g in plan.groups(range(10), rank) if g)
        for rank in (0, 1)
    ]
    assert plan.micro_batches == 2
    assert max(loads) <= 1.3 * min(loads)


def test_no_rows_and_impossible_sizes() -> None:
    with pytest.raises(ValueError, match="no rows to plan"):
        Plan((), Sizes(4, 100))
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        Sizes(0, 100)
    with pytest.raises(ValueError, match="tokens_per_micro_batch must be at least 1, got -1"):
        Sizes(1, -1)


@pytest.mark.parametrize(
    ("responses", "expected"),
    [
        ([[5]], 3),  # the last token is predicted, never fed
        ([[5, 2]], 4),
        ([[5, 6, 2], [7, 2]], 6),
        ([[5, 6, 2], [5, 2]], 5),  # 5 is fed once
        ([[5, 6, 2], [5, 6, 2]], 5),
        ([[5, 6, 2], [5, 2], [5, 6, 7, 2]], 6),
    ],
)
def test_cost_counts_each_prefix_once(responses: list[list[int]], expected: int) -> None:
    assert cost(Row([1, 3, 4], responses)) == expected


def test_cost_is_the_packed_width() -> None:
    from xpo.scoring.pack import pack

    draw = random.Random(5)
    for _ in range(50):
        prompt = [1] * draw.randrange(1, 5)
        responses = [
            [draw.randrange(3) for _ in range(draw.randrange(1, 6))] for _ in range(draw.randrange(1, 5))
        ]
        packed, _ = pack([(prompt, responses)], pad_id=0)
        assert cost(Row(prompt, responses)) == packed.input_ids_BS.shape[1]
