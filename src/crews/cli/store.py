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
    its own for all venues but sim. A halt that the last run ended with outlives its store.
    """
    from trading.clock import SystemClock
    from trading.errors import StoreError
    from trading.model.breaker import BreakerStatus
    from trading.node.instance import RuntimePaths
    from trading.risk.breaker_store import create_store
    from trading.risk.shared_record import last_state
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
    record = RuntimePaths(Path(config.api.runtime_directory)).breaker_record
    last = last_state(record)
    kept = (
        created
        and last is not None
        and last.status in (BreakerStatus.TRIGGERED, BreakerStatus.RECOVERING)
    )
    if created and not kept:  # what a store before this one ended with is over, on purpose
        record.unlink(missing_ok=True)
    connection = open_database(storage)
    version = schema_version(connection)
    connection.close()
    if as_json:
        print_json({"store": str(storage.path), "created": created, "schema_version": version})
    else:
        what = "created" if created else "was there already, and is intact"
        show(f"{storage.path}: {what} (schema version {version})")
        if kept and last is not None:
            show(
                f"the last run ended {last.status} with epoch {last.epoch} ({last.reason}): the "
                "next one halts too, until `breaker clear` releases it"
            )
