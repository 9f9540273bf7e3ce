"""`doctor`'s checks of the venue: reach, clock, key and its permissions. Sends no order."""

from __future__ import annotations

import asyncio

from crews.checks import Check, Level
from crews.config_loader import LoadedConfig
from trading.errors import ConfigurationError, ExchangeError, SpikeguardError
from trading.exchange.config import ExchangeConfig
from trading.exchange.credentials import ApiCredentials


def check_venue(loaded: LoadedConfig) -> list[Check]:
    """Venue sim is started by `live` itself, so there is nothing to reach beforehand."""
    exchange = loaded.config.exchange
    if exchange.venue == "sim":
        return [Check("venue", Level.OK, "sim: the embedded exchange, no key needed")]
    try:
        credentials = loaded.environment.binance_credentials(exchange.venue)
    except ConfigurationError as error:
        return [Check("API key", Level.FAIL, str(error))]
    return asyncio.run(_ask_venue(exchange, credentials))


async def _ask_venue(exchange: ExchangeConfig, credentials: ApiCredentials | None) -> list[Check]:
    try:
        offset_ms = await _clock_offset_ms(exchange)
    except (SpikeguardError, TimeoutError) as error:
        detail = f"{exchange.venue} cannot be reached: {error or type(error).__name__}"
        return [Check("venue", Level.FAIL, detail)]
    address = exchange.resolved_endpoints().rest_url
    findings = [
        Check("venue", Level.OK, f"{exchange.venue} answers at {address}"),
        _judge_clock(offset_ms, exchange),
    ]
    if exchange.dry_run:
        findings.append(Check("API key", Level.OK, "not used: dry run"))
    elif credentials is not None:
        findings += await _check_key(exchange, credentials)
    return findings


async def _clock_offset_ms(exchange: ExchangeConfig) -> int:
    from trading.clock import SystemClock
    from trading.exchange.binance.adapter import BinanceClient

    client = BinanceClient(exchange, None, SystemClock())
    async with asyncio.timeout(4 * exchange.request_timeout_s):
        await client.connect()
        try:
            return client.clock_offset_ms
        finally:
            await client.close()


def _judge_clock(offset_ms: int, exchange: ExchangeConfig) -> Check:
    """Requests are signed in the venue's time, so a skew is survived; but it makes the data's age
    wrong, and beyond the receive window the correction itself is all that keeps orders going."""
    detail = f"differs from the venue's by {offset_ms} ms"
    if abs(offset_ms) > exchange.recv_window_ms:
        return Check("clock", Level.FAIL, f"{detail}; synchronise this machine's clock (NTP)")
    if abs(offset_ms) > exchange.recv_window_ms / 2:
        return Check("clock", Level.WARNING, f"{detail}; synchronise this machine's clock (NTP)")
    return Check("clock", Level.OK, detail)


async def _check_key(exchange: ExchangeConfig, credentials: ApiCredentials) -> list[Check]:
    from trading.clock import SystemClock
    from trading.exchange.binance.adapter import BinanceClient

    client = BinanceClient(exchange, credentials, SystemClock())
    try:
        async with asyncio.timeout(4 * exchange.request_timeout_s):
            await client.connect()  # refuses a key that may withdraw
            try:
                rights = await client.api_restrictions()
            finally:
                await client.close()
    except (ExchangeError, TimeoutError) as error:
        return [Check("API key", Level.FAIL, str(error) or "the venue does not answer")]
    if not rights.can_trade:
        return [Check("API key", Level.FAIL, "the key has no right to trade spot")]
    findings = [Check("API key", Level.OK, "may trade, may not withdraw")]
    if rights.ip_restricted is False:
        detail = "the key works from any address; restrict it to this machine's"
        findings.append(Check("API key addresses", Level.WARNING, detail))
    return findings
