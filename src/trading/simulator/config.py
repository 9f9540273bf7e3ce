"""Configuration of the embedded exchange: balances, fees, the synthetic book, order filters."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from pydantic import Field, model_validator

from trading.model.base import ConfigModel
from trading.simulator.book_config import BookShapeConfig
from trading.simulator.futures_config import FuturesConfig


class UserEventOrder(StrEnum):
    """When a user-stream event is sent, relative to the REST answer of the same order."""

    BEFORE = "before"
    AFTER = "after"
    MIXED = "mixed"  # seeded coin toss for each order, as the real venue behaves


class OrderFilterConfig(ConfigModel):
    """exchangeInfo filters that are the same for every pair."""

    max_notional: Decimal = Field(
        default=Decimal("9000000"), gt=0, description="Largest value of one order (quote asset)."
    )
    price_multiplier_up: Decimal = Field(
        default=Decimal("5"),
        gt=1,
        description="PERCENT_PRICE_BY_SIDE: highest limit price, as a multiple of the 5 min VWAP.",
    )
    price_multiplier_down: Decimal = Field(
        default=Decimal("0.2"),
        gt=0,
        lt=1,
        description="PERCENT_PRICE_BY_SIDE: lowest limit price, as a multiple of the 5 min VWAP.",
    )
    max_open_orders: int = Field(
        default=200, ge=1, description="MAX_NUM_ORDERS: open orders of one account on one pair."
    )
    max_open_trigger_orders: int = Field(
        default=5,
        ge=1,
        description="MAX_NUM_ALGO_ORDERS: waiting stop-loss and take-profit orders on one pair.",
    )
    max_order_lists: int = Field(
        default=20, ge=1, description="MAX_NUM_ORDER_LISTS: open order lists on one pair."
    )
    max_amendments: int = Field(
        default=10, ge=1, description="MAX_NUM_ORDER_AMENDS: how often one order may be amended."
    )
    max_iceberg_parts: int = Field(
        default=100, ge=1, description="ICEBERG_PARTS: into how many parts an iceberg may divide."
    )
    market_quantity_share: Decimal = Field(
        default=Decimal(1),
        gt=0,
        le=1,
        description="MARKET_LOT_SIZE: largest market order, as a share of the largest limit order.",
    )
    min_trailing_delta: int = Field(
        default=10, ge=1, description="TRAILING_DELTA: smallest distance, in basis points."
    )
    max_trailing_delta: int = Field(
        default=2000, ge=1, le=9999, description="TRAILING_DELTA: largest, in basis points."
    )
    max_position: Decimal | None = Field(
        default=None,
        gt=0,
        description="MAX_POSITION: most base asset held and ordered to buy; none: no such filter.",
    )


class FeeTier(ConfigModel):
    """Spot fees of an account that has traded enough."""

    from_notional: Decimal = Field(
        gt=0,
        description="Notional that the account must have traded, in the quote asset, since it was"
        " opened (Binance counts 30 days).",
    )
    maker_fee_rate: Decimal = Field(
        ge=0, lt=1, description="Fee of a resting order's fill, as a share of the received asset."
    )
    taker_fee_rate: Decimal = Field(
        ge=0, lt=1, description="Fee of an order that takes, as a share of the received asset."
    )


class SimulatorConfig(ConfigModel):
    """The embedded exchange."""

    initial_balances: dict[str, Decimal] = Field(
        default={"USDT": Decimal("10000")},
        description="What a new account holds: asset to amount.",
    )
    maker_fee_rate: Decimal = Field(
        default=Decimal("0.001"),
        ge=0,
        lt=1,
        description="Fee of a resting order's fill, as a share of the received asset.",
    )
    taker_fee_rate: Decimal = Field(
        default=Decimal("0.001"),
        ge=0,
        lt=1,
        description="Fee of an order that takes liquidity, as a share of the received asset.",
    )
    fee_tiers: tuple[FeeTier, ...] = Field(
        default=(),
        description="Other fees for accounts that have traded more, the lowest notional first;"
        " none: the same fees for all.",
    )
    latency_ms: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Wall milliseconds between an order's arrival at the server and the engine.",
    )
    user_event_order: UserEventOrder = Field(
        default=UserEventOrder.MIXED,
        description="Whether user events are sent before or after the order's answer, or mixed.",
    )
    can_withdraw: bool = Field(
        default=False, description="Whether the accounts' keys report the right to withdraw."
    )
    history_minutes: int = Field(
        default=2880,
        ge=240,
        le=100_000,
        description="One-minute bars kept for each pair, for klines and the 24 h ticker.",
    )
    book: BookShapeConfig = Field(
        default_factory=BookShapeConfig, description="The synthetic book around the last price."
    )
    filters: OrderFilterConfig = Field(
        default_factory=OrderFilterConfig, description="Order filters common to all pairs."
    )
    futures: FuturesConfig = Field(
        default_factory=FuturesConfig, description="USD-M futures beside the spot market."
    )

    @model_validator(mode="after")
    def _tiers_rise(self) -> SimulatorConfig:
        levels = [tier.from_notional for tier in self.fee_tiers]
        if levels != sorted(set(levels)):
            raise ValueError(f"fee_tiers must rise in from_notional, not {levels}")
        return self

    def fee_rates(self, traded_notional: Decimal) -> tuple[Decimal, Decimal]:
        """Maker's and taker's spot fee of an account that has traded so much."""
        rates = self.maker_fee_rate, self.taker_fee_rate
        for tier in self.fee_tiers:
            if traded_notional >= tier.from_notional:
                rates = tier.maker_fee_rate, tier.taker_fee_rate
        return rates
