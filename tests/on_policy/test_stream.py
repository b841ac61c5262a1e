"""Rollouts as a loader: which prompts, how often, in which pieces, and where a resumed run goes on."""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from xpo.contracts import Batch, Row
from xpo.data.collate import Collator
from xpo.data.plan import Sizes
from xpo.on_policy.experience import Experience, Rollout
from xpo.on_policy.stream import Plan, RolloutStream


class Log:
    """What was sampled when: two samples of each prompt, which say the prompt, the rollout and the draw."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, list[int]]] = []
        self.version = 0
        self.seen: list[int] = []

    def __call__(self, indices: Sequence[int], number: int) -> Rollout:
        self.calls.append((number, list(indices)))
        self.seen.append(self.version)
        rows = [
            Row([1, 11 + i % 5], [[3 + number, 2], [3, 4 + place, 5, 2]]) for place, i in enumerate(indices)
        ]
        places = torch.arange(len(rows)).float()[:, None, None].expand(-1, 2, 4).clone()
        return Rollout(rows, Experience(places, places + 0.5, places, places))


def stream(
    prompts: int = 8,
    batch: int = 4,
    epochs: int = 1,
    minibatches: int = 1,
    steps: int = 6,
    budget: int = 1_000,
    ranks: tuple[int, int] = (0, 1),
) -> tuple[RolloutStream, Log]:
    log = Log()
    plan = Plan((10,) * prompts, Sizes(batch, budget), epochs, minibatches, ranks)
    return RolloutStream(plan, steps, Collator(0), log), log


def test_each_prompt_comes_once_in_an_epoch_of_prompts() -> None:
    found, log = stream(prompts=7, batch=2, steps=14)
    list(found)
    order = [i for _, indices in log.calls for i in indices]
    assert [number for number, _ in log.calls] == list(range(14))
    epochs = [order[start : start + 7] for start in (0, 7, 14, 21)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs) and len(order) == 28
    assert epochs[0] != epochs[1], "each epoch has an order of its own"
    again, other = stream(prompts=7, batch=2, steps=14)
    list(again)
    assert other.calls == log.calls, "the seed decides"


@pytest.mark.parametrize("budget", [1_000, 25, 1])
def test_epochs_and_minibatches_cover_each_row_once(budget: int) -> None:
    """6 prompts a rollout, trained on 3 times in 2 pieces: 6 steps, in each epoch every row once."""
    found, log = stream(prompts=12, batch=3, epochs=3, minibatches=2, steps=12, budget=budget)
    batches = list(found)
    assert len(batches) == len(found) == 12 * found.micro_batches
    assert found.micro_batches == {1_000: 1, 25: 2, 1: 3}[budget]
    assert [number for number, _ in log.calls] == [0, 1]
    pieces = [batches[i : i + found.micro_batches] for i in range(0, len(batches), found.micro_batches)]
    steps = [sorted(i for b in piece for i in b.index_B.tolist() if i >= 0) for piece in pieces]
    assert all(len(step) == 3 for step in steps)
    for epoch in range(6):
        assert sorted(steps[2 * epoch] + steps[2 * epoch + 1]) == list(range(6))
    assert len({tuple(step) for step in steps}) > 2, "each epoch is cut anew"


def test_what_is_known_of_tokens_follows_its_row() -> None:
    found, _ = stream(epochs=2, minibatches=2, batch=2, steps=4)
    for batch in found:
        _, K, T = batch.mask_BKT.shape
        wanted = batch.index_B.float()[:, None, None].expand(-1, K, T)
        assert torch.equal(batch.experience.old_logp, wanted)
        assert torch.equal(batch.experience.ref_logp, wanted + 0.5)
        assert batch.response_BKT is None or batch.response_BKT.shape == batch.mask_BKT.shape


def test_a_step_of_several_micro_batches_has_one_denominator() -> None:
    found, _ = stream(batch=4, budget=25, steps=2)
    for batch in found:
        assert batch.totals.rows == 4 and batch.totals.micro_batches == 2
        assert batch.totals.scored_tokens == 4 * (2 + 4) / 2


def test_nothing_is_sampled_before_it_is_asked_for() -> None:
    """The rollout after an update is sampled by the policy that the update left."""
    found, log = stream(batch=2, minibatches=2, steps=6)
    assert log.seen == [], "no rollout before the first step"
    for _ in found:
        log.version += 1  # an update, before the next batch is asked for
    assert log.seen == [0, 2, 4]


def test_the_run_ends_within_a_rollout() -> None:
    found, log = stream(batch=2, minibatches=2, epochs=2, steps=5)
    assert len(list(found)) == 5 and len(log.calls) == 2


def same(one: Batch, other: Batch) -> bool:
    tensors = ("index_B", "mask_BKT", "weight_B")
    alike = all(torch.equal(getattr(one, name), getattr(other, name)) for name in tensors)
    rows = torch.equal(one.packed.input_ids_BS, other.packed.input_ids_BS)
    return alike and rows and torch.equal(one.experience.old_logp, other.experience.old_logp)


@pytest.mark.parametrize("stop", range(1, 13))
def test_a_resumed_run_goes_on_from_the_saved_rollout(stop: int) -> None:
    """Wherever it was stopped: the same batches, and no rollout is sampled twice."""
    sizes: dict[str, Any] = {"batch": 2, "minibatches": 2, "epochs": 2, "steps": 6, "budget": 10}
    whole, log = stream(**sizes)
    expected = list(whole)
    assert len(expected) == 12
    begun, first = stream(**sizes)
    walk = iter(begun)
    for _ in range(stop):
        next(walk)
    state = reloaded(begun.state_dict())
    resumed, second = stream(**sizes)
    resumed.load_state_dict(state)
    rest = list(resumed)
    assert len(rest) == 12 - stop
    assert all(same(a, b) for a, b in zip(rest, expected[stop:], strict=True))
    numbers = [number for number, _ in (*first.calls, *second.calls)]
    assert numbers == [0, 1], "sampled once each"
    assert log.calls == [*first.calls, *second.calls]


def reloaded(state: dict[str, Any]) -> dict[str, Any]:
    """As a checkpoint gives it back, which is read with ``weights_only``."""
    import io

    file = io.BytesIO()
    torch.save(copy.deepcopy(state), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_between_rollouts_none_is_saved() -> None:
    found, _ = stream(batch=2, minibatches=2, steps=4)
    walk = iter(found)
    kept = []
    for _ in range(4):
        next(walk)
        kept.append(found.state_dict()["rollout"] is not None)
    assert kept == [True, False, True, False]


def test_ranks_share_a_step_and_see_one_rollout() -> None:
    whole, _ = stream(batch=4, steps=2)
    parts = [stream(batch=4, steps=2, ranks=(rank, 2)) for rank in (0, 1)]
    walks = [list(found) for found, _ in parts]
    assert parts[0][1].calls == parts[1][1].calls
    for step, batch in enumerate(whole):
        shares = [i for walk in walks for i in walk[step].index_B.tolist() if i >= 0]
        assert sorted(shares) == sorted(batch.index_B.tolist())
        assert all(walk[step].totals.rows == 4 for walk in walks)


def test_a_place_in_the_middle_is_not_saved_as_its_end() -> None:
    """A stream that counts a batch only once the next one is asked for would train on it twice."""

    class Late(RolloutStream):
        def state_dict(self) -> dict[str, Any]:
            state = super().state_dict()
            return {**state, "position": max(0, state["position"] - 1)}

    sizes: dict[str, Any] = {"batch": 2, "minibatches": 2, "epochs": 2, "steps": 6, "budget": 10}
    expected = list(stream(**sizes)[0])
    begun, _ = stream(**sizes)
    late = Late(begun.plan, begun.steps, begun.collator, Log())
    walk = iter(late)
    for _ in range(3):
        next(walk)
    resumed, _ = stream(**sizes)
    resumed.load_state_dict(late.state_dict())
    rest = list(resumed)
    assert len(rest) != len(expected[3:])


def test_counts_follow_sizes() -> None:
    plan = Plan((10, 30), Sizes(4, 60), epochs=2, minibatches=3)
    assert (plan.prompts, plan.steps, plan.each, plan.micro_batches) == (12, 6, 2, 2)
    assert dataclasses.replace(plan, ranks=(0, 2)).micro_batches == 1
    drawn = Counter(plan.drawn(0))
    assert drawn == {0: 6, 1: 6}, "few prompts come again, as often as each other"


def test_a_later_round_goes_on_where_the_prompts_were() -> None:
    whole, log = stream(prompts=7, batch=2, steps=6)
    list(whole)
    later, other = stream(prompts=7, batch=2, steps=2)
    later.plan = dataclasses.replace(later.plan, first=4)
    list(later)
    assert other.calls == log.calls[4:] and [number for number, _ in other.calls] == [4, 5]
