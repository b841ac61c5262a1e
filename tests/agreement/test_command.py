"""``xpo agreement`` from the command line, its files, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

import pytest

from tests.stages.tiny import SIZES
from xpo.agreement.command import agreement, main
from xpo.agreement.measures import Bin
from xpo.agreement.page import curve, write_page
from xpo.agreement.pairs import Compared, Pair
from xpo.agreement.report import report
from xpo.annotator.base import Desk
from xpo.annotator.rule import RuleAnnotator
from xpo.compose import compose_config
from xpo.compose.composition import instantiate
from xpo.compose.errors import ConfigError
from xpo.data.record import Record
from xpo.verbs import dispatch

RULE = ["annotator=rule", "annotator.rules=[{name: length}]", "data=jsonl"]


@pytest.fixture
def data(tmp_path: Path) -> str:
    """The longer response is better in 3 of 4 prompts; one row has no label."""
    rows = [
        {"prompt": f"p{i}", "completions": ["a b c", "a"], "scores": [1, 0] if i % 4 else [0, 1]}
        for i in range(40)
    ]
    rows.append({"prompt": "none", "completions": ["a", "b"]})
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return f"data.path={path}"


def test_a_report(data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "found"
    cache = f"cache={tmp_path / 'cache'}"
    assert dispatch("agreement", [*RULE, data, cache, "split=all", f"out={out}"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^accuracy +75.0 % +\d\d", printed, re.M) and "40 pairs, 40 prompts" in printed
    assert (
        re.search(r"^Cohen's kappa +0.500", printed, re.M) and "left out: 1 rows without a label" in printed
    )
    found = json.loads((out / "agreement.json").read_text())
    assert found["accuracy"]["value"] == 0.75 and found["accuracy"]["low"] < 0.75 < found["accuracy"]["high"]
    assert found["consistency"]["value"] == 1 and found["position_bias"]["value"] == 0
    assert (found["longer_wins"]["value"], found["longer_wins_label"]["value"]) == (1, 0.75)
    assert found["length_bias"]["value"] == 0.25 and found["calibration"] is None
    assert found["annotator"]["name"] == "rule" and found["rows"] == 41
    assert "no calibration curve" in (out / "agreement.html").read_text()


def test_the_held_out_rows_are_the_default(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([*RULE, data, f"cache={tmp_path / 'cache'}", "data.test_fraction=0.25"])
    assert re.search(r"labels of (9|10) pairs", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["data=gold", "annotator=gold"], "data=gold has none: data=jsonl"),
        (["data=jsonl", "annotator=human"], "annotator=human makes its labels of the rows' own"),
        (["data=jsonl", "annotator=elo"], "annotator=elo makes its labels of the rows' own"),
        (["data=jsonl", "annotator=gold"], "annotator=gold needs gold rewards, which data=jsonl lacks"),
        ([*RULE, "split=held"], "split must be one of test, train, all, got 'held'"),
        ([*RULE, "data.test_fraction=0"], "there are no rows of split=test"),
        (
            [*RULE, "trainer.steps=9"],
            "does not read trainer.steps=9: of a config it reads annotator, cache, data",
        ),
        ([*RULE, "algo=simpo"], "does not read algo=simpo"),
        ([*RULE, "model.layers=3"], "does not read model.layers=3"),
        ([*RULE, "annotator.rules=[{name: lenght}]"], "Did you mean 'length'"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_what_cannot_be_compared(data: str, arguments: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        main([*arguments, *([data] if "data=jsonl" in arguments else [])])


def test_the_page_stands_alone(tmp_path: Path) -> None:
    pairs = [Pair(i, float(i % 3 > 0), 1, 1, 1, (0.7, 0.8)) for i in range(9)]
    about = {"annotator": {"name": "x<y", "rules": [1]}, "data": "a&b", "split": "test"}
    found = report(Compared(pairs, [], {}), about)
    page = write_page(tmp_path / "agreement.html", found).read_text()
    assert "x&lt;y" in page and "a&amp;b" in page and "$" not in page
    assert not re.search(r"https?:|src=|@import|url\(|<script", page)
    assert found.as_json()["calibration"]["bins"][-1]["observed"] == pytest.approx(2 / 3)
    assert "expected calibration error" in found.table(False) and "expected calibration" in found.table(True)


def test_the_curve_is_drawn_where_it_belongs() -> None:
    svg = ElementTree.fromstring(curve([Bin(0.0, 0.1, 3.0, 0.0, 0.0), Bin(0.9, 1.0, 6.0, 1.0, 0.5)]))
    low, high = (svg.findall("circle")[i].attrib for i in (0, 1))
    frame = next(one.attrib for one in svg.findall("rect") if one.attrib["class"] == "frame")
    left, top, size = (float(frame[key]) for key in ("x", "y", "width"))
    assert (float(low["cx"]), float(low["cy"])) == (left, top + size)  # 0 at 0: the corner below left
    assert (float(high["cx"]), float(high["cy"])) == (left + size, top + size / 2)
    bars = [float(one.attrib["height"]) for one in svg.findall("rect") if one.attrib["class"] == "bar"]
    assert bars[1] == 2 * bars[0]


def test_an_annotator_that_needs_the_policy_gets_the_composed_model(data: str) -> None:
    seen: list[int] = []

    @dataclasses.dataclass(frozen=True)
    class Probing(RuleAnnotator):
        needs_policy: ClassVar[bool] = True

        def __call__(self, records: Sequence[Record], desk: Desk) -> list[Record]:
            seen.append(desk.policy.model.config.hidden_size)
            return super().__call__(records, desk)

    c = instantiate(compose_config([*RULE, data, *(size for size in SIZES if size.startswith("model."))]))
    found = agreement(dataclasses.replace(c, annotator=Probing(({"name": "length"},))), "train")
    assert seen == [16, 16] and found.about["pairs"] > 30
