"""Large transfers to and from exchanges' wallets on Ethereum.

Coins that move to an exchange may be about to be sold. Of a wallet only the newest thousand
transfers of each kind are seen at a time, so what is found is a lower bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import msgspec

from trading.errors import NewsSourceError
from trading.model.news import LargeTransfer
from trading.news.config import EtherscanConfig
from trading.news.fetcher import Fetcher
from trading.news.sources.base import Found, Kind, read_items

_ETH = "ETH"
_ETH_DECIMALS = 18
_MOST_DECIMALS = 77  # of a 256-bit number
_LATEST_S = 4_102_444_800  # the year 2100
_NOTHING_FOUND = "No transactions found"


class _Transfer(msgspec.Struct):
    hash: str
    to: str
    value: str
    time_s: str = msgspec.field(name="timeStamp")
    sender: str = msgspec.field(name="from", default="")
    contract: str = msgspec.field(name="contractAddress", default="")
    decimals: str = msgspec.field(name="tokenDecimal", default="")
    is_error: str = msgspec.field(name="isError", default="0")


class _Answer(msgspec.Struct):
    status: str
    message: str
    result: msgspec.Raw


class EtherscanSource:
    name = "Etherscan"
    kind: Kind = "on_chain"

    def __init__(
        self,
        config: EtherscanConfig,
        fetcher: Fetcher,
        key: str,
        price_of: Callable[[str], float | None],
    ) -> None:
        """``price_of`` gives an asset's price in USD; without one its transfers are left out."""
        self.min_interval_s = config.min_interval_s
        self._config = config
        self._fetcher = fetcher
        self._key = key
        self._price_of = price_of
        self._contracts = {contract.lower(): asset for asset, contract in config.tokens.items()}

    async def fetch(self) -> Found:
        """Raises NewsSourceError."""
        transfers: list[LargeTransfer] = []
        malformed = 0
        for label, wallet in self._config.wallets.items():
            for action in ("txlist", "tokentx"):
                rows = await self._rows(action, wallet)
                read = partial(self._transfer, action=action, wallet=wallet, label=label)
                found, bad = read_items(self.name, rows, read)
                transfers += found
                malformed += bad
        return Found(transfers=transfers, malformed=malformed)

    async def _rows(self, action: str, wallet: str) -> list[msgspec.Raw]:
        params = {
            "chainid": str(self._config.chain_id),
            "module": "account",
            "action": action,
            "address": wallet,
            "page": "1",
            "offset": "1000",
            "sort": "desc",
            "apikey": self._key,
        }
        body = await self._fetcher.get(self._config.url, params=params)
        if body is None:
            return []
        answer = self._fetcher.decode(body, _Answer)
        if answer.status != "1":
            if answer.message == _NOTHING_FOUND:
                return []
            # Its explanation may repeat the key.
            raise NewsSourceError(f"{self.name}: it says no ({answer.message[:40]!r})")
        return self._fetcher.decode(bytes(answer.result), list[msgspec.Raw])

    def _transfer(
        self, item: msgspec.Raw, action: str, wallet: str, label: str
    ) -> LargeTransfer | None:
        row = msgspec.json.decode(item, type=_Transfer, strict=False)
        if row.is_error != "0":
            return None
        asset = _ETH if action == "txlist" else self._contracts.get(row.contract.lower(), "")
        price = self._price_of(asset) if asset else None
        if price is None:
            return None
        decimals = _ETH_DECIMALS if action == "txlist" else int(row.decimals)
        if not 0 <= decimals <= _MOST_DECIMALS or not 0 < int(row.time_s) < _LATEST_S:
            raise ValueError("no transfer has so many decimals, or such a time")
        amount, time_ms = int(row.value) / 10**decimals, int(row.time_s) * 1000
        if not math.isfinite(amount) or amount * price < self._config.min_notional_usd:
            return None
        is_in = row.to.lower() == wallet.lower()
        other = row.sender if is_in else row.to
        if other.lower() in {known.lower() for known in self._config.wallets.values()}:
            return None  # between exchanges' own wallets nothing changes hands
        direction: Literal["to_exchange", "from_exchange"] = (
            "to_exchange" if is_in else "from_exchange"
        )
        return LargeTransfer(
            id=f"{row.hash[:80]}-{asset}",
            asset=asset,
            amount=amount,
            direction=direction,
            exchange=label,
            time_ms=time_ms,
        )
