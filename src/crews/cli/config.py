"""``config validate | show | schema``."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from crews.cli.output import JsonFlag, print_json, show
from crews.cli.state import loaded_config

app = typer.Typer(
    name="config",
    help="Check and show the configuration.",
    no_args_is_help=True,
)


class SchemaFormat(StrEnum):
    JSON = "json"
    YAML = "yaml"
    MARKDOWN = "markdown"


@app.command()
def validate(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Check the file, .env and the environment; say what is wrong, where, and what is allowed.

    Exits with 4 when something is wrong.
    """
    loaded = loaded_config(context)
    if as_json:
        print_json({"valid": True, "file": str(loaded.path), "overrides": loaded.origins})
        return
    show(f"{loaded.path}: valid")
    for key, origin in loaded.origins.items():
        show(f"  {key} is replaced by {origin}")


@app.command("show")
def show_config(
    context: typer.Context,
    section: Annotated[
        str | None, typer.Argument(help="Only this key or section, such as crash_detection.btc.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Print what is in force after file, .env and environment; secrets only as set or not set.

    Example:  spikeguard config show circuit_breaker.recovery
    """
    import yaml

    from crews.environment import Environment
    from trading.errors import ConfigurationError

    loaded = loaded_config(context)
    values = loaded.config.model_dump(mode="json")
    for part in section.split(".") if section else ():
        if not isinstance(values, dict) or part not in values:
            raise ConfigurationError(
                f"there is no setting {section}; `config show` without a name prints them all"
            )
        values = values[part]
    secrets = {
        name: "set" if getattr(loaded.environment, name) is not None else "not set"
        for name, info in Environment.model_fields.items()
        if "SecretStr" in str(info.annotation)
    }
    if as_json:
        shown = {"config": values, "secrets": secrets, "origins": loaded.origins}
        print_json(shown if section is None else values)
        return
    if section is None:
        values = {**values, "environment": {**secrets, **_replaced(loaded.origins)}}
    sys.stdout.write(yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100))


@app.command()
def schema(
    form: Annotated[
        SchemaFormat, typer.Option("--format", help="json: JSON Schema; yaml: commented file.")
    ] = SchemaFormat.JSON,
) -> None:
    """Print every setting there is: as JSON Schema, as a commented YAML file, or as a page.

    Example:  spikeguard config schema --format yaml > config/crewai_config.yaml
    """
    from crews import config_reference
    from crews.config import AppConfig

    match form:
        case SchemaFormat.JSON:
            print_json(AppConfig.model_json_schema())
        case SchemaFormat.YAML:
            sys.stdout.write(config_reference.yaml_reference())
        case SchemaFormat.MARKDOWN:
            sys.stdout.write(config_reference.markdown_reference())


def _replaced(origins: object) -> dict[str, str]:
    assert isinstance(origins, dict)
    return {f"{origin} replaces": key for key, origin in origins.items()}
