"""Futures accounts and positions in Binance's JSON."""

from __future__ import annotations

from decimal import Decimal

from trading.model.order import ZERO, Side
from trading.simulator.futures.accounts import FuturesAccount, FuturesPosition
from trading.simulator.futures.exchange import FuturesExchange
from trading.simulator.futures.orders import PositionSide
from trading.simulator.server.wire import Json, num


class AccountWire:
    """Looks at accounts through the exchange's margin desk."""

    def __init__(self, exchange: FuturesExchange) -> None:
        self._exchange = exchange
        self._margin = exchange.margin

    def assets(self, account: FuturesAccount) -> list[str]:
        """Held assets, then the other margin assets of the listed contracts."""
        listed = {contract.margin_asset for contract in self._exchange.contracts.values()}
        return [*account.wallets, *sorted(listed - {*account.wallets})]

    def totals(self, account: FuturesAccount) -> Json:
        """All assets together; margin assets count at par."""
        rows = [self._margin.in_asset(account, asset) for asset in self.assets(account)]

        def total(*names: str) -> str:
            return num(sum((getattr(row, name) for row in rows for name in names), ZERO))

        shared = rows[0].available if account.multi_assets else None
        available = total("available") if shared is None else num(shared)
        return {
            "totalInitialMargin": total("initial_margin"),
            "totalMaintMargin": total("maintenance_margin"),
            "totalWalletBalance": total("wallet"),
            "totalUnrealizedProfit": total("unrealized_pnl"),
            "totalMarginBalance": total("margin_balance"),
            "totalPositionInitialMargin": total("position_margin"),
            "totalOpenOrderInitialMargin": total("order_margin"),
            "totalCrossWalletBalance": total("cross_wallet"),
            "totalCrossUnPnl": total("cross_unrealized_pnl"),
            "availableBalance": available,
            "maxWithdrawAmount": available,
        }

    def asset_row(self, account: FuturesAccount, asset: str) -> Json:
        figures = self._margin.in_asset(account, asset)
        return {
            "asset": asset,
            "walletBalance": num(figures.wallet),
            "unrealizedProfit": num(figures.unrealized_pnl),
            "marginBalance": num(figures.margin_balance),
            "maintMargin": num(figures.maintenance_margin),
            "initialMargin": num(figures.initial_margin),
            "positionInitialMargin": num(figures.position_margin),
            "openOrderInitialMargin": num(figures.order_margin),
            "crossWalletBalance": num(figures.cross_wallet),
            "crossUnPnl": num(figures.cross_unrealized_pnl),
            "availableBalance": num(figures.available),
            "maxWithdrawAmount": num(min(figures.available, max(ZERO, figures.cross_wallet))),
            "updateTime": account.updated_ms,
        }

    def balance_row(self, account: FuturesAccount, asset: str) -> Json:
        row = self.asset_row(account, asset)
        return {
            "accountAlias": "SgsR",
            "asset": asset,
            "balance": row["walletBalance"],
            "crossWalletBalance": row["crossWalletBalance"],
            "crossUnPnl": row["crossUnPnl"],
            "availableBalance": row["availableBalance"],
            "maxWithdrawAmount": row["maxWithdrawAmount"],
            "marginAvailable": True,
            "updateTime": account.updated_ms,
        }

    def sides(self, account: FuturesAccount) -> tuple[PositionSide, ...]:
        if account.is_hedged:
            return (PositionSide.LONG, PositionSide.SHORT)
        return (PositionSide.BOTH,)

    def position(self, account: FuturesAccount, symbol: str, side: PositionSide) -> FuturesPosition:
        """The position, or an empty one that is not kept."""
        return account.positions.get((symbol, side)) or FuturesPosition(symbol, side)

    def account_v2_row(self, account: FuturesAccount, position: FuturesPosition) -> Json:
        """Element of positions in account v2."""
        figures = self._margin.figures(account, position)
        settings = self._margin.settings(account, position.symbol)
        contract = self._exchange.contracts[position.symbol]
        orders = self._order_margin(account, position)
        bids, asks = self._order_notionals(account, position)
        return {
            "symbol": position.symbol,
            "initialMargin": num(figures.initial_margin + orders),
            "maintMargin": num(figures.maintenance_margin),
            "unrealizedProfit": num(figures.unrealized_pnl),
            "positionInitialMargin": num(figures.initial_margin),
            "openOrderInitialMargin": num(orders),
            "leverage": str(settings.leverage),
            "isolated": settings.is_isolated,
            "entryPrice": num(position.entry_price),
            "breakEvenPrice": num(position.break_even_price),
            "maxNotional": str(contract.max_notional(settings.leverage)),
            "bidNotional": num(bids),
            "askNotional": num(asks),
            "positionSide": position.side.value,
            "positionAmt": contract.quantity_text(position.amount),
            "updateTime": position.updated_ms,
        }

    def account_v3_row(self, account: FuturesAccount, position: FuturesPosition) -> Json:
        """Element of positions in account v3."""
        figures = self._margin.figures(account, position)
        contract = self._exchange.contracts[position.symbol]
        return {
            "symbol": position.symbol,
            "positionSide": position.side.value,
            "positionAmt": contract.quantity_text(position.amount),
            "unrealizedProfit": num(figures.unrealized_pnl),
            "isolatedMargin": num(self._isolated_margin(account, position)),
            "notional": num(figures.notional),
            "isolatedWallet": num(position.isolated_wallet),
            "initialMargin": num(figures.initial_margin + self._order_margin(account, position)),
            "maintMargin": num(figures.maintenance_margin),
            "updateTime": position.updated_ms,
        }

    def risk_v2_row(self, account: FuturesAccount, position: FuturesPosition) -> Json:
        """Element of positionRisk v2, which lists every contract."""
        settings = self._margin.settings(account, position.symbol)
        contract = self._exchange.contracts[position.symbol]
        liquidation = ZERO
        if position.amount:
            liquidation = self._margin.liquidation_price(account, position)
        return {
            "symbol": position.symbol,
            "positionAmt": contract.quantity_text(position.amount),
            "entryPrice": num(position.entry_price),
            "breakEvenPrice": num(position.break_even_price),
            "markPrice": num(self._exchange.mark(position.symbol)),
            "unRealizedProfit": num(self._margin.figures(account, position).unrealized_pnl),
            "liquidationPrice": num(liquidation),
            "leverage": str(settings.leverage),
            "maxNotionalValue": str(contract.max_notional(settings.leverage)),
            "marginType": "isolated" if settings.is_isolated else "cross",
            "isolatedMargin": num(self._isolated_margin(account, position)),
            "isAutoAddMargin": "false",
            "positionSide": position.side.value,
            "notional": num(self._margin.figures(account, position).notional),
            "isolatedWallet": num(position.isolated_wallet),
            "updateTime": position.updated_ms,
        }

    def risk_v3_row(self, account: FuturesAccount, position: FuturesPosition) -> Json:
        """Element of positionRisk v3: margins instead of settings."""
        row = self.risk_v2_row(account, position)
        for name in ("leverage", "maxNotionalValue", "marginType", "isAutoAddMargin"):
            del row[name]
        figures = self._margin.figures(account, position)
        orders = self._order_margin(account, position)
        bids, asks = self._order_notionals(account, position)
        return row | {
            "marginAsset": self._exchange.contracts[position.symbol].margin_asset,
            "initialMargin": num(figures.initial_margin + orders),
            "maintMargin": num(figures.maintenance_margin),
            "positionInitialMargin": num(figures.initial_margin),
            "openOrderInitialMargin": num(orders),
            "adl": self.deleveraging_quantile(account, position),
            "bidNotional": num(bids),
            "askNotional": num(asks),
        }

    def deleveraging_quantile(self, account: FuturesAccount, position: FuturesPosition) -> int:
        """0 to 4: how soon it would be deleveraged, by profit times effective leverage.

        Nobody is ever deleveraged here, as the insurance fund has no bottom.
        """
        figures = self._margin.figures(account, position)
        if figures.unrealized_pnl <= 0 or not position.cost:
            return 0
        profit = figures.unrealized_pnl / abs(position.cost)
        score = profit * self._margin.settings(account, position.symbol).leverage
        return min(4, int(score * 4) + 1)

    def _isolated_margin(self, account: FuturesAccount, position: FuturesPosition) -> Decimal:
        if not self._margin.settings(account, position.symbol).is_isolated:
            return ZERO
        pnl = self._margin.figures(account, position).unrealized_pnl
        return position.isolated_wallet + pnl

    def _order_margin(self, account: FuturesAccount, position: FuturesPosition) -> Decimal:
        return self._margin.order_margin(account, position.symbol, side=position.side)

    def _order_notionals(
        self, account: FuturesAccount, position: FuturesPosition
    ) -> tuple[Decimal, Decimal]:
        found = self._margin.order_notionals(account, position.symbol)
        side = position.side
        return found.get((side, Side.BUY), ZERO), found.get((side, Side.SELL), ZERO)
