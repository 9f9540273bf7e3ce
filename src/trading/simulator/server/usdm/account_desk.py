"""What a futures account may ask about itself, and change."""

from __future__ import annotations

from collections.abc import Iterator

from trading.simulator.futures.account_settings import ADD, REDUCE, AccountSettings
from trading.simulator.futures.accounts import FuturesAccount, FuturesPosition
from trading.simulator.futures.exchange import FuturesExchange
from trading.simulator.futures.orders import PositionSide
from trading.simulator.server.faults import FaultKind, Faults
from trading.simulator.server.limit_config import UsdmRateLimitConfig
from trading.simulator.server.params import Params
from trading.simulator.server.signatures import ApiKey
from trading.simulator.server.usdm import exchange_info
from trading.simulator.server.usdm.account_wire import AccountWire
from trading.simulator.server.wire import Json
from trading.simulator.server.wire_errors import WireError, invalid_data, mandatory

SUCCESS: Json = {"code": 200, "msg": "success"}


class AccountDesk:
    """Balances, positions and settings of API keys' accounts."""

    def __init__(
        self, exchange: FuturesExchange, faults: Faults, limits: UsdmRateLimitConfig
    ) -> None:
        self._exchange = exchange
        self._faults = faults
        self._limits = limits
        self._settings = AccountSettings(exchange)
        self.wire = AccountWire(exchange)

    # Balances and positions ----------------------------------------------------------------

    def account_v2(self, key: ApiKey, params: Params) -> Json:
        account = self._account(key)
        wire, empty = self.wire, self._reads_empty
        rows = [wire.asset_row(account, asset) for asset in wire.assets(account)]
        positions = [wire.account_v2_row(account, each) for each in self._every(account)]
        return {
            **self._config(account),
            "feeBurn": False,
            **wire.totals(account),
            "assets": [] if empty else [row | {"marginAvailable": True} for row in rows],
            "positions": [] if empty else positions,
        }

    def account_v3(self, key: ApiKey, _params: Params) -> Json:
        account = self._account(key)
        wire, empty = self.wire, self._reads_empty
        rows = [wire.asset_row(account, asset) for asset in wire.assets(account)]
        positions = [wire.account_v3_row(account, each) for each in self._used(account)]
        totals = wire.totals(account)
        return totals | {"assets": [] if empty else rows, "positions": [] if empty else positions}

    def balances(self, key: ApiKey, _params: Params) -> list[Json]:
        account = self._account(key)
        assets = [] if self._reads_empty else self.wire.assets(account)
        return [self.wire.balance_row(account, asset) for asset in assets]

    def risk_v2(self, key: ApiKey, params: Params) -> list[Json]:
        """Every contract, held or not."""
        account, symbol = self._account(key), self._symbol(params)
        found = [each for each in self._every(account) if symbol in (None, each.symbol)]
        return [self.wire.risk_v2_row(account, each) for each in found if not self._reads_empty]

    def risk_v3(self, key: ApiKey, params: Params) -> list[Json]:
        """Contracts with a position or an open order."""
        account, symbol = self._account(key), self._symbol(params)
        found = [each for each in self._used(account) if symbol in (None, each.symbol)]
        return [self.wire.risk_v3_row(account, each) for each in found if not self._reads_empty]

    def adl_quantile(self, key: ApiKey, params: Params) -> list[Json]:
        account, symbol = self._account(key), self._symbol(params)
        rows: dict[str, Json] = {}
        for position in account.open_positions(symbol):
            row = rows.setdefault(position.symbol, {"LONG": 0, "SHORT": 0})
            row[position.side.value] = self.wire.deleveraging_quantile(account, position)
            row.setdefault("HEDGE" if account.is_hedged else "BOTH", 0)
        return [{"symbol": name, "adlQuantile": row} for name, row in rows.items()]

    def account_config(self, key: ApiKey, _params: Params) -> Json:
        account = self._account(key)
        return self._config(account) | {"dualSidePosition": account.is_hedged}

    def symbol_config(self, key: ApiKey, params: Params) -> list[Json]:
        account, wanted = self._account(key), self._symbol(params)
        rows = []
        for symbol, contract in self._exchange.contracts.items():
            if wanted in (None, symbol):
                settings = self._exchange.margin.settings(account, symbol)
                row = {
                    "symbol": symbol,
                    "marginType": "ISOLATED" if settings.is_isolated else "CROSSED",
                    "isAutoAddMargin": False,
                    "leverage": settings.leverage,
                    "maxNotionalValue": str(contract.max_notional(settings.leverage)),
                }
                rows.append(row)
        return rows

    def brackets(self, _key: ApiKey, params: Params) -> list[Json] | Json:
        symbol = self._symbol(params)
        contracts = self._exchange.contracts
        if symbol is not None:
            return [exchange_info.brackets(contracts[symbol])]
        return [exchange_info.brackets(contract) for contract in contracts.values()]

    def commission(self, _key: ApiKey, params: Params) -> Json:
        symbol = params.required("symbol")
        self._exchange.contract(symbol)
        config = self._exchange.config
        return {
            "symbol": symbol,
            "makerCommissionRate": str(config.maker_fee_rate),
            "takerCommissionRate": str(config.taker_fee_rate),
            "rpiCommissionRate": str(config.maker_fee_rate),
        }

    def order_limits(self, _key: ApiKey, _params: Params) -> list[Json]:
        return exchange_info.order_limits(self._limits)

    def margin_history(self, key: ApiKey, params: Params) -> list[Json]:
        symbol = params.required("symbol")
        contract = self._exchange.contract(symbol)
        kind, limit = params.integer("type"), params.limit(500, 1000)
        changes = [
            change
            for change in self._account(key).margin_changes
            if change.symbol == symbol and kind in (None, change.kind)
        ]
        return [
            {
                "symbol": symbol,
                "type": change.kind,
                "deltaType": "USER_ADJUST" if change.by_user else "TRADE",
                "amount": str(change.amount),
                "asset": contract.margin_asset,
                "time": change.time_ms,
                "positionSide": change.side.value,
            }
            for change in changes[-limit:]
        ]

    # Settings ------------------------------------------------------------------------------

    def change_leverage(self, key: ApiKey, params: Params) -> Json:
        symbol, leverage = params.required("symbol"), params.integer("leverage")
        if leverage is None:
            raise mandatory("leverage")
        contract = self._settings.leverage(key.account_id, symbol, leverage)
        most = str(contract.max_notional(leverage))
        return {"leverage": leverage, "maxNotionalValue": most, "symbol": symbol}

    def change_margin_type(self, key: ApiKey, params: Params) -> Json:
        symbol, kind = params.required("symbol"), params.required("marginType")
        if kind not in ("ISOLATED", "CROSSED"):
            raise WireError(-1130, invalid_data("marginType"))
        self._settings.margin_type(key.account_id, symbol, isolated=kind == "ISOLATED")
        return SUCCESS

    def change_position_margin(self, key: ApiKey, params: Params) -> Json:
        symbol, kind = params.required("symbol"), params.integer("type")
        amount = params.decimal("amount")
        if amount is None:
            raise mandatory("amount")
        if kind not in (ADD, REDUCE):
            raise WireError(-4056, "Invalid position margin type.")
        message = "Invalid position side."
        side = params.choice("positionSide", PositionSide, -4060, message) or PositionSide.BOTH
        self._settings.position_margin(key.account_id, symbol, side, amount, kind)
        text = "Successfully modify position margin."
        return {"amount": float(amount), "code": 200, "msg": text, "type": kind}

    def position_mode(self, key: ApiKey, _params: Params) -> Json:
        return {"dualSidePosition": self._account(key).is_hedged}

    def change_position_mode(self, key: ApiKey, params: Params) -> Json:
        hedged = params.flag("dualSidePosition")
        if hedged is None:
            raise mandatory("dualSidePosition")
        self._settings.hedge_mode(key.account_id, hedged=hedged)
        return SUCCESS

    def asset_mode(self, key: ApiKey, _params: Params) -> Json:
        return {"multiAssetsMargin": self._account(key).multi_assets}

    def change_asset_mode(self, key: ApiKey, params: Params) -> Json:
        multi = params.flag("multiAssetsMargin")
        if multi is None:
            raise mandatory("multiAssetsMargin")
        self._settings.multi_assets(key.account_id, multi=multi)
        return SUCCESS

    def trading_status(self, _key: ApiKey, _params: Params) -> Json:
        """No account is ever restricted by the venue's quantitative rules here."""
        return {"indicators": {}, "updateTime": self._exchange.clock.now_ms()}

    def fee_burn(self, _key: ApiKey, _params: Params) -> Json:
        """Fees are never paid in BNB here."""
        return {"feeBurn": False}

    # Inside --------------------------------------------------------------------------------

    @property
    def _reads_empty(self) -> bool:
        return self._faults.lasts(FaultKind.ACCOUNT_EMPTY)

    def _account(self, key: ApiKey) -> FuturesAccount:
        return self._exchange.ledger.account(key.account_id)

    def _symbol(self, params: Params) -> str | None:
        symbol = params.text("symbol")
        if symbol is not None:
            self._exchange.contract(symbol)
        return symbol

    def _config(self, account: FuturesAccount) -> Json:
        return {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "updateTime": account.updated_ms,
            "multiAssetsMargin": account.multi_assets,
            "tradeGroupId": -1,
        }

    def _every(self, account: FuturesAccount) -> Iterator[FuturesPosition]:
        for symbol in self._exchange.contracts:
            for side in self.wire.sides(account):
                yield self.wire.position(account, symbol, side)

    def _used(self, account: FuturesAccount) -> Iterator[FuturesPosition]:
        """Positions that are open, or that an open order could open."""
        open_orders = self._exchange.open_orders(account.account_id)
        ordered = {(order.symbol, order.position_side) for order in open_orders}
        for position in self._every(account):
            if position.amount or (position.symbol, position.side) in ordered:
                yield position
