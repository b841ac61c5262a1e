"""In a tiny world every claim about given responses holds, and with its mutant its check fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.claims.broken import OF_GIVEN, check
from xpo.claims.claim import Claim


@pytest.mark.parametrize("claim", OF_GIVEN, ids=lambda claim: claim.name)
def test_claim_holds_and_its_mutant_is_caught(
    claim: Claim, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(claim, tmp_path, tmp_path_factory.getbasetemp() / "cache", monkeypatch)
