"""``init``: the explicit first use of a store."""

from __future__ import annotations

from pathlib import Path

import typer

from crews.cli.core import find_core
from crews.cli.output import JsonFlag, print_json, show
from crews.cli.state import loaded_config


def init(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Create the store, or bring an older one's tables up to date; never touches what is in it.

    A store that is missing where one was used before halts trading, so creating one is a step of
    its own for venues testnet and binance.
    """
    from trading.clock import SystemClock
    from trading.errors import StoreError
    from trading.node.instance import RuntimePaths
    from trading.risk.breaker_store import create_store
    from trading.storage.database import open_database
    from trading.storage.migrations import schema_version

    config = loaded_config(context).config
    storage = config.storage
    core = find_core(config)
    if core is not None and not storage.path.exists():
        raise StoreError(
            f"the core with process id {core.pid} runs on a store at {storage.path} that is gone; "
            "stop it first"
        )
    created = create_store(storage, SystemClock())
    if created:  # what a store before this one ended with is over, on purpose
        RuntimePaths(Path(config.api.runtime_directory)).breaker_record.unlink(missing_ok=True)
    connection = open_database(storage)
    version = schema_version(connection)
    connection.close()
    if as_json:
        print_json({"store": str(storage.path), "created": created, "schema_version": version})
    else:
        what = "created" if created else "was there already, and is intact"
        show(f"{storage.path}: {what} (schema version {version})")
