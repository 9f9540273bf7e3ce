"""What the market says about whether a crash is over."""

from __future__ import annotations

from trading.model.base import ValueModel


class RecoveryFacts(ValueModel):
    """The market's side of the recovery conditions, measured on BTC unless said."""

    minutes_since_low: float  # since the lowest price of the fall
    further_fall_30m_pct: float  # largest fall of BTC or ETH within the last 30 minutes
    btc_regained_share: float  # of the fall from its high to its low; 1.0 when there was no fall
    flat_minutes: float  # how long BTC has stayed within a band of FLAT_BAND_PCT
    volume_share_of_normal: float  # last 30 minutes against the median minute of the baseline
    healthy: bool
