"""Margin: what positions and orders need, what is left, when an account is broke.

Formulas after Binance's documentation of USD-M margin: initial margin is value over leverage;
maintenance margin comes from the brackets; orders need margin for the side that would make the
position larger; a cross account's margin balance is its wallet and the unrealised profit of its
cross positions. In multi-assets mode all margin assets count together, at par.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from trading.model.order import ZERO, Side
from trading.simulator.futures.accounts import FuturesAccount, FuturesPosition, SymbolSettings
from trading.simulator.futures.contracts import Contract
from trading.simulator.futures.orders import FuturesOrder, PositionSide
from trading.simulator.orders import ExchangeRejection

NO_MARGIN = (-2019, "Margin is insufficient.")
TOO_LARGE = (-2027, "Exceeded the maximum allowable position at current leverage.")


@dataclass(frozen=True, slots=True)
class PositionFigures:
    """``notional`` is negative for a short; the others are never negative but for the profit."""

    notional: Decimal
    unrealized_pnl: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal


@dataclass(frozen=True, slots=True)
class AssetFigures:
    """An account in one margin asset. ``free`` is what nothing needs; negative: some is lacking."""

    wallet: Decimal
    cross_wallet: Decimal
    unrealized_pnl: Decimal
    cross_unrealized_pnl: Decimal
    position_margin: Decimal
    order_margin: Decimal
    maintenance_margin: Decimal
    cross_maintenance_margin: Decimal
    free: Decimal

    @property
    def available(self) -> Decimal:
        """What new positions and orders may use."""
        return max(ZERO, self.free)

    @property
    def margin_balance(self) -> Decimal:
        return self.wallet + self.unrealized_pnl

    @property
    def cross_balance(self) -> Decimal:
        return self.cross_wallet + self.cross_unrealized_pnl

    @property
    def initial_margin(self) -> Decimal:
        return self.position_margin + self.order_margin


OpenOrders = Callable[[str], Iterable[FuturesOrder]]


class MarginDesk:
    """Looks at accounts through the present mark prices."""

    def __init__(
        self,
        contracts: Mapping[str, Contract],
        mark: Callable[[str], Decimal],
        open_orders: OpenOrders,
    ) -> None:
        self._contracts = contracts
        self._mark = mark
        self._open_orders = open_orders

    def settings(self, account: FuturesAccount, symbol: str) -> SymbolSettings:
        return account.settings(symbol, self._contracts[symbol].max_leverage)

    def figures(self, account: FuturesAccount, position: FuturesPosition) -> PositionFigures:
        contract, mark = self._contracts[position.symbol], self._mark(position.symbol)
        notional = position.notional(mark)
        leverage = self.settings(account, position.symbol).leverage
        return PositionFigures(
            notional,
            position.unrealized_pnl(mark),
            abs(notional) / leverage,
            contract.maintenance_margin(abs(notional)),
        )

    def order_notionals(
        self, account: FuturesAccount, symbol: str, extra: FuturesOrder | None = None
    ) -> dict[tuple[PositionSide, Side], Decimal]:
        """Value of open orders that may open, by position side and side."""
        found: dict[tuple[PositionSide, Side], Decimal] = {}
        orders = [o for o in self._open_orders(account.account_id) if o.symbol == symbol]
        if extra is not None:
            orders = [o for o in orders if o.order_id != extra.order_id] + [extra]
        for order in orders:
            if not order.only_closes:
                price = order.limit_price or self._mark(symbol)
                key = (order.position_side, order.side)
                found[key] = found.get(key, ZERO) + order.remaining * price
        return found

    def order_margin(
        self,
        account: FuturesAccount,
        symbol: str,
        extra: FuturesOrder | None = None,
        *,
        side: PositionSide | None = None,
    ) -> Decimal:
        """What open orders (and ``extra``) need beyond the position's own margin.

        With ``side``, only what the orders of that position side need.
        """
        notionals = self.order_notionals(account, symbol, extra)
        if not notionals:
            return ZERO
        mark = self._mark(symbol)
        needed = ZERO
        for each in PositionSide if side is None else (side,):
            position = account.positions.get((symbol, each))
            held = position.notional(mark) if position else ZERO
            bids = notionals.get((each, Side.BUY), ZERO)
            asks = notionals.get((each, Side.SELL), ZERO)
            needed += max(abs(held + bids), abs(held - asks), abs(held)) - abs(held)
        return needed / self.settings(account, symbol).leverage

    def in_asset(self, account: FuturesAccount, asset: str) -> AssetFigures:
        """The account in ``asset`` alone, but for what is available in multi-assets mode."""
        alone = self._alone(account, asset)
        if not account.multi_assets:
            return alone
        assets = {contract.margin_asset for contract in self._contracts.values()} | {asset}
        shared = sum((self._alone(account, each).free for each in assets), ZERO)
        return replace(alone, free=shared)

    def _alone(self, account: FuturesAccount, asset: str) -> AssetFigures:
        pnl = cross_pnl = initial = cross_initial = maintenance = cross_maintenance = ZERO
        isolated = ZERO
        for position in account.open_positions():
            if self._contracts[position.symbol].margin_asset != asset:
                continue
            figures = self.figures(account, position)
            pnl += figures.unrealized_pnl
            initial += figures.initial_margin
            maintenance += figures.maintenance_margin
            isolated += position.isolated_wallet
            if not self.settings(account, position.symbol).is_isolated:
                cross_pnl += figures.unrealized_pnl
                cross_initial += figures.initial_margin
                cross_maintenance += figures.maintenance_margin
        symbols = {order.symbol for order in self._open_orders(account.account_id)}
        orders = sum(
            (
                self.order_margin(account, symbol)
                for symbol in symbols
                if self._contracts[symbol].margin_asset == asset
            ),
            ZERO,
        )
        cross_wallet = account.wallets[asset] - isolated
        return AssetFigures(
            account.wallets[asset],
            cross_wallet,
            pnl,
            cross_pnl,
            initial,
            orders,
            maintenance,
            cross_maintenance,
            cross_wallet + cross_pnl - cross_initial - orders,
        )

    def check_new(self, account: FuturesAccount, order: FuturesOrder, price: Decimal) -> None:
        """Raises ExchangeRejection when the account cannot afford ``order``.

        ``price`` is where it is expected to trade: what it would lose at once against the mark
        price must be covered, too.
        """
        if order.only_closes:
            return
        contract = self._contracts[order.symbol]
        mark = self._mark(order.symbol)
        margin = self.order_margin(account, order.symbol, order)
        more = margin - self.order_margin(account, order.symbol)
        sign = 1 if order.side is Side.BUY else -1
        loss = max(ZERO, sign * (price - mark)) * order.remaining if more else ZERO
        if more + loss > self.in_asset(account, contract.margin_asset).available:
            raise ExchangeRejection(*NO_MARGIN)
        leverage = self.settings(account, order.symbol).leverage
        position = account.positions.get((order.symbol, order.position_side))
        held = position.amount if position else ZERO
        after = abs(held + sign * order.remaining) * mark
        if more and after > contract.max_notional(leverage):
            raise ExchangeRejection(*TOO_LARGE)

    def liquidation_price(self, account: FuturesAccount, position: FuturesPosition) -> Decimal:
        """Mark price at which the position would be liquidated, all else unchanged; 0: never."""
        contract = self._contracts[position.symbol]
        figures = self.figures(account, position)
        if self.settings(account, position.symbol).is_isolated:
            balance = position.isolated_wallet
            others = ZERO
        else:
            asset = self._alone(account, contract.margin_asset)
            balance = asset.cross_balance - figures.unrealized_pnl
            others = asset.cross_maintenance_margin - figures.maintenance_margin
        bracket = contract.bracket_of(abs(figures.notional))
        # balance - others + amount x price - cost = |amount| x price x rate - deducted
        divisor = abs(position.amount) * bracket.rate - position.amount
        if not divisor:
            return ZERO
        return max(ZERO, (balance - others - position.cost + bracket.deducted) / divisor)
