"""The embedded exchange behind Binance's spot protocol, on loopback."""

from trading.simulator.server.app import RunningServer, start_server
from trading.simulator.server.config import AccountConfig, ExchangeServerConfig

__all__ = ["AccountConfig", "ExchangeServerConfig", "RunningServer", "start_server"]
