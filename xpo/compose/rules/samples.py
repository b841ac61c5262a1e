"""Rules about samples: who draws them and when, and what needs them."""

from __future__ import annotations

from xpo.compose.composition import Composition
from xpo.compose.rules.reason import Reason, Rule
from xpo.compose.rules.society import labels


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
        f"{c.choice('sampling')} draws from another distribution than the policy, and nothing makes up for "
        "it.",
        ("sampling",),
        fix=("objective.truncation=2.0",),
    )


def _a_reference_draws(c: Composition) -> Reason | None:
    if not (c.sampling.weight or c.sampling.mix) or c.reference.given:
        return None
    return Reason(
        f"{c.choice('sampling')} draws from the reference, and {c.choice('reference')} has none.",
        ("reference", "sampling"),
    )


def _a_server_is_kept_up_to_date(c: Composition) -> Reason | None:
    if not c.sampling.samples or c.sampling.server is None:
        return None
    if c.sampling.weight or c.sampling.rivals:
        return Reason(
            f"{c.choice('sampling')} draws from the policy and from others, and sampling.server "
            "draws from one model.",
            ("sampling",),
            fix=("sampling.server=null", "sampling.server_folder=null"),
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
    if c.schedule.online or not c.objective.policy_gradient or not c.sampling.samples:
        return None
    return Reason(
        f"{c.choice('objective')} needs samples of the policy as it stands, and {c.choice('schedule')} "
        "does not renew them with every rollout.",
        ("schedule", "objective"),
    )


def _samples_have_texts(c: Composition) -> Reason | None:
    """Parts of responses, and demonstrations beside them, are of data that are given."""
    if not c.sampling.samples:
        return None
    wrong = {
        "reward_level": c.reward_level.of_parts and not c.objective.policy_gradient,
    }
    for group, so in wrong.items():
        if so:
            return Reason(
                f"{c.choice(group)} is about responses that are given with what was said of their parts, and "
                f"{c.choice('sampling')} draws new ones.",
                (group, "sampling"),
            )
    return None


def _somebody_judges_new_ones(c: Composition) -> Reason | None:
    if not c.sampling.samples or "labels" not in c.annotator.needs or c.feedback.contrasts:
        return None
    return Reason(
        f"{c.choice('annotator')} has the data's own labels, or asks a person, and {c.choice('sampling')} "
        f"draws others: samples are new, and {c.choice('feedback')} is about what a model, a rule or a judge "
        "says they are worth.",
        ("annotator", "sampling"),
    )


def _several_are_judged_together(c: Composition) -> Reason | None:
    if not c.sampling.samples or not c.annotator.compares or together(c) > 1:
        return None
    return Reason(
        f"{c.choice('annotator')} compares a prompt's responses, and "
        f"sampling.responses={c.sampling.responses}.",
        ("annotator",),
        fix=("sampling.responses=4", "arity=list"),
    )


def _what_is_kept_is_compared(c: Composition) -> Reason | None:
    if not c.sampling.samples or c.objective.policy_gradient or c.sampling.kept + together(c, 0) > 1:
        return None
    compared = {
        "objective": "comparisons" in c.objective.needs,
        "feedback": c.feedback.labels_from_pairs,
    }
    for group, so in compared.items():
        if so:
            return Reason(
                f"{c.choice(group)} is about a prompt's responses beside each other, and "
                f"{c.choice('sampling')} keeps one of each: at least 2 are needed.",
                (group, "sampling"),
                fix=("sampling.keep=4",) if c.sampling.reads_values else ("sampling.responses=4",),
            )
    return None


def together(c: Composition, own: int | None = None) -> int:
    """How many responses of a prompt are judged, of the policy (``own`` of them) and of others."""
    own = c.sampling.responses if own is None else own
    return own + c.sampling.rivals + (c.sampling.given != "none")


def _prices_are_read(c: Composition) -> Reason | None:
    """Win probabilities are as the annotator says them, whether a response ends or not."""
    if not c.sampling.samples or not c.sampling.missing_eos:
        return None
    groups = {
        "annotator": "scores" not in labels(c),
        "reward_form": c.reward_form.reads == "wins",
        "feedback": c.feedback.soft_masses,
    }
    group = next((group for group, so in groups.items() if so), None)
    if group is None:
        return None
    return Reason(
        f"sampling.missing_eos={c.sampling.missing_eos:g} lowers scores, and {c.choice(group)} takes or "
        "gives something else.",
        (group,),
        fix=("sampling.missing_eos=0.0",),
    )


def _rollouts_are_filled_up(c: Composition) -> Reason | None:
    if not c.sampling.resample or (c.schedule.online and not c.feedback.contrasts):
        return None
    why = f"{c.choice('schedule')} has no rollouts"
    if c.schedule.online:
        why = f"{c.choice('feedback')} asks nobody whether they are"
    return Reason(
        f"sampling.resample={c.sampling.resample} fills a rollout up where a prompt's samples are alike, and "
        f"{why}.",
        ("sampling", "schedule"),
        fix=("sampling.resample=0",),
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


RULES: tuple[Rule, ...] = (
    _a_gradient_has_samples,
    _a_reference_draws,
    _a_server_is_kept_up_to_date,
    _samples_are_renewed,
    _samples_have_texts,
    _somebody_judges_new_ones,
    _several_are_judged_together,
    _what_is_kept_is_compared,
    _prices_are_read,
    _rollouts_are_filled_up,
    _parts_are_set,
)
"""Of every composition."""
