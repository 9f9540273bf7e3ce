"""`live`: start the exchange (venue sim), the core and the crew workers, and show them."""
