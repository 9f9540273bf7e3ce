"""USD-M futures: contracts linked to spot by a basis and funding, margin, forced liquidation."""
