from __future__ import annotations

import pytest
from binance.ws.reconnecting_websocket import ReconnectingWebsocket


@pytest.fixture(autouse=True)
def quick_goodbyes(monkeypatch: pytest.MonkeyPatch) -> None:
    """python-binance ends a socket only when its current read times out, after 10 s."""
    monkeypatch.setattr(ReconnectingWebsocket, "TIMEOUT", 0.5)
