"""The perpetual contracts: steps, precision, and the brackets of leverage and margin.

The best known contracts have Binance's own steps; any other takes over those of its spot pair.
Brackets: BTCUSDT's first is in Binance's documentation; the others are written from memory of its
tables, those of a middling coin for all but BTCUSDT and ETHUSDT.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from trading.model.market import Instrument

MARGIN_ASSETS = ("USDT", "USDC")
STABLE = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "DAI", "USDP", "UST", "USTC")
KNOWN_STEPS: Mapping[str, tuple[str, str, int, str]] = {  # tick, step, price decimals, min notional
    "BTCUSDT": ("0.10", "0.001", 2, "50"),
    "ETHUSDT": ("0.01", "0.001", 2, "20"),
    "BNBUSDT": ("0.010", "0.01", 3, "5"),
    "SOLUSDT": ("0.0100", "0.01", 4, "5"),
    "XRPUSDT": ("0.0001", "0.1", 4, "5"),
    "ADAUSDT": ("0.00010", "1", 5, "5"),
    "DOGEUSDT": ("0.000010", "1", 6, "5"),
    "LTCUSDT": ("0.01", "0.001", 2, "20"),
    "LINKUSDT": ("0.001", "0.01", 3, "20"),
    "AVAXUSDT": ("0.0010", "1", 4, "5"),
    "DOTUSDT": ("0.001", "0.1", 3, "5"),
}
KNOWN_MAX_QUANTITY = {"BTCUSDT": "1000", "ETHUSDT": "10000"}
MARKET_SHARE = Decimal("0.12")  # BTCUSDT: 120 of 1,000

BTC_TIERS = (
    (50_000, 125, "0.004"),
    (600_000, 100, "0.005"),
    (3_000_000, 75, "0.0065"),
    (12_000_000, 50, "0.01"),
    (70_000_000, 25, "0.02"),
    (100_000_000, 20, "0.025"),
    (230_000_000, 10, "0.05"),
    (480_000_000, 5, "0.1"),
    (600_000_000, 4, "0.125"),
    (800_000_000, 3, "0.15"),
    (1_200_000_000, 2, "0.25"),
    (1_800_000_000, 1, "0.5"),
)
OTHER_TIERS = (
    (10_000, 75, "0.01"),
    (100_000, 50, "0.015"),
    (600_000, 25, "0.02"),
    (1_200_000, 20, "0.025"),
    (3_000_000, 10, "0.05"),
    (6_000_000, 5, "0.1"),
    (7_500_000, 4, "0.125"),
    (15_000_000, 2, "0.25"),
    (30_000_000, 1, "0.5"),
)
WIDE = ("BTCUSDT", "ETHUSDT")


@dataclass(frozen=True, slots=True)
class Bracket:
    """Positions worth up to ``cap`` may have ``leverage`` and must keep ``rate`` of their value.

    ``deducted`` makes maintenance margin continuous from one bracket to the next.
    """

    number: int
    leverage: int
    cap: Decimal
    floor: Decimal
    rate: Decimal
    deducted: Decimal


@dataclass(frozen=True, slots=True)
class Contract:
    """One perpetual."""

    instrument: Instrument
    price_decimals: int
    quantity_decimals: int
    max_market_quantity: Decimal
    brackets: tuple[Bracket, ...]

    @property
    def symbol(self) -> str:
        return self.instrument.symbol

    @property
    def margin_asset(self) -> str:
        return self.instrument.quote_asset

    @property
    def max_leverage(self) -> int:
        return self.brackets[0].leverage

    def price_text(self, price: Decimal | float | None) -> str:
        """A price as the venue writes it."""
        return f"{price or 0:.{self.price_decimals}f}"

    def quantity_text(self, quantity: Decimal | float | None) -> str:
        return f"{quantity or 0:.{self.quantity_decimals}f}"

    def bracket_of(self, notional: Decimal) -> Bracket:
        """The bracket that a position of this value is in."""
        return next((b for b in self.brackets if notional <= b.cap), self.brackets[-1])

    def maintenance_margin(self, notional: Decimal) -> Decimal:
        """What a position worth ``notional`` must keep."""
        bracket = self.bracket_of(notional)
        return max(Decimal(0), notional * bracket.rate - bracket.deducted)

    def max_notional(self, leverage: int) -> Decimal:
        """The largest position at ``leverage``."""
        return max(b.cap for b in self.brackets if b.leverage >= leverage)


def list_contracts(pairs: Iterable[Instrument]) -> tuple[Contract, ...]:
    """A perpetual for every pair that is quoted in a margin asset and is not itself stable."""
    return tuple(
        make_contract(pair)
        for pair in pairs
        if pair.quote_asset in MARGIN_ASSETS and pair.base_asset not in STABLE
    )


def make_contract(pair: Instrument) -> Contract:
    known = KNOWN_STEPS.get(pair.symbol)
    tick, step, min_notional = pair.tick_size, pair.step_size, Decimal(5)
    decimals = _decimals(tick)
    if known is not None:
        tick, step = Decimal(known[0]), Decimal(known[1])
        decimals = known[2]
        min_notional = Decimal(known[3])
    most = Decimal(KNOWN_MAX_QUANTITY.get(pair.symbol, pair.max_quantity))
    instrument = pair.model_copy(
        update={
            "tick_size": tick,
            "step_size": step,
            "min_quantity": step,
            "max_quantity": most,
            "min_notional": min_notional,
        }
    )
    market = instrument.round_quantity_down(instrument.max_quantity * MARKET_SHARE)
    tiers = BTC_TIERS if pair.symbol in WIDE else OTHER_TIERS
    return Contract(instrument, decimals, _decimals(step), max(market, step), _brackets(tiers))


def _brackets(tiers: tuple[tuple[int, int, str], ...]) -> tuple[Bracket, ...]:
    brackets: list[Bracket] = []
    floor = rate = deducted = Decimal(0)
    for number, (cap, leverage, text) in enumerate(tiers, 1):
        if number > 1:
            deducted += floor * (Decimal(text) - rate)
        rate = Decimal(text)
        brackets.append(Bracket(number, leverage, Decimal(cap), floor, rate, deducted))
        floor = Decimal(cap)
    return tuple(brackets)


def _decimals(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(0, -int(exponent))
