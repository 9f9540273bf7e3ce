"""Cash, equity and exposure, carried forward from the last account snapshot by our own fills."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from trading.errors import MarketDataError
from trading.execution.equity_marks import EquityMarks
from trading.execution.positions import PositionBook
from trading.model.market import Instrument
from trading.model.order import ZERO, AccountSnapshot, Balance, OrderPurpose, Side
from trading.model.portfolio import Portfolio
from trading.risk.entry_facts import AccountView
from trading.risk.reservations import ReservationBook
from trading.storage.order_repository import OrderRecord


class AccountBook:
    """The quote balance and what the positions are worth.

    Equity counts the quote asset and our positions; coins that were in the account before stay
    out of it. ``external`` holds their quantities by base asset.
    """

    def __init__(
        self,
        *,
        quote_asset: str,
        instruments: Mapping[str, Instrument],
        positions: PositionBook,
        reservations: ReservationBook,
        price: Callable[[str], float | None],
        marks: EquityMarks,
    ) -> None:
        self.quote_asset = quote_asset
        self._instruments = instruments
        self._positions = positions
        self._reservations = reservations
        self._price = price
        self.marks = marks
        self._cash: Decimal | None = None
        self.external: dict[str, Decimal] = {}
        self.realized_pnl = ZERO

    @property
    def known(self) -> bool:
        """Whether an account snapshot has been taken."""
        return self._cash is not None

    @property
    def cash(self) -> Decimal:
        """Quote asset held, locked or not. Raises MarketDataError before the first snapshot."""
        if self._cash is None:
            raise MarketDataError("the account's balances are not known yet")
        return self._cash

    def take(self, snapshot: AccountSnapshot) -> None:
        """Adopt the venue's quote balance. The caller has made sure that no fill is missing."""
        balance = snapshot.balances.get(self.quote_asset)
        self._cash = balance.total if balance is not None else ZERO

    def move_cash(self, change: Decimal) -> None:
        """A fill moved the quote balance."""
        if self._cash is not None:
            self._cash += change

    def value_of(self, asset: str) -> Decimal | None:
        """Worth of one unit of ``asset`` in the quote asset; None where no price is known."""
        if asset == self.quote_asset:
            return Decimal(1)
        price = self._price(asset + self.quote_asset)
        return Decimal(repr(price)) if price else None

    def price_of(self, symbol: str) -> Decimal | None:
        price = self._price(symbol)
        return Decimal(repr(price)) if price else None

    def position_values(self) -> dict[str, Decimal]:
        """Market value by symbol; at the entry price while there is no market price."""
        return {
            held.symbol: held.quantity * (self.price_of(held.symbol) or held.average_entry_price)
            for held in self._positions.all()
        }

    @property
    def equity(self) -> Decimal:
        return self.cash + sum(self.position_values().values(), ZERO)

    def view(self) -> AccountView:
        """Raises MarketDataError before the first snapshot."""
        values = self.position_values()
        equity = self.cash + sum(values.values(), ZERO)
        return AccountView(
            equity=equity,
            cash=self.cash,
            day_start_equity=self.marks.equity("day") or equity,
            open_notional=values,
            week_start_equity=self.marks.equity("week"),
            peak_equity=self.marks.equity("peak"),
        )

    def portfolio(self, live_orders: Iterable[OrderRecord]) -> Portfolio:
        """Raises MarketDataError before the first snapshot."""
        orders = tuple(live_orders)
        values = self.position_values()
        positions = tuple(held.view() for held in self._positions.all())
        balances = self._balances(orders)
        prices = {p.symbol: price for p in positions if (price := self.price_of(p.symbol))}
        unrealized = sum(
            (p.unrealized_pnl(prices.get(p.symbol, p.average_entry_price)) for p in positions),
            ZERO,
        )
        return Portfolio(
            quote_asset=self.quote_asset,
            equity=self.cash + sum(values.values(), ZERO),
            free=balances[0].free,
            balances=balances,
            positions=positions,
            open_orders=tuple(order.report() for order in orders),
            reserved_exposure=self._reservations.total,
            exposure=sum(values.values(), ZERO) + self._reservations.total,
            realized_pnl=self.realized_pnl + sum((p.realized_pnl for p in positions), ZERO),
            unrealized_pnl=unrealized,
            prices=prices,
        )

    def _balances(self, orders: tuple[OrderRecord, ...]) -> tuple[Balance, ...]:
        """Quote asset first, then every base asset of a position."""
        promised = sum(
            (
                order.remaining_quantity * order.request.limit_price
                for order in orders
                if order.request.side is Side.BUY and order.request.limit_price is not None
            ),
            ZERO,
        )
        locked = min(promised, max(self.cash, ZERO))
        result = [
            Balance(asset=self.quote_asset, free=max(self.cash, ZERO) - locked, locked=locked)
        ]
        for held in self._positions.all():
            base = self._instruments[held.symbol].base_asset
            total = held.quantity + self.external.get(base, ZERO)
            selling = sum(
                (
                    order.remaining_quantity
                    for order in orders
                    if order.symbol == held.symbol and order.purpose is not OrderPurpose.ENTRY
                ),
                ZERO,
            )
            selling = min(selling, total)
            result.append(Balance(asset=base, free=total - selling, locked=selling))
        return tuple(result)
