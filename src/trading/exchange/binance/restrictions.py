"""What an API key may do."""

from __future__ import annotations

from typing import Any

from trading.exchange.binance.client import VenueClient
from trading.exchange.venues import VenueName
from trading.model.base import ValueModel


class KeyRestrictions(ValueModel):
    """Rights of a key. ``source`` says which endpoint told."""

    can_trade: bool
    can_withdraw: bool
    ip_restricted: bool | None = None  # None: not told
    source: str


async def read_restrictions(client: VenueClient, venue: VenueName) -> KeyRestrictions:
    """Ask the venue for the rights of the client's key.

    Testnet and demo mode have no /sapi, and /account reports the right to withdraw for every key,
    though nothing can be withdrawn there; so only the right to trade is read from it.
    """
    if venue in ("testnet", "demo"):
        account: dict[str, Any] = await client.get_account(omitZeroBalances="true")
        return KeyRestrictions(
            can_trade=bool(account["canTrade"]), can_withdraw=False, source="/api/v3/account"
        )
    rights: dict[str, Any] = await client.get_account_api_permissions()
    return KeyRestrictions(
        can_trade=bool(rights["enableSpotAndMarginTrading"]),
        can_withdraw=bool(rights["enableWithdrawals"]),
        ip_restricted=bool(rights["ipRestrict"]),
        source="/sapi/v1/account/apiRestrictions",
    )
