"""Rules about what makes a policy gradient of what samples are worth."""

from __future__ import annotations

from xpo.compose.composition import Composition
from xpo.compose.rules.reason import Reason, Rule


def _rows_hold_the_samples(c: Composition) -> Reason | None:
    if not c.sampling.samples:
        return None
    low, high = c.arity.sizes
    size = c.sampling.responses
    if size < low or (high is not None and size > high):
        wanted = low if size < low else high
        return Reason(
            f"sampling.responses={size} of a prompt stand in one row, and {c.choice('arity')} holds "
            f"{low if low == high else f'{low} or more'}.",
            ("arity",),
            fix=() if wanted is None else (f"sampling.responses={wanted}",),
        )
    if size < 2 and (
        c.advantage.several
        or (c.reward_form.reads == "wins" and not c.sampling.rivals)
        or c.feedback.on_policy == "comparisons"
    ):
        group = (
            "advantage"
            if c.advantage.several
            else "reward_form"
            if c.reward_form.reads == "wins"
            else "feedback"
        )
        return Reason(
            f"{c.choice(group)} compares a prompt's samples, and sampling.responses={size}.",
            (group,),
            fix=("sampling.responses=4", "arity=list"),
        )
    return None


def _penalty_has_a_divergence(c: Composition) -> Reason | None:
    """The three of them are there together, or none is."""
    there = {
        "divergence": c.divergence.regularises,
        "penalty": c.penalty.applies,
        "reference": c.reference.given,
    }
    draws = bool(c.sampling.weight or c.sampling.mix) and c.reference.given
    if draws and not there["divergence"] and not there["penalty"]:
        return None  # the reference draws
    if all(there.values()) or not any(there.values()):
        return None
    lacking = next(group for group, so in there.items() if not so)
    given = next(group for group, so in there.items() if so)
    idle = [group for group in there if not (group == "reference" and draws)]
    return Reason(
        f"{c.choice(given)} has no effect with {c.choice(lacking)}: what holds a policy near its reference "
        "is a divergence, a reference, and a penalty that says where it acts.",
        (lacking, given),
        fix=tuple(f"{group}=none" for group in idle),  # what was left out stays so
    )


def _estimator_fits(c: Composition) -> Reason | None:
    if not c.penalty.applies:
        return None
    if c.penalty.linear_only and not c.divergence.linear:
        return Reason(
            f"{c.choice('penalty')} with its estimator is about reverse KL, and {c.choice('divergence')} is "
            "another divergence.",
            ("divergence", "penalty"),
            fix=("penalty.estimator=link",),
        )
    return None


def _length_is_read(c: Composition) -> Reason | None:
    if not (c.length.averages or c.length.several):
        return None
    return Reason(
        f"{c.choice('length')} pools log-ratios of given responses; of samples the price of length is "
        "length=penalty, and reduce says how their tokens count.",
        ("length",),
    )


def _critic_is_read(c: Composition) -> Reason | None:
    if c.advantage.reads_value and not c.critic.fits_returns:
        return Reason(
            f"{c.choice('advantage')} reads values of tokens, and {c.choice('critic')} learns none from "
            "returns.",
            ("critic", "advantage"),
        )
    if c.critic.gives and not c.advantage.reads_value:
        return Reason(
            f"{c.choice('advantage')} reads no critic, so {c.choice('critic')} would be trained for nobody.",
            ("critic", "advantage"),
        )
    return None


def _costs_are_known(c: Composition) -> Reason | None:
    lacking = sorted(c.constraint.needs - c.annotator.gives)
    if lacking:
        return Reason(
            f"{c.choice('constraint')} limits {' and '.join(lacking)}, and {c.choice('annotator')} gives "
            f"{', '.join(sorted(c.annotator.gives))}.",
            ("annotator", "constraint"),
            # a labeller of costs asks for a model's folder; with the constraint its critic goes
            fix=("constraint=none", *(["critic.costs=false"] if c.critic.fits_returns else [])),
        )
    if c.critic.fits_returns and c.critic.costs != c.constraint.applies:
        value = str(c.constraint.applies).lower()
        return Reason(
            f"{c.choice('constraint')} with critic.costs={str(c.critic.costs).lower()}: a critic of costs is "
            "there where costs are limited.",
            ("critic",),
            fix=(f"critic.costs={value}",),
        )
    return None


def _reuse_has_ratios(c: Composition) -> Reason | None:
    if not c.schedule.online:
        return None
    steps = c.schedule.epochs * c.schedule.minibatches
    if c.policy_loss.reads_ratio or steps == 1:
        if c.objective.stop_kl is not None and steps == 1:
            return Reason(
                f"objective.stop_kl={c.objective.stop_kl} leaves a rollout early, and each is trained on "
                "once.",
                ("objective",),
                fix=("objective.stop_kl=null",),
            )
        return None
    return Reason(
        f"{c.choice('schedule')} trains {steps} steps on each rollout, the later ones on samples of an older "
        f"policy, and {c.choice('policy_loss')} has no ratio that makes up for it.",
        ("policy_loss", "schedule"),
        fix=("schedule.epochs=1", "schedule.minibatches=1"),
    )


def _the_rest_is_idle(c: Composition) -> Reason | None:
    """Groups that a policy gradient does not read."""
    idle = {
        "label_noise": c.label_noise.applies,
        "margin": c.margin.applies,
        "weighting": c.weighting.applies,
        "anchor": c.anchor.applies,
        "sft": c.sft.parallel,
    }
    for group, so in idle.items():
        if so:
            return Reason(
                f"{c.choice(group)} is about given rows, and {c.choice('objective')} reinforces samples.",
                (group, "objective"),
            )
    return None


RULES: tuple[Rule, ...] = (
    _rows_hold_the_samples,
    _penalty_has_a_divergence,
    _estimator_fits,
    _length_is_read,
    _critic_is_read,
    _costs_are_known,
    _reuse_has_ratios,
    _the_rest_is_idle,
)
"""Of a policy gradient."""
