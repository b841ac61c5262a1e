"""How far a policy is from the Nash policies of a game, exactly.

X prompts, N responses (or classes of them). ``win_XNN`` is P(i beats j), 1 in sum with its transpose;
policies are log-probabilities, which may be minus infinity. P(y > pi) is the mean of P(y beats y') over y' of
pi. All numbers are averaged over prompts, in float64.
"""

from __future__ import annotations

import torch
from torch import Tensor

_EXACT, _STEPS, _HALVINGS, _SLOWER = 1e-10, 100, 20, 0.6


def beats(win_XNN: Tensor, logp_XN: Tensor) -> Tensor:
    """P(i > pi) of every response: XN."""
    return (win_XNN @ logp_XN.double().exp()[:, :, None]).squeeze(-1)


def exploitability(win_XNN: Tensor, logp_XN: Tensor) -> float:
    """max_y P(y > pi) - 1/2: what the best answer to the policy wins beyond a draw; 0 for a Nash policy."""
    return float((beats(win_XNN, logp_XN).amax(1) - 0.5).mean())


def duality_gap(win_XNN: Tensor, logp_XN: Tensor, other_logp_XN: Tensor | None = None) -> float:
    """max_y P(y > other) - min_y P(pi > y): what both players together could win by changing alone.

    Of two policies that play against each other, 0 where they are in equilibrium. ``other`` is the policy
    itself unless given: then, as the game is symmetric, it is twice the exploitability.
    """
    best_X = beats(win_XNN, logp_XN if other_logp_XN is None else other_logp_XN).amax(1)
    worst_X = (1 - beats(win_XNN, logp_XN)).amin(1)  # P(pi > y)
    return float((best_X - worst_X).mean())


def regularised_gap(win_XNN: Tensor, logp_XN: Tensor, ref_logp_XN: Tensor, tau: float) -> float:
    """max over q of [P(q > pi) - 1/2 - tau KL(q || ref) + tau KL(pi || ref)].

    0 at ``regularised_nash`` alone: the exploitability in the regularised game of Munos et al. 2023, arXiv
    2312.00886, section 5. The maximum is at q = ref exp(P(y > pi) / tau) / Z, where its first and third terms
    are tau log Z.
    """
    ref_logp_XN = ref_logp_XN.double()
    log_z_X = torch.logsumexp(ref_logp_XN + beats(win_XNN, logp_XN) / tau, 1)
    return float((tau * log_z_X - 0.5 + tau * relative_entropy(logp_XN, ref_logp_XN)).mean())


def relative_entropy(logp_XN: Tensor, other_logp_XN: Tensor) -> Tensor:
    """KL(pi || other) of each prompt: X. What pi never says counts nothing."""
    p_XN = logp_XN.double().exp()
    apart_XN = torch.where(p_XN > 0, logp_XN.double() - other_logp_XN.double(), 0.0)
    return (p_XN * apart_XN).sum(1)


def regularised_nash(win_XNN: Tensor, ref_logp_XN: Tensor, tau: float) -> Tensor:
    """log pi with pi = ref exp(P(y > pi) / tau) / Z: the only Nash policy of the regularised game, float64.

    By Newton's method with halved steps; tau comes down from 1, each solution being the start of the next.
    Raises ``ValueError`` for a tau that is not above 0, and for one so small that float64 does not tell.
    """
    if not 0 < tau < float("inf"):
        raise ValueError(f"tau must be above 0 and finite, got {tau}")
    skew_XNN, ref_logp_XN = win_XNN.double() - 0.5, ref_logp_XN.double()
    logp_XN, now = ref_logp_XN, max(tau, 1.0)
    while now > tau:
        logp_XN = _solved(skew_XNN / now, ref_logp_XN, logp_XN)
        now = max(tau, now * _SLOWER)
    return _solved(skew_XNN / tau, ref_logp_XN, logp_XN)


def _solved(skew_XNN: Tensor, ref_logp_XN: Tensor, logp_XN: Tensor) -> Tensor:
    for _ in range(_STEPS):
        rest_XN = _rest(skew_XNN, ref_logp_XN, logp_XN)
        if float(rest_XN.abs().max()) < _EXACT:
            return logp_XN
        step_XN, length_X1 = _step(skew_XNN, logp_XN, rest_XN), torch.ones(len(rest_XN), 1).double()
        for _ in range(_HALVINGS):
            moved_XN = torch.log_softmax(logp_XN + length_X1 * step_XN, 1)
            longer_X = _rest(skew_XNN, ref_logp_XN, moved_XN).norm(dim=1) > rest_XN.norm(dim=1)
            length_X1 = torch.where(longer_X[:, None], length_X1 / 2, length_X1)
        logp_XN = moved_XN
    raise ValueError(f"the regularised Nash policy is off by {float(rest_XN.abs().max()):.1e}: raise tau")


def _rest(skew_XNN: Tensor, ref_logp_XN: Tensor, logp_XN: Tensor) -> Tensor:
    """log pi less what it has to be; ``skew_XNN`` is (P - 1/2) / tau."""
    return logp_XN - torch.log_softmax(ref_logp_XN + beats(skew_XNN, logp_XN), 1)


def _step(skew_XNN: Tensor, logp_XN: Tensor, rest_XN: Tensor) -> Tensor:
    """Newton's, for policies that sum to 1.

    The matrix is the identity less one that is similar to a skew-symmetric one: it is never singular.
    """
    p_XN = logp_XN.exp()
    matrix_XNN = torch.eye(p_XN.shape[1], dtype=torch.float64) - skew_XNN * p_XN[:, None, :]
    sides_XN2 = torch.stack([-rest_XN, torch.ones_like(rest_XN)], -1)
    own_XN, level_XN = torch.linalg.solve(matrix_XNN, sides_XN2).unbind(-1)
    share_X1 = (p_XN * own_XN).sum(1, keepdim=True) / (p_XN * level_XN).sum(1, keepdim=True)
    return own_XN - share_X1 * level_XN
