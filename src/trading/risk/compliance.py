"""Compliance rules as plain checks: hours, restricted periods, the day's count and volume."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from trading.clock import utc
from trading.errors import RiskLimitError
from trading.risk.compliance_config import ComplianceConfig, TradingHours, Weekday
from trading.risk.sizing import percent

WEEKDAYS = tuple(Weekday)  # as datetime.weekday() counts them


@dataclass(frozen=True, slots=True)
class DayActivity:
    """What was entered since midnight UTC: how often, and for how much of the quote asset."""

    entries: int
    notional: Decimal


def check_compliance(
    config: ComplianceConfig,
    symbol: str,
    notional: Decimal,
    *,
    now_ms: int,
    day: DayActivity,
    day_start_equity: Decimal,
) -> None:
    """Pass, or raise.

    Raises:
        RiskLimitError: names the first rule that refuses, its limit and the value.
    """
    _check_time(config, symbol, utc(now_ms))
    if day.entries >= config.max_daily_trades:
        raise RiskLimitError(
            "max_daily_trades", limit=str(config.max_daily_trades), value=str(day.entries + 1)
        )
    most = day_start_equity * percent(config.max_daily_volume_pct)
    volume = day.notional + notional
    if volume > most:
        raise RiskLimitError("max_daily_volume_pct", limit=f"{most:.2f}", value=f"{volume:.2f}")


def _check_time(config: ComplianceConfig, symbol: str, now: datetime) -> None:
    clock = f"{now:%a %H:%M} UTC"
    if config.trading_hours and not any(_is_within(one, now) for one in config.trading_hours):
        limit = ", ".join(_hours_text(one) for one in config.trading_hours)
        raise RiskLimitError("trading_hours", limit=limit, value=clock)
    for period in config.restricted_periods:
        concerned = not period.symbols or symbol in period.symbols
        if concerned and period.start <= now < period.end:
            raise RiskLimitError(
                "restricted_period",
                limit=f"none until {utc(_ms(period.end)):%Y-%m-%d %H:%M} UTC",
                value=f"{now:%Y-%m-%d %H:%M} UTC",
                message=period.reason,
            )


def _is_within(hours: TradingHours, now: datetime) -> bool:
    """Whether ``now`` is in a window that began today or yesterday."""
    for days_ago in (0, 1):
        began_on = now - timedelta(days=days_ago)
        if WEEKDAYS[began_on.weekday()] not in hours.days:
            continue
        start = _at(began_on, hours.start)
        end = _at(began_on, hours.end)
        if end <= start:
            end += timedelta(days=1)
        if start <= now < end:
            return True
    return False


def _at(day: datetime, time: str) -> datetime:
    hour, minute = time.split(":")
    return day.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)


def _hours_text(hours: TradingHours) -> str:
    days = "daily" if len(set(hours.days)) == len(WEEKDAYS) else "/".join(hours.days)
    return f"{days} {hours.start}–{hours.end} UTC"


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)
