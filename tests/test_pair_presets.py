"""Presets of pairs as whole losses: the papers' equations on plain numbers, and their limits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.explain.formula_rows import arrow_of, batch_of, padded, random_rows
from tests.objective.oracles import softplus
from xpo.arrow import Scores


def pairs(seed: int = 1) -> list[dict[str, Any]]:
    """Three hard pairs, the first response preferred, demonstrated and scored higher."""
    rows = random_rows([2, 2, 2], seed)
    for row in rows:
        row["prefer"] *= 0
        row["prefer"][0, 1] = 1.0
        row["demo"][:] = (1.0, 0.0)
        row["score"][:] = sorted(abs(row["score"]) + 0.2, reverse=True)
    return rows


def trained(rows: list[dict[str, Any]], *overrides: str) -> float:
    composition, arrow = arrow_of(*overrides)
    batch, _ = batch_of(rows)
    ref_logp = padded(rows, "ref_logp") if composition.reference.given else torch.zeros(1).double()
    logp = padded(rows, "logp")
    return arrow(batch, Scores(logp, ref_logp.expand_as(logp))).share.item()


class Side:
    """One response in numbers: tokens' log-probabilities, and their sums and means."""

    def __init__(self, row: dict[str, Any], k: int) -> None:
        there = row["mask"][k]
        self.logps, self.refs = row["logp"][k][there].tolist(), row["ref_logp"][k][there].tolist()
        self.length, self.score = len(self.logps), float(row["score"][k])
        self.logp = math.fsum(self.logps)
        self.ratio = self.logp - math.fsum(self.refs)
        self.mean = self.logp / self.length


def weighted_mean(rows: list[dict[str, Any]], loss: Callable[[Side, Side], float]) -> float:
    total = sum(row["weight"] * loss(Side(row, 0), Side(row, 1)) for row in rows)
    return total / sum(row["weight"] for row in rows)


def _robust(w: Side, v: Side) -> float:
    gap = 0.1 * (w.ratio - v.ratio)
    return (0.9 * softplus(-gap) - 0.1 * softplus(gap)) / 0.8


def _conservative(w: Side, v: Side) -> float:
    gap = 0.1 * (w.ratio - v.ratio)
    return 0.8 * softplus(-gap) + 0.2 * softplus(gap)


def _ld_dpo(w: Side, v: Side) -> float:
    shared = min(w.length, v.length)

    def half_beyond(side: Side) -> float:
        ratios = [a - b for a, b in zip(side.logps, side.refs, strict=True)]
        return sum(ratios[:shared]) + 0.5 * sum(ratios[shared:])

    return softplus(-0.1 * (half_beyond(w) - half_beyond(v)))


def _chi(ratio: float) -> float:
    return math.exp(ratio) + ratio


def _alpha(mean: float) -> float:
    return 2.5 * (1 - math.exp(mean) ** -0.25) / 0.25


EQUATIONS: dict[str, Callable[[Side, Side], float]] = {
    "cdpo": _conservative,
    "robust_dpo": _robust,
    "dpop": lambda w, v: softplus(-0.3 * (w.ratio - v.ratio - 50 * max(0.0, -w.ratio))),
    "gpo": lambda w, v: math.exp(-0.1 * (w.ratio - v.ratio)),
    "odpo": lambda w, v: softplus(math.log(w.score - v.score) - 0.1 * (w.ratio - v.ratio)),
    "r_dpo": lambda w, v: softplus(-0.1 * (w.ratio - v.ratio) - 0.01 * (w.length - v.length)),
    "ld_dpo": _ld_dpo,
    "chi_po": lambda w, v: softplus(-0.01 * (_chi(w.ratio) - _chi(v.ratio))),
    "slic_hf": lambda w, v: max(0.0, 1 - w.logp + v.logp) - 0.1 * w.logp,
    "cpo": lambda w, v: softplus(-0.1 * (w.logp - v.logp)) - w.logp,
    "alphapo": lambda w, v: softplus(0.1 - (_alpha(w.mean) - _alpha(v.mean))),
}


@pytest.mark.parametrize("algo", EQUATIONS)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_preset_is_its_papers_equation(algo: str, seed: int) -> None:
    rows = pairs(seed)
    assert trained(rows, f"algo={algo}") == pytest.approx(weighted_mean(rows, EQUATIONS[algo]), rel=1e-9)


def test_cpo_simpo_averages_its_likelihood_over_the_tokens_of_the_batch():
    rows = pairs()
    preference = weighted_mean(rows, lambda w, v: softplus(5.4 - 10 * (w.mean - v.mean)))
    chosen = [(row["weight"], Side(row, 0)) for row in rows]
    nll = -sum(weight * w.logp for weight, w in chosen) / sum(weight * w.length for weight, w in chosen)
    assert trained(rows, "algo=cpo_simpo") == pytest.approx(preference + 0.05 * nll, rel=1e-9)


SAME = [
    (("algo=cdpo", "label_noise.rate=1e-12"), ("algo=dpo",)),
    (("algo=robust_dpo", "label_noise.rate=1e-12"), ("algo=dpo",)),
    (("algo=dpop", "margin.lam=1e-12"), ("algo=dpo", "reward.beta=0.3")),
    (("algo=odpo", "margin.alpha=1e-12"), ("algo=dpo",)),
    (("algo=r_dpo", "length.alpha=1e-12"), ("algo=dpo",)),
    (("algo=ld_dpo", "length.alpha=0.999999999999"), ("algo=dpo",)),
    (("algo=gpo", "objective=logistic"), ("algo=dpo",)),
    (("algo=gpo", "objective=hinge"), ("algo=dpo", "objective=hinge")),
    (("algo=chi_po", "objective.bound=1e6"), ("algo=f_dpo", "divergence=chi2_kl", "reward.beta=0.01")),
    (("algo=chi_po", "objective=logistic"), ("algo=f_dpo", "divergence=chi2_kl", "reward.beta=0.01")),
    (
        ("algo=alphapo", "divergence.alpha=1e-9"),
        ("algo=simpo", "reward.beta=2.5", "margin.gamma=0.1"),
    ),
    (("algo=cpo_simpo", "sft.weight=1e-12"), ("algo=simpo", "reward.beta=10", "margin.gamma=5.4")),
    (
        ("algo=cpo", "sft.weight=1e-12"),
        ("algo=dpo", "reference=none", "divergence=none", "sft=none"),
    ),
    (
        ("algo=odpo", "margin=data", "margin.scale=1e-12"),
        ("algo=dpo",),
    ),
]


@pytest.mark.parametrize(("method", "limit"), SAME, ids=lambda overrides: " ".join(overrides))
def test_limits(method: tuple[str, ...], limit: tuple[str, ...]) -> None:
    rows = pairs()
    assert trained(rows, *method) == pytest.approx(trained(rows, *limit), rel=1e-6)


@pytest.mark.parametrize("beta", [0.1, 0.6])
def test_the_squared_member_of_gpo_is_ipo(beta: float) -> None:
    rows = pairs()
    gpo = trained(rows, "algo=gpo", "objective=quadratic", f"reward.beta={beta}")
    ipo = trained(rows, "algo=ipo", "length=sum", f"objective.tau={beta / 2}")
    assert gpo == pytest.approx(beta**2 * ipo, rel=1e-9)


def test_an_offset_of_scores_is_what_the_data_may_say():
    """margin=data with the scores' differences is margin=score, on soft pairs and lists too."""
    rows = random_rows([2, 4, 3], 0)
    for row in rows:
        row["given_margin"] = row["score"][:, None] - row["score"][None, :]
    for rest in (("arity=list",), ("arity=list", "label_noise=smoothing"), ("arity=list", "objective=hinge")):
        given = trained(rows, "algo=dpo", "margin=data", "margin.scale=0.3", *rest)
        assert given == pytest.approx(trained(rows, "algo=dpo", "margin=score", "margin.alpha=0.3", *rest))


@pytest.mark.parametrize(
    "objective", ["logistic", "hinge", "exponential", "savage", "quadratic", "truncated_quadratic"]
)
@pytest.mark.parametrize("algo", ["dpo", "cdpo", "dpop", "odpo", "r_dpo", "ld_dpo", "f_dpo", "simpo", "cpo"])
def test_every_curve_goes_with_every_preset_of_pairs(algo: str, objective: str) -> None:
    value = trained(pairs(), f"algo={algo}", f"objective={objective}")
    assert math.isfinite(value)


def test_what_starts_where() -> None:
    """Where the policy is the reference: log 2, f(0), and the offsets alone."""
    rows = pairs()
    for row in rows:
        row["ref_logp"] = row["logp"]
    for algo in ("cdpo", "robust_dpo", "dpop", "ld_dpo", "chi_po"):
        assert trained(rows, f"algo={algo}") == pytest.approx(math.log(2)), algo
    for objective, value in {"exponential": 1.0, "savage": 0.25, "quadratic": 1.0, "hinge": 1.0}.items():
        assert trained(rows, "algo=gpo", f"objective={objective}") == pytest.approx(value)
    offset = weighted_mean(rows, lambda w, v: softplus(math.log(w.score - v.score)))
    assert trained(rows, "algo=odpo") == pytest.approx(offset)
    longer = weighted_mean(rows, lambda w, v: softplus(-0.01 * (w.length - v.length)))
    assert trained(rows, "algo=r_dpo") == pytest.approx(longer)
