"""The line of JSON by which the exchange server says that it is ready, and where."""

from __future__ import annotations

from trading.model.base import ValueModel
from trading.model.market_clock import ClockSettings


class ExchangeReady(ValueModel):
    """Where the server listens, who may trade there, and what is traded. No address: not served."""

    rest_url: str
    ws_url: str
    ws_api_url: str
    futures_rest_url: str
    futures_ws_url: str
    futures_ws_api_url: str
    pid: int
    api_key: str
    api_secret: str
    symbols: tuple[str, ...]
    market: str
    tick_gap_ms: int
    start_ms: int
    end_ms: int | None
    clock: ClockSettings
