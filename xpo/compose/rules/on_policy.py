"""Rules about samples: who draws them, who says what they are worth, and what makes a gradient of it."""

from __future__ import annotations

from xpo.compose.composition import Composition
from xpo.compose.rules.reason import Reason, Rule
from xpo.written import reset


def _a_gradient_has_samples(c: Composition) -> Reason | None:
    if not c.objective.policy_gradient:
        return None
    if not c.sampling.samples or c.sampling.reads_values:
        return Reason(
            f"{c.choice('objective')} is the score function of samples as they are drawn, and "
            f"{c.choice('sampling')} gives others.",
            ("sampling", "objective"),
        )
    if c.sampling.by_policy or c.objective.truncation is not None:
        return None
    return Reason(
        f"{c.choice('sampling')} draws from another distribution than the policy, and nothing makes up for it.",
        ("sampling",),
        fix=("objective.truncation=2.0",),
    )


def _a_reference_draws(c: Composition) -> Reason | None:
    if not c.sampling.weight or c.reference.given:
        return None
    return Reason(
        f"{c.choice('sampling')} draws from the reference, and {c.choice('reference')} has none.",
        ("reference", "sampling"),
    )


def _a_server_is_kept_up_to_date(c: Composition) -> Reason | None:
    if not c.sampling.samples or c.sampling.server is None:
        return None
    if c.sampling.weight:
        return Reason(
            f"{c.choice('sampling')} mixes the policy with its reference token by token, and sampling.server "
            "draws from one model.",
            ("sampling",),
            fix=("sampling.server=null",),
        )
    if c.schedule.refreshes and c.sampling.server_folder is None:
        return Reason(
            f"{c.choice('schedule')} samples from the policy as it has become, and sampling.server keeps the "
            "weights that it began with.",
            ("schedule",),
            fix=("sampling.server_folder=FOLDER_THAT_THE_SERVER_READS",),
        )
    return None


def _samples_are_renewed(c: Composition) -> Reason | None:
    if c.schedule.online and not c.sampling.samples:
        return Reason(
            f"{c.choice('schedule')} renews samples, and {c.choice('sampling')} draws none.",
            ("schedule", "sampling"),
        )
    if c.schedule.online == c.objective.policy_gradient or not c.sampling.samples:
        return None
    if c.objective.policy_gradient:
        return Reason(
            f"{c.choice('objective')} needs samples of the policy as it stands, and {c.choice('schedule')} does "
            "not renew them with every rollout.",
            ("schedule", "objective"),
        )
    return Reason(
        f"{c.choice('schedule')} samples for a policy gradient, and {c.choice('objective')} is a loss of given "
        "rows, which schedule=iterative renews in rounds.",
        ("schedule", "objective"),
    )


def _samples_have_texts(c: Composition) -> Reason | None:
    """Parts of responses, and demonstrations beside them, are of data that are given."""
    if not c.sampling.samples:
        return None
    wrong = {
        "feedback": c.feedback.contrasts,
        "reward_level": c.reward_level.of_parts and not c.objective.policy_gradient,
        "reward": c.reward.trains_head,
    }
    for group, so in wrong.items():
        if so:
            return Reason(
                f"{c.choice(group)} is about responses that are given with what was said of their parts, and "
                f"{c.choice('sampling')} draws new ones.",
                (group, "sampling"),
            )
    return None


def _prices_are_read(c: Composition) -> Reason | None:
    if not c.sampling.samples or not c.sampling.missing_eos or "scores" in c.annotator.gives:
        return None
    return Reason(
        f"sampling.missing_eos={c.sampling.missing_eos:g} lowers scores, and {c.choice('annotator')} gives "
        f"{', '.join(sorted(c.annotator.gives))}.",
        ("annotator",),
        fix=("sampling.missing_eos=0.0",),
    )


def _parts_are_set(c: Composition) -> Reason | None:
    """What a policy gradient is made of, and nothing of it elsewhere."""
    wanted = c.objective.policy_gradient
    for group in ("advantage", "policy_loss"):
        if c.components()[group].applies != wanted:
            why = "needs one to be chosen" if wanted else "is no policy gradient, so it would not be read"
            return Reason(f"{c.choice(group)}: {c.choice('objective')} {why}.", (group, "objective"))
    if wanted:
        return None
    for group in ("penalty", "constraint"):
        if c.components()[group].applies:
            return Reason(
                f"{c.choice(group)} acts on a policy gradient, and {c.choice('objective')} is none.",
                (group, "objective"),
            )
    return None


def _reward_is_a_scorers(c: Composition) -> Reason | None:
    if c.reward.relabels:
        return None
    return Reason(
        f"{c.choice('objective')} reinforces what somebody says of samples, and {c.choice('reward')} is none "
        "of that.",
        ("reward", "objective"),
    )


def _somebody_scores(c: Composition) -> Reason | None:
    """The annotator says what the feedback takes."""
    if not c.feedback.on_policy:
        return Reason(
            f"{c.choice('feedback')} says nothing of what a sample is worth.", ("feedback", "objective")
        )
    if not c.reward_form.reads:
        return Reason(
            f"{c.choice('reward_form')} is for objectives without a reward.", ("reward_form", "objective")
        )
    of_pairs = c.reward_form.reads == "wins"
    wanted = {c.reward_form.reads} if of_pairs else {c.feedback.on_policy}
    lacking = sorted(wanted - c.annotator.gives)
    if lacking:
        return Reason(
            f"{c.choice('feedback')} with {c.choice('reward_form')} takes {' and '.join(lacking)}, and "
            f"{c.choice('annotator')} gives {', '.join(sorted(c.annotator.gives))}.",
            ("annotator", "feedback", "reward_form"),
        )
    own = "margins" in c.annotator.gives and "labels" in c.annotator.needs
    if own:
        return Reason(
            f"{c.choice('annotator')} has the data's own labels, or asks a person, and samples are new each "
            "step: let a model, a rule or a judge say what they are worth.",
            ("annotator", "sampling"),
        )
    return None


def _rows_hold_the_samples(c: Composition) -> Reason | None:
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
        c.advantage.several or c.reward_form.reads == "wins" or c.feedback.on_policy == "comparisons"
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
    if all(there.values()) or not any(there.values()):
        return None
    lacking = next(group for group, so in there.items() if not so)
    given = next(group for group, so in there.items() if so)
    return Reason(
        f"{c.choice(given)} has no effect with {c.choice(lacking)}: what holds a policy near its reference is a "
        "divergence, a reference, and a penalty that says where it acts.",
        (lacking, given),
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
        )
    if c.critic.fits_returns and c.critic.costs != c.constraint.applies:
        value = str(c.constraint.applies).lower()
        return Reason(
            f"{c.choice('constraint')} with critic.costs={str(c.critic.costs).lower()}: a critic of costs is there "
            "where costs are limited.",
            ("critic",),
            fix=(f"critic.costs={value}",),
        )
    return None


def _reuse_has_ratios(c: Composition) -> Reason | None:
    steps = c.schedule.epochs * c.schedule.minibatches
    if c.policy_loss.reads_ratio or steps == 1:
        if c.objective.stop_kl is not None and steps == 1:
            return Reason(
                f"objective.stop_kl={c.objective.stop_kl} leaves a rollout early, and each is trained on once.",
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


def _rewards_have_a_place(c: Composition) -> Reason | None:
    level = c.reward_level
    if not level.gives_reward or level.per_token:
        return Reason(
            f"{c.choice('objective')} puts rewards where responses or their parts end, and "
            f"{c.choice('reward_level')} says nothing of that.",
            ("reward_level", "objective"),
        )
    if level.of_parts and not c.annotator.judges_parts:
        return Reason(
            f"{c.choice('reward_level')} puts rewards where parts of responses end, and {c.choice('annotator')} "
            "judges whole ones.",
            ("reward_level", "annotator"),
            fix=("annotator=weighted",),
        )
    unread = tuple(reset("reward_level", level))  # they say which labels of given parts are good
    if level.of_parts and unread:
        return Reason(
            f"{c.choice('reward_level')}, as it is set, is about labels of parts that are given.",
            ("reward_level",),
            unread,
        )
    return None


RULES: tuple[Rule, ...] = (
    _reward_is_a_scorers,
    _somebody_scores,
    _rows_hold_the_samples,
    _penalty_has_a_divergence,
    _estimator_fits,
    _length_is_read,
    _critic_is_read,
    _costs_are_known,
    _reuse_has_ratios,
    _the_rest_is_idle,
    _rewards_have_a_place,
)
"""Of a policy gradient."""

FIRST: tuple[Rule, ...] = (
    _a_gradient_has_samples,
    _a_reference_draws,
    _a_server_is_kept_up_to_date,
    _samples_are_renewed,
    _samples_have_texts,
    _prices_are_read,
    _parts_are_set,
)
"""Of every composition."""
