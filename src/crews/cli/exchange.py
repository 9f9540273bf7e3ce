"""``exchange``: the embedded exchange alone, for whatever speaks Binance's protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crews.cli.market_options import FaultsOption, StartOption, WindowOption, fault_schedule
from crews.cli.state import loaded_config
from crews.times import time_option


def exchange(
    context: typer.Context,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port on loopback; 0 takes a free one.")
    ] = 0,
    data: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder of recorded market data to play."),
    ] = None,
    window: WindowOption = None,
    start: StartOption = None,
    scenario: Annotated[
        str | None, typer.Option(help="Generated market: default, calm, flash_crash, …")
    ] = None,
    speed: Annotated[
        float, typer.Option(min=0, max=1000, help="Market seconds per second; 0 is a pause.")
    ] = 1.0,
    faults: FaultsOption = None,
    control: Annotated[
        bool,
        typer.Option(
            "--control", help="Serve /control/*: price shocks, speed, faults, received orders."
        ),
    ] = False,
) -> None:
    """Run the embedded exchange alone; Ctrl-C ends it.

    When it is ready it prints one line of JSON: its addresses, an API key and its secret, its
    process id, its market. Fees, balances and the generated market are those of the configuration.

    Examples:

    - `spikeguard exchange --port 8090 --scenario flash_crash --speed 5`

    - `spikeguard exchange --faults 7` — a bad day, drawn with seed 7

    - `spikeguard exchange --faults day.yaml` — with
      `{faults: [{at_s: 5, kind: user_dropped}], random: {seed: 7, every_s: 3}}` in the file
    """
    if (window or start) and not data:
        raise typer.BadParameter("--window and --from name a part of --data; give both")
    if scenario and data:
        raise typer.BadParameter(
            "--scenario is of the generated market; --data plays a recorded one"
        )
    import asyncio

    from trading.errors import ConfigurationError, MarketDataError, WindowNotFoundError
    from trading.simulator.server.config import ExchangeServerConfig
    from trading.simulator.server.process import serve

    config = loaded_config(
        context, {} if scenario is None else {"market_generator.scenario": ("--scenario", scenario)}
    ).config
    generator = config.market_generator
    settings = ExchangeServerConfig(
        port=port,
        speed=speed,
        data_dir=str(data) if data else None,
        window=window,
        from_ms=time_option("--from", start),
        control=control,
        faults=None if faults is None else fault_schedule(faults),
        simulator=config.simulator,
        generator=generator.model_copy(
            update={"symbols": generator.symbols or config.market.symbols}
        ),
    )
    try:
        asyncio.run(serve(settings, has_parent=False))
    except OSError as error:
        raise ConfigurationError(
            f"--port {port}: {error.strerror or error}; name another one, or 0 for any free one"
        ) from error
    except WindowNotFoundError:
        raise
    except MarketDataError as error:
        raise ConfigurationError(f"--data: {error}") from error
