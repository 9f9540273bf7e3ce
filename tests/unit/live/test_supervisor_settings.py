"""What the supervisor tells its processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from crews.cli.market_options import fault_schedule
from crews.config_loader import load_config
from crews.live.options import LiveOptions
from crews.live.supervisor import Supervisor


@pytest.mark.parametrize(
    ("generator", "listed"),
    [("", ("BTCUSDT", "ETHUSDT", "SOLUSDT")), ("  symbols: [BTCUSDT, ETHUSDT]\n", None)],
)
def test_the_generated_market_has_its_own_pairs_or_those_that_are_watched(
    tmp_path: Path, generator: str, listed: tuple[str, ...] | None
) -> None:
    path = tmp_path / "config.yaml"
    section = f"market_generator:\n{generator}" if generator else ""
    path.write_text(f"market:\n  symbols: [BTCUSDT, ETHUSDT, SOLUSDT]\n{section}")
    settings = Supervisor(load_config(path), LiveOptions()).exchange_settings()
    assert settings.generator.symbols == (listed or ("BTCUSDT", "ETHUSDT"))


def test_the_exchange_has_the_bad_day_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("market:\n  symbols: [BTCUSDT, ETHUSDT]\n")
    loaded = load_config(path)
    day = fault_schedule("7")
    assert Supervisor(loaded, LiveOptions(faults=day)).exchange_settings().faults == day
    assert Supervisor(loaded, LiveOptions()).exchange_settings().faults is None
