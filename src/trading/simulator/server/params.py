"""Parameters of a request, as strings with Binance's checks on the way out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from trading.simulator.server.wire_errors import WireError, mandatory

EnumT = TypeVar("EnumT", bound=StrEnum)
NUMBER = re.compile(r"^([0-9]{1,20})(\.[0-9]{1,20})?$")
CLIENT_ID = re.compile(r"^[a-zA-Z0-9-_]{1,36}$")
MAX_DECIMALS = 8


class Params:
    """Read-only view of the sent parameters. Every getter raises WireError for a bad value."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def names(self) -> tuple[str, ...]:
        return tuple(self._values)

    def as_dict(self) -> dict[str, str]:
        return dict(self._values)

    def text(self, name: str) -> str | None:
        return self._values.get(name) or None

    def required(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise mandatory(name)
        return value

    def decimal(self, name: str) -> Decimal | None:
        """A plain decimal number of at most 8 places."""
        value = self.text(name)
        if value is None:
            return None
        if not NUMBER.match(value):
            raise WireError(
                -1100,
                f"Illegal characters found in parameter '{name}'; legal range is"
                f" '{NUMBER.pattern}'.",
            )
        number = Decimal(value)
        if number != round(number, MAX_DECIMALS):
            raise WireError(-1111, f"Parameter '{name}' has too much precision.")
        return number

    def integer(self, name: str) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not value.isdigit():
            raise WireError(
                -1100,
                f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]+$'.",
            )
        return int(value)

    def limit(self, default: int, maximum: int) -> int:
        """``limit``, at least 1 and cut to ``maximum``."""
        return max(1, min(self.integer("limit") or default, maximum))

    def choice(self, name: str, kind: type[EnumT], code: int, message: str) -> EnumT | None:
        value = self.text(name)
        if value is None:
            return None
        try:
            return kind(value)
        except ValueError as error:
            raise WireError(code, message) from error

    def client_id(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not CLIENT_ID.match(value):
            raise WireError(
                -1100,
                f"Illegal characters found in parameter '{name}'; legal range is"
                f" '{CLIENT_ID.pattern}'.",
            )
        return value
