"""Two processes that ask the same judge the same questions at the same time."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.judge.server import Action, answer, serving
from tests.stages.tiny import ROOT, environment

ASK = """
import sys
from pathlib import Path
from xpo.data.record import Message
from xpo.judge.endpoint import Endpoint
from xpo.judge.http import HttpBackend
with HttpBackend(Endpoint(sys.argv[1], "m"), Path(sys.argv[2])) as backend:
    asked = [(Message("user", str(n)),) for n in range(6)]
    print(list(backend.options(asked, ("A", "B"))))
"""


def test_one_waits_for_the_other_and_pays_nothing(tmp_path: Path):
    files = [tmp_path / "one.txt", tmp_path / "other.txt"]

    def printed() -> list[str]:
        return [file.read_text() for file in files]

    def script(body: dict[str, Any], number: int) -> Action:
        end = time.monotonic() + 30
        while not any("waiting" in text for text in printed()) and time.monotonic() < end:
            time.sleep(0.02)
        return answer("A")

    def ask(url: str, file: Path) -> subprocess.Popen[bytes]:
        arguments = [sys.executable, "-c", ASK, url, str(tmp_path)]
        with file.open("w") as out:
            return subprocess.Popen(arguments, cwd=ROOT, env=environment(), stdout=out)

    with serving(script) as server:
        codes = [process.wait(60) for process in [ask(server.url, file) for file in files]]
    assert codes == [0, 0] and server.calls == 6
    assert sum("waiting for another process" in text for text in printed()) == 1
    assert all("[(1.0, 0.0), (1.0, 0.0)" in text for text in printed())
