"""Merges of two deltas, worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from xpo.merge.delta import merge, prune
from xpo.merge.methods import DEFAULTS, METHODS

EVEN: dict[str, Any] = {"sft_weight": 1.0, "align_weight": 1.0}


def merged(
    method: str, sft: list[float], align: list[float], seed: int = 0, **settings: float
) -> list[float]:
    pair = ("w", torch.tensor(sft, dtype=torch.float32), torch.tensor(align, dtype=torch.float32))
    return merge([pair], method, settings, seed)["w"].tolist()


def settings_of(method: str) -> dict[str, float]:
    return {key: DEFAULTS[key] for key in METHODS[method].reads}


def test_linear_is_the_weighted_mean() -> None:
    # (3 * 1 + 1 * 3) / 4, (3 * 2 - 1 * 2) / 4, (3 * -4 + 0) / 4
    found = merged("linear", [1, 2, -4], [3, -2, 0], sft_weight=3.0, align_weight=1.0)
    assert found == pytest.approx([1.5, 1.0, -3.0])


def test_task_arithmetic_is_the_weighted_sum() -> None:
    # 2 * 1 + 0.5 * 3, 2 * 2 - 0.5 * 2, 2 * -4 + 0
    found = merged("task_arithmetic", [1, 2, -4], [3, -2, 0], sft_weight=2.0, align_weight=0.5)
    assert found == pytest.approx([3.5, 3.0, -8.0])


@pytest.mark.parametrize(
    ("weights", "expected"), [((1.0, 1.0), [2.0, -2.0, 0.0, 0.0]), ((2.0, 0.5), [1.75, -4.0, 0.0, 0.0])]
)
def test_ties_by_hand(weights: tuple[float, float], expected: list[float]) -> None:
    """Half of four entries: 1, -2 and 3, 1 stay. Signs of 4, -1, 0, 0. Entry 0 has both, entry 1 only -2."""
    named: dict[str, Any] = {"sft_weight": weights[0], "align_weight": weights[1]}
    found = merged("ties", [1, -2, 0.5, 0], [3, 1, -0.4, -0.9], density=0.5, **named)
    assert found == pytest.approx(expected)


def test_ties_without_trimming() -> None:
    # signs of 4, -1, 0.1: (1 + 3) / 2, then -2 alone, then 0.5 alone
    assert merged("ties", [1, -2, 0.5], [3, 1, -0.4], density=1.0, **EVEN) == pytest.approx([2.0, -2.0, 0.5])
    assert merged("dare_ties", [1, -2, 0.5], [3, 1, -0.4], density=1.0, **EVEN) == pytest.approx([2, -2, 0.5])


def test_an_entry_of_dare_is_dropped_or_rescaled() -> None:
    """Density 0.25 multiplies by 4. Entries 4 * 1 and 4 * 3 where kept: their mean, one of them, or 0."""
    found = {merged("dare_ties", [1.0], [3.0], seed=s, density=0.25, **EVEN)[0] for s in range(100)}
    assert found == {0.0, 4.0, 12.0, 8.0}


def test_dare_is_unbiased_entry_by_entry() -> None:
    """Of a delta alone: E = density * value / density. 20,000 draws of variance 9 * (1 / 0.3 - 1) = 21."""
    many = [3.0] * 20_000
    found = torch.tensor(merged("dare_ties", many, [0.0] * 20_000, density=0.3, **EVEN))
    assert float(found.mean()) == pytest.approx(3.0, abs=5 * (21 / 20_000) ** 0.5)
    assert float((found != 0).double().mean()) == pytest.approx(0.3, abs=0.02)


def test_dare_follows_from_the_seed_alone() -> None:
    values = [float(n) for n in range(1, 50)]
    first, again, other = (
        merged("dare_ties", values, values, seed=s, density=0.5, **EVEN) for s in (1, 1, 2)
    )
    before = torch.get_rng_state()
    assert first == again != other
    merged("dare_ties", values, values, density=0.5, **EVEN)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("sft", "align", "t", "expected"),
    [
        ([2, 0], [0, 1], 1 / 3, [1.7320508, 0.5]),  # 90 degrees: 2 sin 60, 1 sin 30
        ([1, 0], [0.5, 0.8660254], 0.5, [0.8660254, 0.5]),  # 60 degrees: the middle of the arc at 30
        ([3, 0], [-0.5, 0.8660254], 0.5, [2.5, 0.8660254]),  # 120 degrees: sin 60 / sin 120 = 1 of each
        ([1, 2], [2, 4], 0.25, [1.25, 2.5]),  # collinear: on the line
        ([1, 0], [-1, 0], 0.25, [0.5, 0]),  # opposite: on the line, through 0
        ([0, 0], [4, 2], 0.25, [1, 0.5]),  # nothing to turn from
    ],
)
def test_slerp_by_hand(sft: list[float], align: list[float], t: float, expected: list[float]) -> None:
    assert merged("slerp", sft, align, t=t) == pytest.approx(expected, abs=1e-6)


def test_slerp_keeps_the_length_on_a_sphere_and_is_continuous_where_it_becomes_a_line() -> None:
    one = torch.tensor([1.0, 0.0], dtype=torch.float64)
    for degrees in (0.5, 1.0, 1.81, 1.82, 30.0, 150.0, 178.0):  # |cosine| passes 0.9995 at 1.812
        angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
        two = torch.stack([angle.cos(), angle.sin()])
        found = METHODS["slerp"].combine(one, two, t=0.3)
        rotated = torch.stack([(0.3 * angle).cos(), (0.3 * angle).sin()])
        torch.testing.assert_close(found, rotated, atol=2e-4, rtol=0)


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("method", "changed", "which"),
    [
        ("linear", {"align_weight": 0.0}, 0),
        ("linear", {"sft_weight": 0.0}, 1),
        ("task_arithmetic", {"align_weight": 0.0}, 0),
        ("slerp", {"t": 0.0}, 0),
        ("slerp", {"t": 1.0}, 1),
    ],
)
def test_one_branch_alone(method: str, changed: dict[str, float], which: int) -> None:
    pair = random(0, 3, 4), random(1, 3, 4)
    found = METHODS[method].combine(*pair, **(settings_of(method) | changed))
    torch.testing.assert_close(found, pair[which])


@pytest.mark.parametrize("method", ["linear", "ties", "slerp"])
def test_two_equal_deltas_are_their_own_merge(method: str) -> None:
    delta = random(0, 5, 4)
    settings = settings_of(method) | ({"density": 1.0} if method == "ties" else {})
    torch.testing.assert_close(METHODS[method].combine(delta, delta, **settings), delta)


def test_ties_of_equal_deltas_is_their_larger_half() -> None:
    delta = torch.tensor([[1.0, -5.0], [4.0, 2.0]])
    found = METHODS["ties"].combine(delta, delta, **settings_of("ties"))
    assert found.tolist() == [[0.0, -5.0], [4.0, 0.0]]


@pytest.mark.parametrize("method", sorted(METHODS))
def test_scale_and_shape(method: str) -> None:
    """Twice the deltas are twice the merge (of the same draws); the shape is the weight's."""
    one, two = random(0, 4, 3), random(1, 4, 3)
    found = merge([("w", one, two)], method, settings_of(method), 0)["w"]
    twice = merge([("w", 2 * one, 2 * two)], method, settings_of(method), 0)["w"]
    assert found.shape == (4, 3) and found.dtype == torch.float32
    torch.testing.assert_close(twice, 2 * found)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_setting_that_a_method_reads_changes_it(method: str) -> None:
    one, two = random(0, 40), random(1, 40)
    plain = merge([("w", one, two)], method, settings_of(method), 0)["w"]
    for key in METHODS[method].reads:
        changed = settings_of(method) | {key: 0.3}
        assert not torch.allclose(merge([("w", one, two)], method, changed, 0)["w"], plain), key


def test_pruning_keeps_what_is_above_the_threshold() -> None:
    delta = torch.tensor([0.1, -0.1, 0.1001, -3.0, 0.0])
    assert prune(delta, 0.1).tolist() == pytest.approx([0.0, 0.0, 0.1001, -3.0, 0.0])
    assert torch.equal(prune(delta, 0.0), delta)
