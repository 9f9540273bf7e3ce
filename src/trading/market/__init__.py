"""Market data: feed, rolling windows, crash detector, spike detector."""
