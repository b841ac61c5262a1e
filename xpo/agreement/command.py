"""``xpo agreement``: an annotator's labels against those that the rows bring along."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from xpo.compose.errors import ConfigError

USAGE = """usage: xpo agreement annotator=<option> data=jsonl data.path=<file> [overrides ...]
                     [split=test|train|all] [out=<folder>]

Labels rows with the annotator, in the order of the file and with all responses reversed, and compares with
the rows' own labels, which the annotator does not see: accuracy, Cohen's kappa, position bias, length bias,
calibration; of single responses also the area under the curve of scores, or their rank correlation with the
rows' own. With out= also agreement.json and agreement.html."""

SPLITS = ("test", "train", "all")


def main(arguments: list[str]) -> int:
    """Compare and report. Raises ``ConfigError`` for annotators and data that cannot be compared."""
    if {"-h", "--help"} & set(arguments):
        print(USAGE)
        return 0
    out, arguments = _taken(arguments, "out", "")
    split, overrides = _taken(arguments, "split", "test")
    if split not in SPLITS:
        raise ConfigError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")

    from xpo.agreement.page import write_page
    from xpo.compose import compose_config
    from xpo.compose.composition import instantiate
    from xpo.compose.unread import check_read
    from xpo.run.files import output_folder, write_json
    from xpo.run.quiet import quiet_libraries
    from xpo.run.say import shown
    from xpo.run.table import is_terminal

    composition = instantiate(compose_config(overrides))
    model = {"model"} if composition.annotator.needs_policy else set()
    check_read(overrides, {"annotator", "cache", "data", "seed"} | model, "xpo agreement")
    _check(composition)
    quiet_libraries()
    found = agreement(composition, split)
    print(found.table(is_terminal()))
    if out:
        folder = output_folder(Path(out).expanduser(), "out")
        write_json(folder / "agreement.json", found.as_json())
        print(f"written: {shown(write_page(folder / 'agreement.html', found))}")
    return 0


def _check(c: Any) -> None:
    if "labels" not in c.data.provides:
        raise ConfigError(
            f"xpo agreement compares with the rows' own labels, and {c.choice('data')} has none: data=jsonl "
            "data.path=<file>"
        )
    if "labels" in c.annotator.needs:
        raise ConfigError(
            f"{c.choice('annotator')} makes its labels of the rows' own, so it would be compared with "
            "itself: choose another with annotator=<option> (xpo list annotator)"
        )
    lacking = sorted(c.annotator.needs - c.data.provides)
    if lacking:
        raise ConfigError(
            f"{c.choice('annotator')} needs {' and '.join(lacking)}, which {c.choice('data')} lacks"
        )


def agreement(c: Any, split: str) -> Any:
    """The report (``xpo.agreement.report.Report``) of a composition's annotator on a split of its data."""
    from xpo.agreement.pairs import compare
    from xpo.agreement.report import report
    from xpo.annotator.base import Desk, Labeller
    from xpo.data.counts import Counts
    from xpo.data.label import spoken

    splits = c.data.read()
    rows = {"test": splits.test, "train": splits.train, "all": [*splits.train, *splits.test]}[split]
    if not rows:
        raise ConfigError(f"there are no rows of split={split}: give data.test_fraction, or split=all")
    desk = Desk.of(c)
    if c.annotator.needs_policy:
        desk = dataclasses.replace(desk, policy=_policy(c, splits))
    counts = Counts()
    chance = c.annotator.chance() if isinstance(c.annotator, Labeller) else None
    compared = compare(spoken(rows, counts), lambda records: c.annotator(records, desk), chance)
    compared = dataclasses.replace(compared, left_out={**counts.dropped, **compared.left_out})
    about = {"annotator": c.config["annotator"], "data": c.config["data"]["path"], "split": split}
    return report(compared, {**about, "rows": len(rows)})


def _policy(c: Any, splits: Any) -> Any:
    """The composition's model, as a run would begin with it."""
    from xpo.data.build import texts
    from xpo.scoring.path import choose_path
    from xpo.scoring.score import Scoring
    from xpo.stages.source import Policy

    def all_texts() -> Iterable[str]:
        return texts(splits)

    loaded = c.model.load(seed=c.seed, texts=all_texts, tokenizer=None)
    scoring = Scoring(path=choose_path(loaded.model)[0], support=None)
    return Policy(loaded.model, loaded.tokenizer, scoring, trained=not loaded.untrained)


def _taken(arguments: list[str], key: str, default: str) -> tuple[str, list[str]]:
    """The value of ``key=...`` among the arguments, and the others."""
    own = [argument for argument in arguments if argument.startswith(f"{key}=")]
    value = own[-1].partition("=")[2] if own else default
    return value, [argument for argument in arguments if argument not in own]
