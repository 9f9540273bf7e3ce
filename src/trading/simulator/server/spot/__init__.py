"""Spot: REST, market streams and the WebSocket API. Another market gets a package beside it."""
