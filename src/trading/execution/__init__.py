"""The only way out: gate, journal, gateway, positions, cancel sweep."""
