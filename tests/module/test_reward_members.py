"""Members of a head: their halves of the rows, their losses, their disagreement."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.module.test_reward_model import ROWS, alone, batch_of, evaluated, module_of, set_scores, softplus
from xpo.contracts import Batch, Row
from xpo.module.reward_model import RewardModule
from xpo.stages.heldout import held_out


def copies(number: int) -> list[Row]:
    return [ROWS[0]] * number


def weights_of(module: RewardModule, batch: Batch, members: int) -> torch.Tensor:
    return torch.stack([module._half(batch, member).weight_B for member in range(members)])


def test_halves_are_the_same_in_every_epoch_and_in_any_micro_batch() -> None:
    module = module_of("reward.members=3").train()
    whole_MB = weights_of(module, batch_of(copies(40)), 3)
    assert torch.equal(whole_MB, weights_of(module, batch_of(copies(40)), 3))
    parts = [weights_of(module, batch_of(copies(8), start), 3) for start in range(0, 40, 8)]
    assert torch.equal(whole_MB, torch.cat(parts, 1))


def test_a_rows_weight_is_1_on_average_and_members_halves_are_unlike() -> None:
    module = module_of("reward.members=4").train()
    weight_MB = torch.cat([weights_of(module, batch_of(copies(500), 500 * n), 4) for n in range(16)], 1)
    assert set(weight_MB.unique().tolist()) == {0.0, 2.0}
    error = 3 / 8000**0.5  # three standard errors of a mean of 8000 draws of 0 or 2
    assert weight_MB.mean(1).tolist() == pytest.approx([1.0] * 4, abs=error)
    together_MM = (weight_MB @ weight_MB.T) / 8000
    apart = ~torch.eye(4, dtype=torch.bool)
    assert together_MM[apart].tolist() == pytest.approx([1.0] * 12, abs=2 * error)
    odd, even = weight_MB[:, 0::2].mean(1), weight_MB[:, 1::2].mean(1)
    assert (odd - even).abs().max() < 3 * error


def test_members_losses_are_those_of_their_rows_and_their_mean_is_trained() -> None:
    module = module_of("reward.members=2").train()
    module.policy.eval()  # the same numbers, but all rows
    everything, _ = evaluated(module, batch_of(ROWS))
    module.policy.train()
    trained, metrics = evaluated(module, batch_of(ROWS))
    by_hand = {"all": 0.0, "halves": 0.0}
    weight_MB = weights_of(module, batch_of(ROWS), 2)
    for b, row in enumerate(ROWS):
        assert row.prefer is not None
        outputs = [alone(module, row, list(response)) for response in row.responses]
        for member in range(2):
            loss = sum(
                row.prefer[i][j] * softplus(float(y[member] - x[member]))
                for i, x in enumerate(outputs)
                for j, y in enumerate(outputs)
            )
            by_hand["all"] += loss / 6
            by_hand["halves"] += float(weight_MB[member, b]) * loss / 6
    assert everything == pytest.approx(by_hand["all"], abs=1e-5)
    assert trained == pytest.approx(by_hand["halves"], abs=1e-5)
    assert "rewards/disagreement" in metrics


def test_an_evaluation_while_training_uses_all_rows() -> None:
    module = module_of("reward.members=2").train()
    metrics = held_out(module, Ready([batch_of(ROWS)]), None)  # pyright: ignore[reportArgumentType]
    module.policy.eval()
    everything, _ = evaluated(module, batch_of(ROWS))
    assert metrics["eval/loss"] == pytest.approx(everything, abs=1e-6)


class Ready:
    """Batches that are made."""

    def __init__(self, batches: list[Batch]) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._batches)


def test_disagreement_is_the_spread_over_members_with_each_prompts_level_taken_off() -> None:
    """Two members: scores (1, 3) and (5, 4) are (-1, 1) and (0.5, -0.5): spreads of 1.5 / sqrt 2 each."""
    module = module_of("reward.members=2")
    set_scores(module, [[1.0, 3.0], [5.0, 4.0]])
    _, metrics = evaluated(module, batch_of(ROWS[:1]))
    above, below = metrics["rewards/disagreement"]
    assert float(above / below) == pytest.approx(1.5 / 2**0.5, abs=1e-6)
