"""What the futures market says of a pair. None is "not known", never zero."""

from __future__ import annotations

from pydantic import Field

from trading.model.base import ValueModel


class LiquidationSums(ValueModel):
    """Forced orders in USD: positions that were long or short, by how far back they count."""

    longs_5m_usd: float
    shorts_5m_usd: float
    longs_1h_usd: float
    shorts_1h_usd: float


class FuturesView(ValueModel):
    """The perpetual on a pair's asset beside the pair itself.

    ``problem`` says why figures are missing; what is older than the crash rules accept counts as
    missing.
    """

    symbol: str
    time_ms: int
    problem: str = ""
    mark_price: float | None = None
    spot_price: float | None = None
    divergence_pct: float | None = None  # mark price against spot, signed
    funding_rate_pct: float | None = None  # at the next settlement; longs pay a positive one
    next_funding_ms: int | None = None
    open_interest: float | None = None  # in coins
    open_interest_usd: float | None = None
    open_interest_change_1h_pct: float | None = None  # against the oldest figure of the hour
    liquidations: LiquidationSums | None = None


class LiquidationsView(ValueModel):
    """Forced orders of all contracts. A lower bound: the venue's stream leaves some out.

    ``total_1h_usd`` is None where there is no stream, or too little of the hour was heard.
    """

    time_ms: int
    problem: str = ""
    total_1h_usd: float | None = None
    limit_1h_usd: float
    pairs: dict[str, LiquidationSums] = Field(default_factory=dict)  # the watched ones that had any
