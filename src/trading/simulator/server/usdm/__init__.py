"""USD-M futures: REST under /fapi, routed streams, listen keys, the futures WebSocket API."""
