"""What must be right before a live run starts anything: no network, clear errors."""

from __future__ import annotations

import tempfile
from pathlib import Path

from crews.config_loader import LoadedConfig
from crews.model_preflight import require_usable_models, require_usable_sentiment
from crews.preflight import require_permission_to_trade, store_was_used
from trading.clock import SystemClock
from trading.errors import ConfigurationError, StoreMissingError
from trading.node.instance import running_instance
from trading.risk.breaker_store import create_store


def check_before_start(loaded: LoadedConfig) -> None:
    """Refuse what must not start; create the store on the first use of venue sim.

    Raises:
        ConfigurationError: a second instance, a runtime directory that cannot be written, real
            money without confirmation, no key, or a model or recording that cannot be used as
            configured.
        StoreMissingError: a real venue without a store, or a store that has disappeared.
    """
    config = loaded.config
    running = running_instance(Path(config.api.runtime_directory))
    if running is not None:
        raise ConfigurationError(
            f"a core already runs on {config.api.runtime_directory} with process id {running.pid} "
            f"(venue {running.venue}); stop it first"
        )
    _require_place_for_the_run(config.api.runtime_directory)
    require_permission_to_trade(loaded)
    if config.crews.enabled:
        require_usable_models(config.agents, loaded.worker_environment())
    if config.news.is_read_beside(config.exchange.venue):
        require_usable_sentiment(config.news, config.agents, loaded.news_environment())
    _check_store(loaded)


def _require_place_for_the_run(directory: str | Path) -> None:
    """Sockets, locks and logs are made there by every process of the run."""
    logs = Path(directory) / "logs"
    try:
        logs.mkdir(parents=True, exist_ok=True)
        for folder in (logs.parent, logs):
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        raise ConfigurationError(
            f"api.runtime_directory: nothing can be written to {logs.parent}: {error.strerror}; "
            "look at its rights and at the space on its disk, or name another folder"
        ) from error


def _check_store(loaded: LoadedConfig) -> None:
    """A store that was there once and is gone is not created again: its halt would be forgotten."""
    config = loaded.config
    path = config.storage.path
    if path.exists():
        return
    was_used = store_was_used(config)
    if config.exchange.venue == "sim" and not was_used:
        create_store(config.storage, SystemClock())
        return
    why = "it was there before and is gone" if was_used else "venues other than sim want it made"
    raise StoreMissingError(
        f"no store at {path} ({why}); `python -m crews.run init` makes a new one on purpose"
    )
