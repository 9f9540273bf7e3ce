"""How an account wants to be treated: leverage, margin type, hedge mode, isolated margin."""

from __future__ import annotations

from decimal import Decimal

from trading.model.order import ZERO
from trading.simulator.futures.accounts import MarginChange
from trading.simulator.futures.contracts import Contract
from trading.simulator.futures.events import AccountChange, ConfigEvent
from trading.simulator.futures.exchange import FuturesExchange
from trading.simulator.futures.margin import NO_MARGIN, TOO_LARGE
from trading.simulator.futures.orders import PositionSide
from trading.simulator.orders import ExchangeRejection

ADD, REDUCE = 1, 2


class AccountSettings:
    """Changes what an account may change. Methods raise ExchangeRejection."""

    def __init__(self, exchange: FuturesExchange) -> None:
        self._exchange = exchange
        self._ledger = exchange.ledger

    def leverage(self, account_id: str, symbol: str, leverage: int) -> Contract:
        contract = self._exchange.contract(symbol)
        if not 1 <= leverage <= contract.max_leverage:
            raise ExchangeRejection(-4028, f"Leverage {leverage} is not valid")
        account = self._ledger.account(account_id)
        settings = self._exchange.margin.settings(account, symbol)
        held = list(account.open_positions(symbol))
        if settings.is_isolated and held and leverage < settings.leverage:
            raise ExchangeRejection(
                -4161,
                "Leverage reduction is not supported in Isolated Margin Mode with open positions.",
            )
        mark = self._exchange.mark(symbol)
        if any(abs(each.notional(mark)) > contract.max_notional(leverage) for each in held):
            raise ExchangeRejection(*TOO_LARGE)
        before, settings.leverage = settings.leverage, leverage
        if leverage < before:
            figures = self._exchange.margin.in_asset(account, contract.margin_asset)
            if figures.free < 0:
                settings.leverage = before
                raise ExchangeRejection(*NO_MARGIN)
        now_ms = self._exchange.clock.now_ms()
        self._exchange.announce(ConfigEvent(account_id, now_ms, symbol, leverage))
        return contract

    def margin_type(self, account_id: str, symbol: str, *, isolated: bool) -> None:
        self._exchange.contract(symbol)
        account = self._ledger.account(account_id)
        settings = self._exchange.margin.settings(account, symbol)
        if settings.is_isolated is isolated:
            raise ExchangeRejection(-4046, "No need to change margin type.")
        if isolated and account.multi_assets:
            raise ExchangeRejection(
                -4168, "Unable to adjust to isolated-margin mode under the Multi-Assets mode."
            )
        if self._exchange.open_orders(account_id, symbol):
            raise ExchangeRejection(
                -4047, "Margin type cannot be changed if there exists open orders."
            )
        if any(account.open_positions(symbol)):
            raise ExchangeRejection(
                -4048, "Margin type cannot be changed if there exists position."
            )
        settings.is_isolated = isolated
        position = account.position(
            symbol, PositionSide.LONG if account.is_hedged else PositionSide.BOTH
        )
        self._tell(account_id, AccountChange.MARGIN_TYPE_CHANGE, symbol, position.side)

    def hedge_mode(self, account_id: str, *, hedged: bool) -> None:
        account = self._ledger.account(account_id)
        if account.is_hedged is hedged:
            raise ExchangeRejection(-4059, "No need to change position side.")
        if self._exchange.open_orders(account_id) or any(self._exchange.algos.open(account_id)):
            raise ExchangeRejection(
                -4067, "Position side cannot be changed if there exists open orders."
            )
        if any(account.open_positions()):
            raise ExchangeRejection(
                -4068, "Position side cannot be changed if there exists position."
            )
        account.is_hedged = hedged
        account.positions.clear()

    def multi_assets(self, account_id: str, *, multi: bool) -> None:
        account = self._ledger.account(account_id)
        if account.multi_assets is multi:
            raise ExchangeRejection(
                -4171,
                "Adjusted asset mode is currently set and does not need to be adjusted repeatedly.",
            )
        if self._exchange.open_orders(account_id):
            raise ExchangeRejection(-4170, "Unable to adjust Multi-Assets Mode with open orders.")
        symbols = self._exchange.contracts
        isolated = (self._exchange.margin.settings(account, each).is_isolated for each in symbols)
        if multi and any(isolated):
            raise ExchangeRejection(
                -4167,
                "Unable to adjust to Multi-Assets mode with symbols of USDⓈ-M Futures under"
                " isolated-margin mode.",
            )
        account.multi_assets = multi
        now_ms = self._exchange.clock.now_ms()
        self._exchange.announce(ConfigEvent(account_id, now_ms, multi_assets=multi))

    def position_margin(
        self, account_id: str, symbol: str, side: PositionSide, amount: Decimal, kind: int
    ) -> None:
        """Move ``amount`` from the cross wallet to an isolated position (ADD), or back."""
        contract = self._exchange.contract(symbol)
        account = self._ledger.account(account_id)
        if amount <= 0:
            raise ExchangeRejection(-4055, "Amount must be positive.")
        if not self._exchange.margin.settings(account, symbol).is_isolated:
            raise ExchangeRejection(-4053, "Auto add margin only support for isolated position.")
        position = account.positions.get((symbol, side))
        if position is None or not position.amount:
            raise ExchangeRejection(-4054, "Cannot add position margin: position is 0.")
        if kind == ADD:
            free = self._exchange.margin.in_asset(account, contract.margin_asset).available
            if amount > free:
                raise ExchangeRejection(-4050, "Cross balance insufficient.")
        else:
            figures = self._exchange.margin.figures(account, position)
            spare = position.isolated_wallet + min(figures.unrealized_pnl, ZERO)
            if amount > spare - figures.initial_margin:
                raise ExchangeRejection(-4051, "Isolated balance insufficient.")
        position.isolated_wallet += amount if kind == ADD else -amount
        now_ms = self._exchange.clock.now_ms()
        account.margin_changes.append(
            MarginChange(symbol, side, kind, amount, contract.margin_asset, now_ms, by_user=True)
        )
        self._tell(account_id, AccountChange.MARGIN_TRANSFER, symbol, side)

    def _tell(
        self, account_id: str, reason: AccountChange, symbol: str, side: PositionSide
    ) -> None:
        account = self._ledger.account(account_id)
        asset = self._exchange.contracts[symbol].margin_asset
        position = account.position(symbol, side)
        now_ms = self._exchange.clock.now_ms()
        self._exchange.announce(
            self._exchange.account_event(account, reason, asset, now_ms, position)
        )
