"""Options of the commands that run the embedded exchange, and what they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from trading.simulator.server.fault_config import FaultScheduleConfig

WindowOption = Annotated[
    str | None, typer.Option(help="Which window of --data to play, such as 2020-03-12.")
]
StartOption = Annotated[
    str | None,
    typer.Option("--from", help="Begin here within the window, ISO 8601 in UTC: 2025-10-10T20:45."),
]
FaultsOption = Annotated[
    str | None,
    typer.Option(
        metavar="SCHEDULE",
        help="What goes wrong on the embedded exchange: a YAML or JSON file, or a whole number, "
        "the seed of random faults of every kind. Default: nothing.",
    ),
]


def fault_schedule(text: str) -> FaultScheduleConfig:
    """The schedule that ``--faults`` names: a seed, or a file.

    Raises:
        ConfigurationError: the file is missing or wrong; says which key and value.
    """
    from pydantic import ValidationError

    from crews.strict_yaml import read_yaml
    from trading.errors import ConfigurationError
    from trading.simulator.server.fault_config import FaultScheduleConfig, RandomFaultsConfig

    if text.isdecimal():
        return FaultScheduleConfig(random=RandomFaultsConfig(seed=int(text)))
    if not Path(text).exists():
        raise ConfigurationError(f"--faults: {text} is neither a file nor a seed from 0 on")
    document = read_yaml(Path(text))
    try:
        return FaultScheduleConfig.model_validate(document.data)
    except ValidationError as error:
        wrong = error.errors()[0]
        key = ".".join(map(str, wrong["loc"]))
        raise ConfigurationError(
            f"{text}: {key}: {wrong['msg']} (value: {wrong['input']!r})"
        ) from error
