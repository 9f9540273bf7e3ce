"""Keys of the venues, which come from the environment alone."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, SecretStr

from trading.exchange.venues import VenueName

# Environment variables of a venue's key and its secret; those of sim are made at every start.
CREDENTIAL_NAMES: dict[VenueName, tuple[str, str]] = {
    "sim": ("BINANCE_SIM_API_KEY", "BINANCE_SIM_API_SECRET"),
    "testnet": ("BINANCE_TESTNET_API_KEY", "BINANCE_TESTNET_API_SECRET"),
    "demo": ("BINANCE_DEMO_API_KEY", "BINANCE_DEMO_API_SECRET"),
    "binance": ("BINANCE_API_KEY", "BINANCE_API_SECRET"),
}


class ApiCredentials(BaseModel):
    """An API key and its secret. Never part of the configuration; read from the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: SecretStr
    secret: SecretStr
