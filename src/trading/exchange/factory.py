"""Makes the venue that the configuration names."""

from __future__ import annotations

from dataclasses import dataclass

from trading.clock import Clock
from trading.errors import ConfigurationError
from trading.exchange.config import ExchangeConfig, RetryConfig
from trading.exchange.credentials import ApiCredentials
from trading.exchange.protocols import ExchangeClient, MarketFeed, UserStream, Venue
from trading.exchange.recovery import RecoveryLog, ServiceBreaker
from trading.exchange.start_patience import StartPatience
from trading.simulator.config import SimulatorConfig


@dataclass(frozen=True)
class ConnectedVenue:
    """A venue reached through three connections of its own kind."""

    client: ExchangeClient
    feed: MarketFeed
    user_stream: UserStream


def recovery_log(config: RetryConfig, clock: Clock) -> RecoveryLog:
    """A new one, with nothing in it."""
    return RecoveryLog(
        clock.now_ms,
        lambda: ServiceBreaker(
            threshold=config.failures_in_a_row,
            pause_s=config.pause_s,
            max_pause_s=config.max_pause_s,
        ),
    )


def create_venue(
    config: ExchangeConfig,
    credentials: ApiCredentials | None,
    clock: Clock,
    *,
    simulator: SimulatorConfig | None = None,
    recovery: RecoveryLog | None = None,
    patience: StartPatience | None = None,
) -> Venue:
    """The venue of ``config``, not yet connected.

    For venue sim, ``config.endpoints`` must hold the addresses of the running exchange.
    ``simulator`` sets fees and balances of a dry run; failures are noted in ``recovery``.
    Until ``patience`` ends, connecting and reads wait for the venue's limits.

    Raises:
        ConfigurationError: real money without its confirmation, or orders without a key.
    """
    # python-binance takes half a second to import, which a replay need not pay.
    from trading.exchange.binance.adapter import BinanceClient
    from trading.exchange.binance.feed import BinanceFeed
    from trading.exchange.binance.user_stream import BinanceUserStream
    from trading.exchange.recovering_client import RecoveringClient

    endpoints = config.resolved_endpoints()
    recovery = recovery or recovery_log(config.retry, clock)
    if config.dry_run:
        from trading.exchange.binance.depth_feed import BinanceLocalBooks
        from trading.exchange.paper import PaperVenue

        public = BinanceClient(config, None, clock)
        return PaperVenue(
            RecoveringClient(public, config.retry, recovery, public.fail_over, patience),
            BinanceFeed(config),
            clock,
            simulator or SimulatorConfig(),
            BinanceLocalBooks(config, clock, public.book_snapshot),
        )
    if config.venue == "binance" and not config.i_understand_this_trades_real_money:
        raise ConfigurationError(
            "exchange.i_understand_this_trades_real_money is false: venue binance trades real "
            "money and must be confirmed with true (or use dry_run)"
        )
    if credentials is None:
        raise ConfigurationError(f"venue {config.venue} needs an API key and its secret")
    if config.futures.enabled:
        from trading.exchange.binance.futures_client import BinanceFuturesClient
        from trading.exchange.binance.futures_feed import ROUTE
        from trading.exchange.binance.futures_user_stream import BinanceFuturesUserStream

        return ConnectedVenue(
            client=RecoveringClient(
                BinanceFuturesClient(config, credentials, clock),
                config.retry,
                recovery,
                lambda: None,  # the futures have one host
                patience,
            ),
            feed=BinanceFeed(config, base_url=endpoints.futures_stream_url + ROUTE),
            user_stream=BinanceFuturesUserStream(config, credentials),
        )
    client = BinanceClient(config, credentials, clock)
    return ConnectedVenue(
        client=RecoveringClient(client, config.retry, recovery, client.fail_over, patience),
        feed=BinanceFeed(config),
        user_stream=BinanceUserStream(config, credentials),
    )
