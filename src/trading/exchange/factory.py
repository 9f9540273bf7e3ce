"""Makes the venue that the configuration names."""

from __future__ import annotations

from dataclasses import dataclass

from trading.clock import Clock
from trading.errors import ConfigurationError
from trading.exchange.config import ApiCredentials, ExchangeConfig
from trading.exchange.protocols import ExchangeClient, MarketFeed, UserStream, Venue
from trading.simulator.config import SimulatorConfig


@dataclass(frozen=True)
class ConnectedVenue:
    """A venue reached through three connections of its own kind."""

    client: ExchangeClient
    feed: MarketFeed
    user_stream: UserStream


def create_venue(
    config: ExchangeConfig,
    credentials: ApiCredentials | None,
    clock: Clock,
    *,
    simulator: SimulatorConfig | None = None,
) -> Venue:
    """The venue of ``config``, not yet connected.

    For venue sim, ``config.endpoints`` must hold the addresses of the running exchange.
    ``simulator`` sets fees and balances of a dry run.

    Raises:
        ConfigurationError: real money without its confirmation, or orders without a key.
    """
    # python-binance takes half a second to import, which a replay need not pay.
    from trading.exchange.binance.adapter import BinanceClient
    from trading.exchange.binance.feed import BinanceFeed
    from trading.exchange.binance.user_stream import BinanceUserStream

    config.resolved_endpoints()
    if config.dry_run:
        from trading.exchange.paper import PaperVenue

        return PaperVenue(
            BinanceClient(config, None, clock),
            BinanceFeed(config),
            clock,
            simulator or SimulatorConfig(),
        )
    if config.venue == "binance" and not config.i_understand_this_trades_real_money:
        raise ConfigurationError(
            "exchange.i_understand_this_trades_real_money is false: venue binance trades real "
            "money and must be confirmed with true (or use dry_run)"
        )
    if credentials is None:
        raise ConfigurationError(f"venue {config.venue} needs an API key and its secret")
    return ConnectedVenue(
        client=BinanceClient(config, credentials, clock),
        feed=BinanceFeed(config),
        user_stream=BinanceUserStream(config, credentials),
    )
