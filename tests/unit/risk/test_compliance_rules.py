"""Each compliance rule at its limit and one step beyond; each rule left out is missed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from trading.clock import from_iso
from trading.errors import RiskLimitError
from trading.risk.compliance import DayActivity, check_compliance
from trading.risk.compliance_config import ComplianceConfig

QUIET = DayActivity(0, Decimal(0))
FOMC = {"start": "2026-12-09T18:30Z", "end": "2026-12-09T20:00Z", "reason": "FOMC"}
OVERNIGHT = {"days": ["fri"], "start": "22:00", "end": "06:00"}
OFFICE = {"days": ["mon", "tue"], "start": "08:00", "end": "16:30"}


def rule(
    settings: dict[str, Any],
    now: str = "2026-12-09T12:00",
    symbol: str = "BTCUSDT",
    notional: int = 100,
    day: DayActivity = QUIET,
) -> str | None:
    """What refuses an entry; None when nothing does."""
    try:
        check_compliance(
            ComplianceConfig.model_validate(settings),
            symbol,
            Decimal(notional),
            now_ms=from_iso(now),
            day=day,
            day_start_equity=Decimal(1_000),
        )
    except RiskLimitError as error:
        return error.rule if error.limit and error.value else "limit or value is not named"
    return None


@pytest.mark.parametrize(
    ("settings", "at_limit", "beyond", "name"),
    [
        (
            {"max_daily_trades": 3},
            {"day": DayActivity(2, Decimal(0))},
            {"day": DayActivity(3, Decimal(0))},
            "max_daily_trades",
        ),
        (
            {"max_daily_volume_pct": 50},
            {"day": DayActivity(1, Decimal(400))},
            {"day": DayActivity(1, Decimal("400.01"))},
            "max_daily_volume_pct",
        ),
        (
            {"trading_hours": [OFFICE]},
            {"now": "2026-12-08T16:29:59"},
            {"now": "2026-12-08T16:30"},
            "trading_hours",
        ),
        (
            {"trading_hours": [OFFICE]},
            {"now": "2026-12-07T08:00"},
            {"now": "2026-12-07T07:59:59"},
            "trading_hours",
        ),
        (
            {"trading_hours": [OFFICE]},
            {"now": "2026-12-07T12:00"},
            {"now": "2026-12-09T12:00"},
            "trading_hours",
        ),
        (
            {"trading_hours": [OVERNIGHT]},
            {"now": "2026-12-12T05:59"},
            {"now": "2026-12-12T06:00"},
            "trading_hours",
        ),
        (
            {"trading_hours": [OVERNIGHT]},
            {"now": "2026-12-11T22:00"},
            {"now": "2026-12-12T22:00"},
            "trading_hours",
        ),
        (
            {"restricted_periods": [FOMC]},
            {"now": "2026-12-09T18:29:59"},
            {"now": "2026-12-09T18:30"},
            "restricted_period",
        ),
        (
            {"restricted_periods": [FOMC]},
            {"now": "2026-12-09T20:00"},
            {"now": "2026-12-09T19:59:59"},
            "restricted_period",
        ),
        (
            {"restricted_periods": [{**FOMC, "symbols": ["BTCUSDT"]}]},
            {"now": "2026-12-09T19:00", "symbol": "ETHUSDT"},
            {"now": "2026-12-09T19:00"},
            "restricted_period",
        ),
    ],
)
def test_a_rule_passes_what_is_at_its_limit_and_refuses_the_next_step(
    settings: dict[str, Any], at_limit: dict[str, Any], beyond: dict[str, Any], name: str
) -> None:
    assert rule(settings, **at_limit) is None
    assert rule(settings, **beyond) == name
    assert rule({}, **beyond) is None, "and it is this rule that refuses"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"restricted_periods": [{**FOMC, "end": "2026-12-09T18:30Z"}]}, "not after"),
        ({"restricted_periods": [{**FOMC, "start": "2026-12-09T18:30"}]}, "timezone"),
        ({"trading_hours": [{"start": "8:00", "end": "24:00"}]}, "pattern"),
        ({"trading_hours": [{"days": ["someday"], "start": "08:00", "end": "09:00"}]}, "mon"),
        ({"approval_mode": "maybe"}, "semi-auto"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        ComplianceConfig.model_validate(settings)
