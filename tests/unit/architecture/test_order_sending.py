"""Orders leave through ``trading.execution`` and ``trading.exchange``, and from nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[3] / "src"
MAY_SEND = ("trading/execution/", "trading/exchange/")
# ``ExchangeClient``'s way to send, the adapter's, and python-binance's own.
SENDING = {
    "submit_order",
    "post_order",
    "post_futures_order",
    "create_order",
    "create_test_order",
    "futures_create_order",
    "futures_create_algo_order",
    "order_market_buy",
}


def sending_calls(code: str) -> Iterator[str]:
    """Names of the order-sending methods that ``code`` calls or passes on."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute) and node.attr in SENDING:
            yield f"line {node.lineno}: {node.attr}"


def test_no_other_module_sends_orders() -> None:
    found = {
        f"{name}, {call}"
        for path in SOURCES.rglob("*.py")
        if not (name := path.relative_to(SOURCES).as_posix()).startswith(MAY_SEND)
        for call in sending_calls(path.read_text())
    }
    assert found == set()


def test_the_search_finds_the_calls_there_are() -> None:
    for folder, call in (("execution", "submit_order"), ("exchange", "post_order")):
        files = (SOURCES / "trading" / folder).rglob("*.py")
        assert any(call in found for path in files for found in sending_calls(path.read_text()))
    assert list(sending_calls("send = client.create_order")) == ["line 1: create_order"]
