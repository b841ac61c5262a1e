"""The smallest runs of a society: a dozen prompts, a tiny model, texts of a few words."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from tests.judge.server import Action, Server, answer
from tests.on_policy.files import RULE, prompts
from tests.society.hand import TEXTS
from tests.stages.tiny import ROOT, SIZES, command, environment

OBSERVED = ("sampling.scores=observer", "sampling.max_critique_tokens=3")
"""Random weights give no ratings that anybody could read."""


def talking(folder: Path, *more: str) -> list[str]:
    """Overrides of what talks: its prompts, model, texts and sizes."""
    (folder / "texts.yaml").write_text(TEXTS)
    sizes = [one for one in SIZES if one.startswith(("data", "model")) and "model.max_length" not in one]
    return [
        *("algo=sandbox", *sizes, "model.max_length=160", f"data.path={prompts(folder, 8)}", *RULE),
        *("sampling.agents=4", "sampling.peers=2", "sampling.max_new_tokens=4", "sampling.similarity=-1.0"),
        *(f"sampling.template={folder / 'texts.yaml'}", *more),
    ]


def training(folder: Path, out: Path, *more: str) -> list[str]:
    """Of a whole run in two rounds."""
    sizes = [one for one in SIZES if not one.startswith(("data", "model"))]
    steps = ("trainer.steps=4", "trainer.threads=1", "sft.weight=0.5")
    return [*talking(folder, f"cache={out}-cache", *more), *sizes, *steps]


def served(server: Server) -> list[str]:
    """Peers that a server speaks for."""
    return [f"sampling.peer_model={{url: '{server.url}', model: m, concurrency: 1, retries: 0}}"]


def rates(body: dict[str, Any], number: int) -> Action:
    """By what is asked alone."""
    digest = hashlib.sha256(body["messages"][0]["content"].encode()).digest()
    return answer(f"Rating: {digest[0] % 7 + 1} ### Reason: r{digest[1] % 10}")


def killed_at(server: Server, number: int, out: Path, *overrides: str) -> None:
    """The real command, sent SIGKILL when the server hears its request of that number, before it answers."""

    def script(body: dict[str, Any], at: int) -> Action:
        if at == number:
            os.kill(process.pid, signal.SIGKILL)
            process.wait(60)
        return rates(body, at)

    server.script = script
    arguments = command(*overrides, f"hydra.run.dir={out}")
    process = subprocess.Popen(arguments, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL)
    assert process.wait(240) == -signal.SIGKILL
    server.script = rates
