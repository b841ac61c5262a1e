"""Metric formulas by hand: pairs, soft labels, lists, binary rows, demonstrations, fillers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from xpo.contracts import Batch, Packed, StepTotals
from xpo.run.metrics import Accumulator, derived
from xpo.run.preference_metrics import preference_metrics

NAN = float("nan")


def batch(mask: list, weight: list[float] | None = None, **masses: list) -> Batch:
    mask_BKT = torch.tensor(mask, dtype=torch.bool)
    one = torch.zeros(1, dtype=torch.long)
    packed = Packed(one[None], one[None], one[None], one, one, one, one[None, None])
    weight_B = torch.tensor(weight or [1.0] * len(mask_BKT))
    tensors = {name: torch.tensor(value) for name, value in masses.items()}
    return Batch(packed, mask_BKT, weight_B, torch.arange(len(mask_BKT)), StepTotals(1.0, 1.0, 1), **tensors)


def reduced(reward: list | None, logp: list, ref: list | None, item: Batch) -> dict[str, float]:
    def tensor(value: list | None) -> Tensor | None:
        return None if value is None else torch.tensor(value)

    sums = Accumulator()
    sums.add_all(preference_metrics(tensor(reward), torch.tensor(logp), tensor(ref), item))
    return derived(sums.flush())


PAIR = batch([[[True, True], [True, False]]], prefer_BKK=[[[0.0, 1.0], [0.0, 0.0]]])
LOGP = [[[-1.0, -2.0], [-4.0, NAN]]]  # what stands outside of the mask may be anything
REF = [[[-1.5, -2.5], [-3.0, NAN]]]


def test_a_pair() -> None:
    found = reduced([[0.3, -0.2]], LOGP, REF, PAIR)
    assert found == pytest.approx(
        {
            "rewards/chosen": 0.3,
            "rewards/rejected": -0.2,
            "rewards/margins": 0.5,
            "rewards/accuracies": 1.0,
            "logps/chosen": -3.0,
            "logps/rejected": -4.0,
            "common/length_chosen": 2.0,
            "common/length_rejected": 1.0,
            "common/logp_per_token_chosen": -1.5,
            "common/logp_per_token_rejected": -4.0,
            "common/logp_accuracy": 1.0,
            "common/mean_logp_accuracy": 1.0,
            "common/log_ratio_chosen": 1.0,
            "common/log_ratio_rejected": -1.0,
            "common/log_ratio_margin": 2.0,
            "common/log_ratio_accuracy": 1.0,
            # two tokens with log-ratio 1/2, one with -1
            "common/kl_policy_ref": (2 * (1 - 0.5 * math.exp(0.5)) + (1 - 2 * math.exp(-1))) / 3,
            "common/kl_ref_policy": (2 * (math.exp(0.5) - 1.5) + math.exp(-1)) / 3,
        },
        abs=1e-6,
    )


def test_a_tie_counts_half() -> None:
    found = reduced([[0.0, 0.0]], LOGP, LOGP, PAIR)
    assert found["rewards/accuracies"] == 0.5
    assert found["common/log_ratio_accuracy"] == 0.5
    assert found["common/kl_policy_ref"] == found["common/kl_ref_policy"] == 0.0


def test_a_soft_label_mixes_both_orders() -> None:
    soft = batch([[[True], [True]]], prefer_BKK=[[[0.0, 0.7], [0.3, 0.0]]])
    found = reduced([[1.0, -1.0]], [[[-1.0], [-2.0]]], None, soft)
    assert found["rewards/chosen"] == pytest.approx(0.4)
    assert found["rewards/margins"] == pytest.approx(0.8)
    assert found["rewards/accuracies"] == pytest.approx(0.7)


def test_a_ragged_list_is_all_its_pairs() -> None:
    # two of three responses are there; the absent one holds garbage
    ragged = batch(
        [[[True], [True], [False]], [[True], [True], [True]]],
        prefer_BKK=[
            [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
            [[0.0, 1 / 3, 1 / 3], [0.0, 0.0, 1 / 3], [0.0, 0.0, 0.0]],
        ],
    )
    logp = [[[-1.0], [-2.0], [NAN]], [[-1.0], [-3.0], [-2.0]]]
    found = reduced([[2.0, 1.0, NAN], [3.0, 1.0, 2.0]], logp, None, ragged)
    # row 1: 2 over 1; row 2: 3 over 1 and 2 are right, 1 over 2 is wrong
    assert found["rewards/accuracies"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["rewards/margins"] == pytest.approx((1 + (2 + 1 - 1) / 3) / 2)
    assert found["rewards/chosen"] == pytest.approx((2 + (3 + 3 + 1) / 3) / 2)
    assert "common/log_ratio_chosen" not in found  # no reference, no log-ratio


def test_binary_rows_of_one_response() -> None:
    rows = batch([[[True]], [[True]], [[True]]], good_BK=[[1.0], [0.0], [1.0]], bad_BK=[[0.0], [1.0], [0.0]])
    found = reduced(
        [[1.0], [0.5], [2.0]], [[[-1.0]], [[-2.0]], [[-3.0]]], [[[-1.0]], [[-1.0]], [[-1.0]]], rows
    )
    assert (found["rewards/chosen"], found["rewards/rejected"]) == (1.5, 0.5)
    assert found["rewards/margins"] == 1.0  # the difference of the two means
    assert found["common/log_ratio_margin"] == pytest.approx(-1.0 - -1.0)
    assert "rewards/accuracies" not in found  # no prompt has a good and a bad response


def test_binary_labels_of_one_prompt_compare_good_with_bad() -> None:
    rows = batch([[[True], [True], [True]]], good_BK=[[0.5, 0.5, 0.0]], bad_BK=[[0.0, 0.5, 0.5]])
    found = reduced([[3.0, 1.0, 2.0]], [[[-1.0], [-1.0], [-1.0]]], None, rows)
    # good x bad without a response against itself: 0 over 1, 0 over 2, 1 over 2; the last is wrong
    assert found["rewards/accuracies"] == pytest.approx(2 / 3)


def test_demonstrations_have_no_rejected_side() -> None:
    found = reduced(None, [[[-1.0, -2.0]]], None, batch([[[True, True]]], demo_BK=[[1.0]]))
    assert found == {
        "logps/chosen": -3.0,
        "common/length_chosen": 2.0,
        "common/logp_per_token_chosen": -1.5,
    }


def test_weights_count_and_fillers_do_not() -> None:
    rows = batch([[[True], [True]]] * 3, weight=[3.0, 1.0, 0.0], prefer_BKK=[[[0.0, 1.0], [0.0, 0.0]]] * 3)
    logp = [[[-1.0], [-2.0]]] * 3
    found = reduced([[1.0, 0.0], [0.0, 1.0], [NAN, NAN]], logp, None, rows)
    assert found["rewards/accuracies"] == 0.75
    assert found["rewards/chosen"] == 0.75


def test_population_pairs_average_over_the_reference() -> None:
    # prefer = ref_i ref_j P(i beats j): both sides together weigh every response by ref
    ref, win = (
        torch.tensor([0.2, 0.3, 0.5]),
        torch.tensor([[0.5, 0.9, 0.6], [0.1, 0.5, 0.7], [0.4, 0.3, 0.5]]),
    )
    prefer = (ref[:, None] * ref[None, :] * win).tolist()
    item = batch([[[True]] * 3], prefer_BKK=[prefer])
    logp, ref_logp = torch.tensor([0.1, 0.6, 0.3]).log(), ref.log()
    found = reduced(None, logp[None, :, None].tolist(), ref_logp[None, :, None].tolist(), item)
    exact = sum(r * math.log(r / p) for r, p in zip(ref.tolist(), [0.1, 0.6, 0.3], strict=True))
    assert found["common/kl_ref_policy"] == pytest.approx(exact, abs=1e-6)
    exact = sum(p * math.log(p / r) for r, p in zip(ref.tolist(), [0.1, 0.6, 0.3], strict=True))
    assert found["common/kl_policy_ref"] == pytest.approx(exact, abs=1e-6)


def test_micro_batches_do_not_change_a_metric() -> None:
    one, two = Accumulator(), Accumulator()
    one.add("x", torch.tensor(10.0), 4.0)
    two.add("x", torch.tensor(9.0), torch.tensor(1.0))
    two.add("x", torch.tensor(1.0), 3.0)
    assert one.flush() == two.flush() == {"x": 2.5}


def test_flush_starts_anew_and_leaves_out_what_was_never_seen() -> None:
    sums = Accumulator()
    sums.add("seen", torch.tensor(1.0, requires_grad=True))
    sums.add("never", torch.tensor(0.0), torch.tensor(0.0))
    assert sums.flush() == {"seen": 1.0}
    assert sums.flush() == {}


def test_many_additions_lose_no_precision() -> None:
    sums = Accumulator()
    for _ in range(1000):
        sums.add("x", torch.tensor(0.1), 1.0)
    assert sums.flush()["x"] == pytest.approx(torch.tensor(0.1).double().item(), abs=1e-12)


def _rank(rank: int, store: str, queue: torch.multiprocessing.Queue) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    sums = Accumulator()
    sums.add("both", torch.tensor(float(rank)), 1.0 + 2 * rank)
    if rank == 1:
        sums.add("one", torch.tensor(5.0), 2.0)
    queue.put((rank, sums.flush()))
    torch.distributed.destroy_process_group()


def test_ranks_add_up_even_with_different_names(tmp_path: object) -> None:
    context = torch.multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    ranks = [context.Process(target=_rank, args=(rank, f"{tmp_path}/store", queue)) for rank in range(2)]
    for process in ranks:
        process.start()
    found = dict(queue.get() for _ in ranks)
    for process in ranks:
        process.join(30)
    assert found == {0: {"both": 0.25, "one": 2.5}, 1: {"both": 0.25, "one": 2.5}}
