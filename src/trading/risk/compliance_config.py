"""What an operator allows on top of the risk limits: when, how often, and with whose consent."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, model_validator

from trading.model.base import ConfigModel, SymbolName


class ApprovalMode(StrEnum):
    """Who lets an entry out that has passed every other check."""

    AUTO = "auto"
    SEMI_AUTO = "semi-auto"
    ALERT_ONLY = "alert-only"


class Weekday(StrEnum):
    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class TradingHours(ConfigModel):
    """A daily window in UTC; one that ends at or before its start goes on past midnight."""

    days: tuple[Weekday, ...] = Field(
        default=tuple(Weekday), min_length=1, description="Days on which it begins."
    )
    start: TimeOfDay = Field(description="When it begins, UTC, HH:MM.")
    end: TimeOfDay = Field(description="When it ends, UTC, HH:MM.")


class RestrictedPeriod(ConfigModel):
    """A time without entries, such as around an announcement. Exits go on."""

    start: AwareDatetime = Field(description="From then on, ISO 8601 with a zone.")
    end: AwareDatetime = Field(description="Until then.")
    reason: str = Field(min_length=1, max_length=200, description="Why; shown in refusals.")
    symbols: tuple[SymbolName, ...] = Field(default=(), description="Only these; empty: all pairs.")

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"end={_text(self.end)} is not after start={_text(self.start)}")
        return self


class ComplianceConfig(ConfigModel):
    """Rules for entries alone: exits and protective orders are never held up by any of them.

    Which pairs may be traded is risk.allowed_symbols and risk.blocked_symbols. Days begin at
    midnight UTC, in market time.
    """

    max_daily_trades: int = Field(
        default=200, ge=1, le=100_000, description="Entries sent in one day."
    )
    max_daily_volume_pct: float = Field(
        default=1_000.0,
        gt=0,
        le=1_000_000,
        description="Sum of one day's entries, in % of the equity at its start.",
    )
    trading_hours: tuple[TradingHours, ...] = Field(
        default=(),
        description="Entries only within one of these windows; empty: at any time. Each as "
        "{days: [mon, tue], start: '08:00', end: '22:00'}, UTC.",
    )
    restricted_periods: tuple[RestrictedPeriod, ...] = Field(
        default=(),
        description="No entries within these. Each as {start: '2026-12-09T18:30Z', end: "
        "'2026-12-09T20:00Z', reason: FOMC, symbols: []}.",
    )
    approval_mode: ApprovalMode = Field(
        default=ApprovalMode.AUTO,
        description="auto: what passes every check is sent; semi-auto: it waits for a person's "
        "`approvals approve`, and passes every check again then; alert-only: it is reported and "
        "nothing is sent.",
    )
    approval_timeout_s: float = Field(
        default=90.0,
        gt=0,
        le=3_600,
        description="An entry that nobody has approved by then is void. It also is once its "
        "spike is older than risk.max_spike_age_ms.",
    )


def _text(time: datetime) -> str:
    return time.isoformat()
