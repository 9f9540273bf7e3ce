"""The Binance adapter, over the unmodified python-binance client."""
