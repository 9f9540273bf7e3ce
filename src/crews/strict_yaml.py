"""YAML, read strictly.

Refused: duplicate keys (PyYAML keeps the last one silently), keys that are not text, ``.nan`` and
``.inf``, an empty document. Dates stay text. Every key's line is kept, so that a wrong value can
be pointed at.
"""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from trading.errors import ConfigurationError

try:  # the C parser is ten times as fast; PyYAML may have been built without it
    from yaml import CSafeLoader as _Loader
except ImportError:  # pragma: no cover
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]  # the same interface


@dataclass(frozen=True)
class YamlDocument:
    """A mapping, and the line of each dotted key in it."""

    data: dict[str, Any]
    lines: dict[str, int] = field(default_factory=dict)

    def line_of(self, dotted: str) -> int | None:
        """Line of ``dotted``, or of the nearest key above it that the document has."""
        while dotted:
            if dotted in self.lines:
                return self.lines[dotted]
            dotted = dotted.rpartition(".")[0]
        return None


def read_yaml(path: Path) -> YamlDocument:
    """Parse the mapping in ``path``.

    Raises:
        ConfigurationError: the file is missing, unreadable, not YAML, or breaks a rule above.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not text in UTF-8 ({error})") from error
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            found = "empty" if root is None else "not a mapping"
            raise ConfigurationError(f"{path}: is {found}; sections with keys are expected")
        reader = _Reader(path, loader)
        return YamlDocument(reader.mapping(root, ""), reader.lines)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{path}:{line}: is not YAML ({error.problem})") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: is not YAML ({error})") from error
    finally:
        loader.dispose()


class _Reader:
    def __init__(self, path: Path, loader: Any) -> None:
        self._path = path
        self._loader = loader
        self._open: set[int] = set()  # nodes being read: an alias to one of them is a cycle
        self.lines: dict[str, int] = {}

    def mapping(self, node: yaml.MappingNode, prefix: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigurationError(f"{self._path}:{line}: a key must be plain text")
            key = key_node.value
            dotted = f"{prefix}.{key}" if prefix else key
            if key in result:
                raise ConfigurationError(
                    f"{self._path}:{line}: {dotted} is given twice (first on line "
                    f"{self.lines[dotted]}); keep one"
                )
            self.lines[dotted] = line
            result[key] = self._value(value_node, dotted)
        return result

    def _value(self, node: yaml.Node, dotted: str) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, dotted)
        if id(node) in self._open:
            raise ConfigurationError(f"{self._path}: {dotted} contains itself")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, dotted)
            return [self._value(item, f"{dotted}.{n}") for n, item in enumerate(node.value)]
        finally:
            self._open.discard(id(node))

    def _scalar(self, node: yaml.ScalarNode, dotted: str) -> Any:
        value = self._loader.construct_object(node)
        if isinstance(value, datetime.date):
            return node.value
        if isinstance(value, float) and not math.isfinite(value):
            line = node.start_mark.line + 1
            raise ConfigurationError(
                f"{self._path}:{line}: {dotted} = {node.value}: must be a finite number"
            )
        return value
