"""A worker process that does nothing but propose entries.

``proposing_worker.py SOCKET RECORD NAME`` reads the breaker from the shared record, as a tool does,
and proposes through the worker socket, each time for another spike, until its standard input ends.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path

from trading.api.http_client import HttpTradingClient
from trading.errors import SpikeguardError
from trading.model.decision import TradeProposal

PAUSE_S = 0.002


def proposal(spike_id: str, epoch: int, now_ms: int) -> TradeProposal:
    return TradeProposal(
        spike_id=spike_id,
        symbol="BTCUSDT",
        notional=Decimal(20),
        limit_price=Decimal(9_900),
        stop_loss_pct=2.0,
        take_profit_pct=4.0,
        confidence=0.9,
        epoch=epoch,
        decided_at_ms=now_ms,
        deadline_ms=now_ms + 30_000,
        reasoning="",
    )


def main() -> None:
    socket_path, record_path, name = sys.argv[1:]
    over = threading.Event()

    def until_the_end() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=until_the_end, daemon=True).start()
    with HttpTradingClient(Path(socket_path), Path(record_path)) as client:
        for number in itertools.count():
            if over.wait(PAUSE_S):
                return
            snapshot = client.breaker_snapshot()
            if not snapshot.allows_entries:
                continue
            try:
                client.propose_trade(
                    proposal(f"spk-{name}-{number}", snapshot.epoch, client.now_ms())
                )
            except SpikeguardError:
                time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
