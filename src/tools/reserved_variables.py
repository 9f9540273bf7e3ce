"""Variables with a secret of one part that no model and no MCP server may be given.

A slip in the settings must not send the exchange's key to a model's provider.
"""

from __future__ import annotations

from trading.news.config import KEY_NAMES

_BY_PREFIX = {"BINANCE_": "a key of the exchange", "NOTIFY_": "an address of notifications"}
_BY_NAME = {"REDIS_PASSWORD": "the password of Redis", **dict.fromkeys(KEY_NAMES, "a news key")}


def what_is_in(variable: str) -> str | None:
    """What a reserved variable holds; None where it is free for models and servers."""
    by_prefix = (held for prefix, held in _BY_PREFIX.items() if variable.startswith(prefix))
    return _BY_NAME.get(variable) or next(by_prefix, None)
