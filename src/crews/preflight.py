"""What must hold before a run may send orders, checked before anything is started."""

from __future__ import annotations

from pathlib import Path

from crews.config import AppConfig
from crews.config_loader import LoadedConfig
from trading.errors import ConfigurationError
from trading.exchange.credentials import CREDENTIAL_NAMES
from trading.storage.send_fence import fence_path


def store_was_used(config: AppConfig) -> bool:
    """Whether a core ran here before: a store that is missing now is a halt that is forgotten."""
    ran_here = Path(config.api.runtime_directory, "core.json").exists()
    return ran_here or fence_path(config.storage.path).exists()


def require_permission_to_trade(loaded: LoadedConfig) -> None:
    """Refuse a run whose orders would fail for want of keys, or cost money unasked.

    Venue sim and dry runs need neither key nor confirmation.

    Raises:
        ConfigurationError: keys are missing, or real money is not confirmed.
    """
    exchange = loaded.config.exchange
    if exchange.venue == "sim" or exchange.dry_run:
        return
    if loaded.environment.binance_credentials(exchange.venue) is None:
        names = " and ".join(CREDENTIAL_NAMES[exchange.venue])
        raise ConfigurationError(
            f"environment: {names} are not set; venue {exchange.venue} needs them (or --dry-run)"
        )
    if exchange.venue == "binance" and not exchange.i_understand_this_trades_real_money:
        raise ConfigurationError(
            f"{loaded.path}: exchange.i_understand_this_trades_real_money = false: venue binance "
            "trades real money; set it to true, or use --dry-run"
        )
