"""The embedded exchange: matching engine, markets, Binance-compatible server."""
