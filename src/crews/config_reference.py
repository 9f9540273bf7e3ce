"""Writes ``config/crewai_config.yaml`` and ``docs/configuration.md`` from the models.

Every key has its default, its meaning, what is allowed and the environment variable that
replaces it, so neither page can differ from what the program accepts.
"""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from crews.config import AppConfig
from crews.environment import CONFIG_KEYS, Environment

WIDTH = 100
VARIABLES = {dotted: name for name, dotted in CONFIG_KEYS.items()}

YAML_HEADER = """\
spikeguard: every setting there is, with its default.

Read strictly: unknown or repeated keys, wrong types and values out of bounds stop the start with
the line they are on. A key that is left out has the default shown here. Secrets are not allowed
in this file; they come from the environment or .env (see .env.example), which also may replace
the keys that name a variable below.

`python -m crews.run config validate` checks the file, `config show` prints what is in force.
Units are in the names: _ms milliseconds, _s seconds, _pct per cent (5 is 5 %). Times are market
time unless said otherwise.
"""
MARKDOWN_HEADER = """\
# Configuration

One YAML file, `config/crewai_config.yaml` (or the one named by `CREWAI_CONFIG_PATH` or
`--config`), holds every setting. It is read strictly: unknown or repeated keys, wrong types and
values out of bounds stop the start, and the message names the file and line, the key, the value
and what is allowed. Later wins: built-in defaults, the file, `.env`, the environment, options of
the command line.

    python -m crews.run config validate    # check, and say what is wrong
    python -m crews.run config show        # what is in force, secrets redacted
    python -m crews.run config schema      # JSON schema; --format yaml | markdown

Relative paths count from the working directory; when the program is started elsewhere and finds
no `config/crewai_config.yaml` there, it uses the checkout's, and paths count from the checkout.

This page is written by `config schema --format markdown`; a test compares the two.
"""


def yaml_reference() -> str:
    """The commented YAML file with all defaults."""
    out = _Yaml()
    out.comment(YAML_HEADER, "")
    defaults = AppConfig()
    for name, info in AppConfig.model_fields.items():
        out.lines += ["", "", "# " + "=" * (WIDTH - 2)]
        out.comment(info.description or "", "")
        out.lines.append("# " + "=" * (WIDTH - 2))
        out.section(name, getattr(defaults, name), name, "")
    return "\n".join(out.lines) + "\n"


class _Yaml:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self._explained: dict[type[BaseModel], str] = {}

    def comment(self, text: str, indent: str) -> None:
        for paragraph in text.strip().split("\n\n"):
            for line in textwrap.wrap(
                paragraph,
                WIDTH - len(indent) - 2,
                break_long_words=False,
                break_on_hyphens=False,
            ):
                self.lines.append(f"{indent}# {line}")
            self.lines.append(f"{indent}#")
        self.lines.pop()

    def section(self, name: str, values: BaseModel, dotted: str, indent: str) -> None:
        model = type(values)
        self.lines.append(f"{indent}{name}:")
        inner = indent + "  "
        first = self._explained.setdefault(model, dotted)
        if first != dotted:
            self.comment(f"Keys as in {first}.", inner)
        elif model.__doc__:
            self.comment(inspect.cleandoc(model.__doc__), inner)
        for key, info in model.model_fields.items():
            self._field(info, getattr(values, key), f"{dotted}.{key}", inner, first == dotted)

    def _field(self, info: FieldInfo, value: Any, dotted: str, indent: str, explain: bool) -> None:
        key = dotted.rpartition(".")[2]
        if explain:
            self.lines.append("")
            self.comment(_one_line(info.description), indent)
        if isinstance(value, BaseModel):
            self.section(key, value, dotted, indent)
            return
        notes = [_allowed(info)] if explain else []
        notes += [f"env {VARIABLES[dotted]}"] if dotted in VARIABLES else []
        note = "; ".join(note for note in notes if note)
        lines = list(_yaml_value(key, to_jsonable_python(value), indent))
        if note and len(lines) == 1 and len(lines[0]) + len(note) + 4 <= WIDTH:
            lines[0] += f"  # {note}"
        elif note:
            self.comment(note, indent)
        self.lines += lines


def _yaml_value(key: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        yield f"{indent}{key}:"
        for name, item in value.items():
            yield from _yaml_value(name, item, indent + "  ")
    elif isinstance(value, list) and len(json.dumps(value)) + len(key) > WIDTH - 8:
        yield f"{indent}{key}:"
        for item in value:
            yield f"{indent}  - {json.dumps(item)}"
    else:
        yield f"{indent}{key}: {json.dumps(value, ensure_ascii=False)}"


def markdown_reference() -> str:
    """The configuration page of the documentation."""
    lines = [MARKDOWN_HEADER]
    defaults = AppConfig()
    for name, info in AppConfig.model_fields.items():
        lines += [f"## {name}", "", info.description or "", ""]
        lines += ["| key | default | allowed | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{dotted}` | `{_json(value)}` | {_cell(_allowed(field))} "
            f"| {_cell(field.description)}"
            + (f" (`{VARIABLES[dotted]}`)" if dotted in VARIABLES else "")
            + " |"
            for dotted, field, value in _leaves(getattr(defaults, name), name)
        ]
        lines.append("")
    lines += [
        "## Environment",
        "",
        "Read from the environment and from `.env` beside the configuration; an empty variable "
        "counts as not set. Unknown names that begin with `CIRCUIT_BREAKER_` or "
        "`SPIKE_DETECTION_` are refused.",
        "",
        "| variable | replaces |",
        "|---|---|",
    ]
    for variable in Environment.model_fields:
        target = f"`{CONFIG_KEYS[variable]}`" if variable in CONFIG_KEYS else "(environment only)"
        lines.append(f"| `{variable}` | {target} |")
    return "\n".join(lines) + "\n"


def _leaves(section: BaseModel, dotted: str) -> Iterator[tuple[str, FieldInfo, Any]]:
    for key, info in type(section).model_fields.items():
        value = getattr(section, key)
        if isinstance(value, BaseModel):
            yield from _leaves(value, f"{dotted}.{key}")
        else:
            yield f"{dotted}.{key}", info, value


def _allowed(info: FieldInfo) -> str:
    """Bounds and choices in words; empty where any value of the type goes."""
    choices = [kind for kind in _kinds(info.annotation) if issubclass(kind, Enum)]
    words = [" | ".join(member.value for kind in choices for member in kind)] if choices else []
    if bool in _kinds(info.annotation):
        words.append("true | false")
    for item in info.metadata:
        match item:
            case annotated_types.Gt():
                words.append(f"> {item.gt}")
            case annotated_types.Ge():
                words.append(f">= {item.ge}")
            case annotated_types.Lt():
                words.append(f"< {item.lt}")
            case annotated_types.Le():
                words.append(f"<= {item.le}")
            case annotated_types.MinLen() if item.min_length == 1:
                words.append("not empty")
        if pattern := getattr(item, "pattern", None):
            words.append(f"matches {pattern}")
    if type(None) in _kinds(info.annotation):
        words.append("or null")
    return ", ".join(words)


def _kinds(annotation: Any) -> list[type]:
    """The plain types that a value may have; generics and their parts are left out."""
    if isinstance(annotation, type) and not get_args(annotation):
        return [annotation]
    if hasattr(annotation, "__origin__"):
        return []
    return [kind for part in get_args(annotation) for kind in _kinds(part)]


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def _cell(text: str | None) -> str:
    return _one_line(text).replace("|", "\\|")


def _json(value: Any) -> str:
    return json.dumps(to_jsonable_python(value), ensure_ascii=False)
