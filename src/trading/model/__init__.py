"""Value types of the domain: frozen, self-checking, money in Decimal, times in UTC."""
