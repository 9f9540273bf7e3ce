"""``init``: the explicit first use of a store."""

from __future__ import annotations

import typer

from crews.cli.output import JsonFlag, print_json, show
from crews.cli.state import loaded_config


def init(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Create the store, or bring an older one's tables up to date; never touches what is in it.

    A store that is missing where one was used before halts trading, so creating one is a step of
    its own for venues testnet and binance.
    """
    from trading.clock import SystemClock
    from trading.risk.breaker_store import create_store
    from trading.storage.database import open_database
    from trading.storage.migrations import schema_version

    storage = loaded_config(context).config.storage
    created = create_store(storage, SystemClock())
    connection = open_database(storage)
    version = schema_version(connection)
    connection.close()
    if as_json:
        print_json({"store": str(storage.path), "created": created, "schema_version": version})
    else:
        what = "created" if created else "was there already, and is intact"
        show(f"{storage.path}: {what} (schema version {version})")
