"""``reconciliations`` over a store that real comparisons have written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from drift import Drift

from crews.cli.app import run


async def test_comparisons_are_listed_newest_first_with_what_differed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Drift(tmp_path / "run") as path:
        await path.trade()
        path.credit("SOL", -5)
        await path.compare_at_most(2)
        store = path.storage.path
    config = tmp_path / "config.yaml"
    config.write_text(f"storage:\n  path: {store}\napi:\n  runtime_directory: {tmp_path}\n")
    assert run(["--config", str(config), "reconciliations", "--differing", "--json"]) == 0
    latest, *_ = json.loads(capsys.readouterr().out)["reconciliations"]
    assert latest["outcome"] == "latched"
    assert "SOL -5" in latest["problem"]
    differences = {asset["asset"]: float(asset["difference"]) for asset in latest["assets"]}
    assert differences["SOL"] == -5
    assert run(["--config", str(config), "reconciliations"]) == 0
    assert "latched" in capsys.readouterr().out
