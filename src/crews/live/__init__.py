"""`live`: start the exchange (venue sim), the core and the crew workers, and show them."""

from __future__ import annotations

from crews.config_loader import LoadedConfig
from crews.live.options import LiveOptions


def run_live(loaded: LoadedConfig, options: LiveOptions) -> None:
    """Run in the foreground until Ctrl-C, SIGTERM or the end of ``options.duration_s``.

    Raises:
        ConfigurationError: before anything is started or any network is used.
        ChildFailedError: the exchange or the core could not be started, or the exchange ended.
    """
    from crews.live.preflight import check_before_start
    from crews.live.session import LiveSession

    check_before_start(loaded)
    LiveSession(loaded, options).run()
