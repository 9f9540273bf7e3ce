"""The Binance-compatible server."""
