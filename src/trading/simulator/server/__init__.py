"""The embedded exchange behind Binance's spot protocol, on loopback.

Nothing is imported here: whoever only writes the server's settings must not load the server.
"""
