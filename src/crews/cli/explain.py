"""``explain``: what the core did by rule, in words."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from crews.cli.notes import note_fields, note_on, show_note
from crews.cli.output import JsonFlag, print_json
from crews.cli.state import loaded_config


class Subject(StrEnum):
    """As ``DeskKind``, without the import of what it stands beside."""

    REFUSAL = "refusal"
    RECONCILIATION = "reconciliation"
    ERRORS = "errors"
    DAY = "day"
    SESSION = "session"


def explain(
    context: typer.Context,
    subject: Annotated[
        Subject, typer.Argument(help="What to explain, by the agent whose business it is.")
    ],
    subject_id: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]",
            help="Row of risk_events; number of `reconciliations` or `simulations`; a UTC day "
            "for errors and day. Default: the newest.",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Write a new note although one is stored.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Explain a refusal, a reconciliation, repeated errors, a day or a simulation, for people.

    An agent that is switched on (agents.risk_manager, reconciliation, error_recovery, compliance,
    simulation) asks its model; of one that is not, the built-in rules write. Either has no tool,
    and nothing acts on what it writes. Needs no running core; the note is stored.

    Examples:

    - `spikeguard explain refusal`

    - `spikeguard explain reconciliation 17 --json`
    """
    from trading.model.desk import DeskKind
    from trading.storage.database import open_database

    loaded = loaded_config(context)
    connection = open_database(loaded.config.storage, durable=False, check=False)
    try:
        asked, note = note_on(connection, loaded, DeskKind(subject.value), subject_id, again=again)
    finally:
        connection.close()
    if as_json:
        print_json({"subject": asked, "note": note_fields(note)})
    else:
        show_note(note)
