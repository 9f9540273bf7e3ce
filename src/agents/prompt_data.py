"""Data blocks inside prompts: how they are written for any model, and read back by the rules.

Everything that did not come from our own templates enters a prompt as a labelled JSON block.
JSON's escapes take care of control and invisible characters; angle brackets and braces are escaped
too, so that no text can close its block or be taken for a template variable.
"""

from __future__ import annotations

import json
import re
from typing import Any

_BLOCK = re.compile(r'<data name="([a-z_]+)">\n(.*?)\n</data>', re.DOTALL)


def data_block(name: str, value: Any) -> str:
    """``value`` as a block that a model is told to read as data, never as instructions."""
    text = json.dumps(_escape_braces(value), default=str, allow_nan=False, ensure_ascii=True)
    text = text.replace("<", "\\u003c").replace(">", "\\u003e")
    return f'<data name="{name}">\n{text}\n</data>'


def read_blocks(text: str) -> dict[str, Any]:
    """All data blocks of a prompt, by name."""
    return {name: json.loads(body) for name, body in _BLOCK.findall(text)}


def _escape_braces(value: Any) -> Any:
    # Texts only; the braces of the JSON itself never look like `{name}`.
    if isinstance(value, str):
        return value.replace("{", "(").replace("}", ")")
    if isinstance(value, dict):
        return {key: _escape_braces(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_escape_braces(item) for item in value]
    return value
