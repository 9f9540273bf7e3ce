"""The market engine: time a trade, bytes a symbol, and the same job done by others, in one run.

Throughput is processor time of the measuring process, so that a busy machine changes it little;
percentiles are wall time of single calls. The product's figures are the best of three rounds;
those of the chain, on both sides, the best of two that take turns. "engine" is the product with
every window and every detector on and a pass every second, whose time is counted in. The job of
the others is less: the 1 h high and the drawdown at each trade, and a callback on a breach.

    python benchmarks/engine.py [TRADES]
"""

from __future__ import annotations

import sys

from _environment import rivals, run
from _market import Recording, load, stream
from _spikeguard import percentiles, throughput

TRADES = 300_000
ROUNDS = 3
SYMBOLS = (1, 100, 600)
CHAIN_SYMBOLS = 500
OTHERS_SYMBOLS = 100


def engine_alone(recording: Recording, limit: int) -> dict[int, float]:
    """Prints what a trade costs in the engine; returns processor time a trade, by symbols."""
    print("engine, every window and detector on, a pass every second of market time")
    costs = {}
    for count in SYMBOLS:
        source = stream(recording, count, limit)
        cost = throughput(source, ROUNDS)
        p50, p99, p999 = percentiles(source, ROUNDS)
        costs[count] = cost["all_ns"]
        print(
            f"  {count:>3} symbols {1e9 / cost['all_ns']:>10,.0f} trades/s  "
            f"({len(source.events):,} trades of {source.seconds:.0f} s)   "
            f"a trade {cost['trade_ns']:.0f} ns + {cost['pass_ns']:.0f} ns of the passes; "
            f"p50 {p50} p99 {p99} p99.9 {p999} ns"
        )
        print(
            f"              a pass p50 {cost['pass_p50_ms']:.2f} ms max"
            f" {cost['pass_max_ms']:.2f} ms; {cost['bytes'] / 1024:,.0f} KiB a symbol"
        )
    return costs


def others(recording: Recording, ours_ns: float, limit: int) -> None:
    """The same trades in nautilus_trader's BacktestEngine, pandas and river."""
    python = rivals()
    if python is None:
        return
    print(f"the 1 h drawdown of {OTHERS_SYMBOLS} symbols, ns a trade, and times the engine's")
    print(f"  {'this engine, all else included':<42} {ours_ns:>12,.0f}")
    rows: list[tuple[str, float]] = []
    backtest = run(python, "_nautilus_backtest.py", OTHERS_SYMBOLS, limit)
    if backtest is not None:
        rows.append(("nautilus_trader BacktestEngine", backtest["ns"]))
    frames = run(python, "_dataframes.py", OTHERS_SYMBOLS, limit)
    if frames is not None:
        rows += [
            ("pandas, all trades at once afterwards", frames["batch"]),
            ("pandas, trade by trade", frames["single"]),
            ("river, maximum of the last 1,000 trades", frames["river"]),
        ]
    for name, ns in rows:
        print(f"  {name:<42} {ns:>12,.0f}   {ns / ours_ns:>9.1f} x")


def chain(limit: int) -> None:
    """Raw aggTrade frames to drawdowns, both in one process."""
    python = rivals()
    result = python and run(python, "_chain.py", CHAIN_SYMBOLS, limit)
    if not result:
        return
    theirs = result["nautilus"]
    same = "identical" if result["apart"] < 1e-9 else f"APART BY {result['apart']:.3g} points"
    print(f"aggTrade bytes -> decoded -> 1 h drawdown of {CHAIN_SYMBOLS} instruments, one process")
    rows = (
        ("nautilus_trader's Binance adapter", theirs),
        ("this feed's decoder alone", result["decode"]),
        ("this feed and engine, everything on", result["product"]),
        ("the same without spike detection", result["windows"]),
    )
    for name, ns in rows:
        print(f"  {name:<42} {ns:>12,.0f}   {theirs / ns:>9.1f} x faster")
    print(f"  {result['compared']:,} drawdowns compared: {same}")


def main(limit: int) -> None:
    recording = load()
    print(recording.source)
    costs = engine_alone(recording, limit)
    others(recording, costs[OTHERS_SYMBOLS], limit)
    chain(limit)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else TRADES)
